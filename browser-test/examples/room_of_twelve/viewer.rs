use std::collections::BTreeMap;
use std::time::Duration;

use browser_test::{Browser, Error, Kind, Namespace, Options, Page, SMALL_CAMERA, Viewport};
use serde_json::Value;

/// A page in the room, in a browser of its own.
pub(crate) struct Viewer {
    pub(crate) name: &'static str,
    browser: Browser,
    page: Page,
    last: Option<Figures>,
}

/// What a page has received so far.
#[derive(Default)]
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

/// What a page has received since it was asked last.
pub(crate) struct Change {
    /// Sections whose picture has moved.
    pub(crate) moving: usize,
    /// How many streams of sound that would be, one after another not counted twice: packets of sound by fifty a second.
    pub(crate) voices: f64,
}

/// All that came, as [mid, kind, packets, frames, milliseconds].
const RECEIVED: &str = "(async () => {
    const stats = [...(await hyaline.room.getStats()).values()];
    return stats.filter(({ type }) => type === 'inbound-rtp')
        .map(({ mid, kind, packetsReceived = 0, framesDecoded = 0, timestamp }) =>
            [mid ?? '', kind, packetsReceived, framesDecoded, timestamp]);
})()";

/// A small window, which takes less of the processor to draw: there is no graphics card.
const WINDOW: Viewport = Viewport {
    width: 640,
    height: 480,
    ..Viewport::DESKTOP
};

/// No server shares its machine with those who look. Four browsers wait for two cores; the server, and the guests by whom it is
/// measured, do not wait for them.
pub(crate) fn nice(network: &Namespace) -> Options<'_> {
    Options {
        nice: 5,
        ..Options::within(network)
    }
}

/// A page on a busy machine takes its time to answer.
const PATIENCE: Duration = Duration::from_secs(60);

impl Viewer {
    pub(crate) fn join(kind: Kind, name: &'static str, url: &str, network: &Namespace) -> Result<Self, Error> {
        let browser = Browser::launch(kind, &nice(network))?;
        let page = browser.open_with(&format!("{url}?name={name}&join=1"), SMALL_CAMERA)?;
        page.set_viewport(WINDOW)?;
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

    /// Goes home, so that the others see it at once.
    pub(crate) fn leave(self) -> Result<(), Error> {
        self.page.evaluate("hyaline.room.leave()")?;
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

    /// What came since the last time, of which there was none yet in the beginning.
    pub(crate) fn change(&mut self) -> Result<Option<Change>, Error> {
        let now = self.figures()?;
        let change = self.last.as_ref().map(|last| {
            let before = |mid: &String| last.frames.get(mid).copied().unwrap_or_default();
            let moving = now.frames.iter().filter(|(mid, frames)| **frames > before(mid));
            let sound = now.sound.saturating_sub(last.sound) as f64;
            Change {
                moving: moving.count(),
                voices: sound / 50.0 / (now.at - last.at) * 1e3,
            }
        });
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
