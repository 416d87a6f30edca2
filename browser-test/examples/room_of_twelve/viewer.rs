use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use browser_test::{Browser, Error, Kind, Namespace, Options, Page, SMALL_CAMERA};
use serde_json::Value;

/// A page in the room, in a browser of its own.
pub(crate) struct Viewer {
    pub(crate) name: &'static str,
    browser: Browser,
    page: Page,
    last: Option<Figures>,
}

/// What a page has received so far.
struct Figures {
    at: Instant,
    /// Decoded frames of each section with pictures.
    frames: BTreeMap<String, u64>,
    /// Packets of sound of all sections.
    sound: u64,
    /// Packets of all sections.
    packets: u64,
}

/// What a page has received since it was asked last.
pub(crate) struct Change {
    /// Sections whose picture has moved.
    pub(crate) moving: usize,
    /// How many streams of sound that would be, one after another not counted twice: packets of sound by fifty a second.
    pub(crate) voices: f64,
}

/// All that came, as [mid, kind, packets, frames].
const RECEIVED: &str = "(async () => {
    const stats = [...(await hyaline.room.getStats()).values()];
    return stats.filter(({ type }) => type === 'inbound-rtp')
        .map(({ mid, kind, packetsReceived = 0, framesDecoded = 0 }) => [mid ?? '', kind, packetsReceived, framesDecoded]);
})()";

/// Notes when `join` was sent, and after how many milliseconds each section's first picture was decoded, by the section's mid.
const STOPWATCH: &str = "void (() => {
    const send = WebSocket.prototype.send;
    let joined = null;
    globalThis.firstPictures = {};
    WebSocket.prototype.send = function (text) {
        if (JSON.parse(text).type === 'join') joined ??= performance.now();
        return send.call(this, text);
    };
    const look = async () => {
        const now = performance.now();
        for (const { type, kind, mid, framesDecoded } of (await globalThis.hyaline?.room?.getStats())?.values() ?? []) {
            if (type === 'inbound-rtp' && kind === 'video' && framesDecoded > 0) firstPictures[mid] ??= now - joined;
        }
        setTimeout(look, 20);
    };
    void look();
})()";

/// A page on a busy machine takes its time to answer.
const PATIENCE: Duration = Duration::from_secs(60);

impl Viewer {
    pub(crate) fn join(kind: Kind, name: &'static str, url: &str, network: &Namespace) -> Result<Self, Error> {
        let browser = Browser::launch(kind, &Options::within(network))?;
        let page = browser.open_with(&format!("{url}?name={name}&join=1"), SMALL_CAMERA)?;
        page.wait_for("document.body.dataset.path === 'connected'", PATIENCE)?;
        Ok(Self {
            name,
            browser,
            page,
            last: None,
        })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.browser.kind()
    }

    /// Switches the microphone off.
    pub(crate) fn mute(&self) -> Result<(), Error> {
        self.page.press("m")
    }

    /// How many others it has shown at all.
    pub(crate) fn shown(&self) -> Result<usize, Error> {
        Ok(self.figures()?.frames.values().filter(|frames| **frames > 0).count())
    }

    /// All packets that it has received.
    pub(crate) fn packets(&self) -> Result<u64, Error> {
        Ok(self.figures()?.packets)
    }

    /// What came since the last time, of which there was none yet in the beginning.
    pub(crate) fn change(&mut self) -> Result<Option<Change>, Error> {
        let now = self.figures()?;
        let change = self.last.as_ref().map(|last| {
            let before = |mid: &String| last.frames.get(mid).copied().unwrap_or_default();
            let moving = now.frames.iter().filter(|(mid, frames)| **frames > before(mid));
            let sound = now.sound.saturating_sub(last.sound) as f64;
            Change {
                moving: moving.count(),
                voices: sound / 50.0 / (now.at - last.at).as_secs_f64(),
            }
        });
        self.last = Some(now);
        Ok(change)
    }

    fn figures(&self) -> Result<Figures, Error> {
        let received = self.page.evaluate_within(RECEIVED, PATIENCE)?;
        let mut figures = Figures {
            at: Instant::now(),
            frames: BTreeMap::new(),
            sound: 0,
            packets: 0,
        };
        for entry in received.as_array().into_iter().flatten() {
            let text = |at: usize| entry.get(at).and_then(Value::as_str).unwrap_or_default();
            let number = |at: usize| entry.get(at).and_then(Value::as_u64).unwrap_or_default();
            figures.packets += number(2);
            match text(1) {
                "video" => *figures.frames.entry(text(0).to_owned()).or_default() += number(3),
                _ => figures.sound += number(2),
            }
        }
        Ok(figures)
    }
}

/// A browser from which one after the other comes and goes.
pub(crate) struct Visitors {
    browser: Browser,
}

impl Visitors {
    pub(crate) fn new(network: &Namespace) -> Result<Self, Error> {
        Ok(Self {
            browser: Browser::launch(Kind::Chromium, &Options::within(network))?,
        })
    }

    /// Joins and leaves when so many pictures have come, or when it takes too long; how long each took from `join` to its first
    /// decoded frame.
    pub(crate) fn visit(
        &self,
        name: &str,
        url: &str,
        pictures: usize,
        patience: Duration,
    ) -> Result<Vec<Duration>, Error> {
        let preload = format!("{SMALL_CAMERA}\n{STOPWATCH}");
        let page = self.browser.open_with(&format!("{url}?name={name}&join=1"), &preload)?;
        let all = format!("Object.keys(firstPictures).length >= {pictures}");
        // Who has not seen all is known by the number of times.
        let _ = page.wait_for(&all, patience);
        let times = page.evaluate_within("Object.values(firstPictures)", PATIENCE)?;
        page.evaluate_within("void hyaline.room.leave()", PATIENCE)?;
        page.close()?;
        let times = times.as_array().into_iter().flatten().filter_map(Value::as_f64);
        Ok(times.map(|time| Duration::from_secs_f64(time / 1000.0)).collect())
    }
}
