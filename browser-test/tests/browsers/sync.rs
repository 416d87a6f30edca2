use std::time::Duration;

use serde_json::Value;

use crate::arena::{Arena, Guest};
use crate::{BOTH, SOON};

/// How far apart sound and picture of somebody may be, in milliseconds. (ITU-R BT.1359 begins to be noticed at 45 and 125.)
const APART: f64 = 80.0;

/// Looks four times a second at how much later the sound of `other` is played than the picture, for some seconds.
fn distances(guest: &Guest, other: &str, time: Duration) -> Vec<f64> {
    let script = format!(
        "(async () => {{
            const video = document.querySelector('video[data-participant={other:?}]');
            const distances = [];
            for (const until = performance.now() + {}; performance.now() < until;) {{
                await new Promise(resolve => setTimeout(resolve, 250));
                const stats = [...(await hyaline.room.getStats()).values()].filter(entry => entry.type === 'inbound-rtp');
                const tracks = hyaline.room.participants.values().find(each => each.name === {other:?}).stream.getTracks();
                const at = kind => stats.find(entry => entry.kind === kind && tracks.some(track => track.id === entry.trackIdentifier))
                    ?.estimatedPlayoutTimestamp;
                if (at('audio') && at('video')) distances.push(at('audio') - at('video'));
            }}
            return distances;
        }})()",
        time.as_millis()
    );
    let distances = guest.page.evaluate_within(&script, time + SOON).unwrap();
    distances.as_array().unwrap().iter().filter_map(Value::as_f64).collect()
}

/// By the browser's own figures, which trust our sender reports: whether these are right is a matter of `sfu`'s tests.
#[test]
fn sound_and_picture_of_somebody_belong_together() {
    for publisher in BOTH {
        for viewer in BOTH {
            let arena = Arena::new();
            let ada = arena.join(publisher, "Ada");
            let bob = arena.join(viewer, "Bob");
            bob.wait_to_see_and_hear("Ada");
            let _ = &ada;
            let distances = distances(&bob, "Ada", Duration::from_secs(15));
            println!("{publisher} seen by {viewer}: {distances:?}");
            assert!(distances.len() > 20, "{distances:?}");
            // What is in the first two seconds, before the first sender reports, says nothing.
            let worst = distances
                .iter()
                .skip(8)
                .map(|distance| distance.abs())
                .fold(0.0, f64::max);
            assert!(
                worst < APART,
                "{publisher} seen by {viewer}: {worst} ms apart: {distances:?}"
            );
        }
    }
}
