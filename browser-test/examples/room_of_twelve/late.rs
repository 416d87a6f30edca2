use std::time::{Duration, Instant};

use browser_test::{Browser, Error, Kind, Namespace, SMALL_CAMERA, Viewport};
use serde_json::Value;

use crate::viewer::waiting;

/// A browser whose page comes late, again and again.
pub(crate) struct Late {
    browser: Browser,
}

/// Notes when the page asks to join, and when each of the others' pictures is shown for the first time.
const FIRST_FRAMES: &str = "void (() => {
    const first = globalThis.firstFrames = { asked: null, seen: {} };
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (data) {
        if (first.asked === null && JSON.parse(data).type === 'join') first.asked = performance.now();
        return send.call(this, data);
    };
    const watch = video => video.requestVideoFrameCallback(now => {
        const name = video.dataset.participant;
        if (name) first.seen[name] ??= now - first.asked;
        else watch(video);
    });
    const watched = new WeakSet();
    new MutationObserver(() => {
        for (const video of document.querySelectorAll('video')) {
            if (!watched.has(video)) watch(video);
            watched.add(video);
        }
    }).observe(document, { childList: true, subtree: true });
})();";

/// All tiles are in it, and drawing them takes little.
const WINDOW: Viewport = Viewport {
    width: 640,
    height: 480,
    ..Viewport::DESKTOP
};

impl Late {
    pub(crate) fn new(kind: Kind, network: &Namespace) -> Result<Self, Error> {
        let browser = Browser::launch(kind, &waiting(network))?;
        Ok(Self { browser })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.browser.kind()
    }

    /// Comes, waits until everybody is seen, and leaves: for each of `others` the time from `join` to the first frame
    /// shown.
    pub(crate) fn come(&self, url: &str, others: usize, patience: Duration) -> Result<Vec<Duration>, Error> {
        let preload = format!("{SMALL_CAMERA}\n{FIRST_FRAMES}");
        let page = self.browser.open_with(&format!("{url}?name=Late&join=1"), &preload)?;
        page.set_viewport(WINDOW)?;
        let start = Instant::now();
        let mut times: Vec<Duration> = Vec::new();
        while times.len() < others && start.elapsed() < patience {
            let seen = page.evaluate("Object.values(firstFrames.seen)")?;
            let milliseconds = seen.as_array().into_iter().flatten().filter_map(Value::as_f64);
            times = milliseconds.map(|time| Duration::from_secs_f64(time / 1e3)).collect();
            std::thread::sleep(Duration::from_millis(100));
        }
        page.evaluate("hyaline.room.leave()")?;
        page.close()?;
        times.resize(others, Duration::MAX);
        Ok(times)
    }
}
