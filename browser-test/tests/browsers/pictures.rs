use std::time::Duration;

use crate::SOON;
use crate::arena::Guest;

/// Measures from now on how far apart the pictures of `other` are that the page shows; see [`worst_gap`].
pub(crate) fn watch_pictures(guest: &Guest, other: &str) {
    guest.get(&format!(
        "(() => {{
            const video = document.querySelector('video[data-participant={other:?}]');
            const seen = globalThis.pictures = {{ count: 0, worst: 0, last: performance.now() }};
            const look = now => {{
                seen.count++;
                seen.worst = Math.max(seen.worst, now - seen.last);
                seen.last = now;
                video.requestVideoFrameCallback(look);
            }};
            video.requestVideoFrameCallback(look);
            return 1;
        }})()"
    ));
}

/// How many pictures were shown since [`watch_pictures`], and the largest time between two of them, in milliseconds,
/// that after the last included.
pub(crate) fn worst_gap(guest: &Guest) -> (f64, f64) {
    let seen = guest.get("[pictures.count, Math.max(pictures.worst, performance.now() - pictures.last)]");
    (seen[0].as_f64().unwrap(), seen[1].as_f64().unwrap())
}

/// Lets so much time pass inside the page: what happens meanwhile is the subject.
pub(crate) fn pass(guest: &Guest, time: Duration) {
    let until = guest.get("performance.now()").as_f64().unwrap() + time.as_secs_f64() * 1e3;
    guest.wait(&format!("performance.now() > {until}"), time * 2 + SOON);
}
