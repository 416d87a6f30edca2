use std::collections::BTreeMap;
use std::time::Duration;

use browser_test::{Browser, Error, Kind, Namespace, Options, Page, SMALL_CAMERA, Viewport};
use serde_json::Value;

/// A page in the room, in a browser of its own.
pub(crate) struct Viewer {
    pub(crate) name: &'static str,
    browser: Browser,
    page: Page,
    first: Option<Figures>,
    last: Option<Figures>,
}

/// What a page has received so far.
#[derive(Default, Clone)]
struct Figures {
    /// When the browser counted, in milliseconds by its own clock: a busy one may tell it much later.
    at: f64,
    /// Decoded frames of each section with pictures.
    frames: BTreeMap<String, u64>,
    /// Packets of sound of all sections.
    sound: u64,
    /// Packets of all sections.
    packets: u64,
}

impl Figures {
    /// Packets of sound by fifty a second, if those that came were sent in so many milliseconds more.
    fn voices_since(&self, then: &Self, more: f64) -> f64 {
        let sound = self.sound.saturating_sub(then.sound) as f64;
        sound / 50.0 / (self.at - then.at + more) * 1e3
    }
}

/// What a page has received since it was asked last.
pub(crate) struct Change {
    /// Sections whose picture has moved.
    pub(crate) moving: usize,
    /// How many streams of sound that would be, one after another not counted twice: packets of sound by fifty a
    /// second.
    pub(crate) voices: f64,
    /// How many streams of sound it would have to be since the first time, if all that came was sent in that time and
    /// in the two seconds before: what was held up then comes later.
    pub(crate) voices_so_far: f64,
}

/// All that came, as [mid, kind, packets, frames, milliseconds].
const RECEIVED: &str = "(async () => {
    const stats = [...(await hyaline.room.getStats()).values()];
    return stats.filter(({ type }) => type === 'inbound-rtp')
        .map(({ mid, kind, packetsReceived = 0, framesDecoded = 0, timestamp }) =>
            [mid ?? '', kind, packetsReceived, framesDecoded, timestamp]);
})()";

/// All that it sent of pictures, and what came back of that.
const SENT: &str = "(async () => {
    const stats = [...(await hyaline.room.getStats()).values()];
    return stats.filter(({ type, kind }) => kind === 'video' && /^(out|remote-in)bound-rtp$/.test(type));
})()";

/// A small window, which takes less of the processor to draw: there is no graphics card.
const WINDOW: Viewport = Viewport {
    width: 640,
    height: 480,
    ..Viewport::DESKTOP
};

/// All browsers wait alike: Firefox is what Chromium makes of most of itself.
pub(crate) fn waiting(network: &Namespace) -> Options<'_> {
    Options {
        nice: Some(0),
        ..Options::within(network)
    }
}

/// What the machine may have held up when a page is asked first, in milliseconds.
const HELD_UP: f64 = 2000.0;

/// A page on a busy machine takes its time to answer.
const PATIENCE: Duration = Duration::from_secs(60);

impl Viewer {
    pub(crate) fn join(browser: Browser, name: &'static str, url: &str) -> Result<Self, Error> {
        let page = browser.open_with(&format!("{url}?name={name}&join=1"), SMALL_CAMERA)?;
        page.set_viewport(WINDOW)?;
        page.wait_for("document.body.dataset.path === 'connected'", PATIENCE)?;
        Ok(Self {
            name,
            browser,
            page,
            first: None,
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

    /// Goes home, so that the others see it at once.
    pub(crate) fn leave(self) -> Result<(), Error> {
        self.page.evaluate_within("hyaline.room.leave()", PATIENCE)?;
        self.browser.close()
    }

    /// How many others it has shown at all.
    pub(crate) fn shown(&self) -> Result<usize, Error> {
        Ok(self.figures()?.frames.values().filter(|frames| **frames > 0).count())
    }

    /// All packets that it has received.
    pub(crate) fn packets(&self) -> Result<u64, Error> {
        Ok(self.figures()?.packets)
    }

    /// What it says of the pictures that it sends, for whoever looks for why they do not come.
    pub(crate) fn sent(&self) -> Result<String, Error> {
        Ok(self.page.evaluate_within(SENT, PATIENCE)?.to_string())
    }

    /// What came since the last time, of which there was none yet in the beginning.
    pub(crate) fn change(&mut self) -> Result<Option<Change>, Error> {
        let now = self.figures()?;
        let change = self.last.as_ref().map(|last| {
            let before = |mid: &String| last.frames.get(mid).copied().unwrap_or_default();
            let moving = now.frames.iter().filter(|(mid, frames)| **frames > before(mid));
            let first = self.first.as_ref().unwrap_or(last);
            Change {
                moving: moving.count(),
                voices: now.voices_since(last, 0.0),
                voices_so_far: now.voices_since(first, HELD_UP),
            }
        });
        self.first.get_or_insert_with(|| now.clone());
        self.last = Some(now);
        Ok(change)
    }

    fn figures(&self) -> Result<Figures, Error> {
        let received = self.page.evaluate_within(RECEIVED, PATIENCE)?;
        let mut figures = Figures::default();
        for entry in received.as_array().into_iter().flatten() {
            let text = |at: usize| entry.get(at).and_then(Value::as_str).unwrap_or_default();
            let number = |at: usize| entry.get(at).and_then(Value::as_u64).unwrap_or_default();
            figures.packets += number(2);
            match text(1) {
                "video" => *figures.frames.entry(text(0).to_owned()).or_default() += number(3),
                _ => {
                    figures.sound += number(2);
                    let at = entry.get(4).and_then(Value::as_f64).unwrap_or_default();
                    figures.at = figures.at.max(at);
                }
            }
        }
        Ok(figures)
    }
}
