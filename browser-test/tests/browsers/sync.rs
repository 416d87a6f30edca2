use std::sync::Arc;

use browser_test::{Browser, Kind, Options, SMALL_CAMERA, Viewport};
use guest::{Guest as Headless, Media, Room};
use serde_json::{Value, json};

use crate::arena::{Arena, Guest};
use crate::{BOTH, SOON};

/// How far apart sound and picture of somebody may be, in milliseconds. (ITU-R BT.1359 begins to be noticed at 45 and
/// 125.)
const APART: f64 = 80.0;
/// How long the browser may have sound wait for late pictures, in milliseconds: it is pictures that wait here.
const ADDED: f64 = 40.0;
/// So many looks in a row have to be good until the browser counts as settled, ...
const SETTLED: usize = 12;
/// ... which takes this many at most, some ten seconds, ...
const SETTLING: usize = 48;
/// ... and so many count from then on.
const LOOKS: usize = 30;

/// Looks up to four times a second at how much later the sound of `other` is played than the picture, so many times.
/// While one of them does not move there is nothing to compare: if that lasts it is told what there was at the last
/// look that counted, and what there is at the end.
fn distances(guest: &Guest, other: &str, count: usize) -> Vec<f64> {
    let patience = 3 * SOON;
    let script = format!(
        "(async () => {{
            const distances = [], until = performance.now() + {};
            const state = (stats, ids) => ({{
                at: performance.now(),
                visibility: document.visibilityState, pairs,
                elements: [...document.querySelectorAll('video, audio')].map(element => ({{
                    tile: element.closest('.tile')?.getAttribute('aria-label'), element: element.localName,
                    currentTime: element.currentTime, paused: element.paused, readyState: element.readyState,
                    frames: element.getVideoPlaybackQuality?.().totalVideoFrames,
                }})),
                received: stats.map(entry => ({{
                    wanted: ids.includes(entry.trackIdentifier), kind: entry.kind, mid: entry.mid,
                    packetsReceived: entry.packetsReceived, framesDecoded: entry.framesDecoded,
                    estimatedPlayoutTimestamp: entry.estimatedPlayoutTimestamp,
                    // The last report of the sender.
                    told: entry.told?.remoteTimestamp, toldPackets: entry.told?.packetsSent,
                }})),
            }});
            let looks = 0, counted, first, last;
            for (let [sound, picture] = []; distances.length < {count};) {{
                await new Promise(resolve => setTimeout(resolve, 250));
                looks += 1;
                const report = await hyaline.room.getStats();
                const stats = [...report.values()].filter(entry => entry.type === 'inbound-rtp')
                    .map(entry => ({{ ...entry, told: report.get(entry.remoteId) }}));
                const ids = tracks({other:?});
                const at = kind => stats.find(entry => entry.kind === kind && ids.includes(entry.trackIdentifier))
                    ?.estimatedPlayoutTimestamp;
                const before = [sound, picture];
                [sound, picture] = [at('audio'), at('video')];
                const moves = sound > before[0] && picture > before[1];
                if (moves) distances.push(sound - picture);
                if (moves || !counted) counted = state(stats, ids);
                if (performance.now() > until) return {{ distances, looks, counted, end: state(stats, ids) }};
                last = stats.find(entry => entry.kind === 'audio' && ids.includes(entry.trackIdentifier));
                first ??= last;
            }}
            const over = name => (last[name] - first[name]) || 0;
            const added = 1_000 * (over('jitterBufferTargetDelay') - over('jitterBufferMinimumDelay'))
                / over('jitterBufferEmittedCount');
            return {{ distances, added }};
        }})()",
        patience.as_millis()
    );
    let seen = guest.page.evaluate_within(&script, patience + SOON).unwrap();
    assert!(seen["end"].is_null(), "{other} stands still: {seen:#}");
    let added = seen["added"].as_f64().unwrap();
    assert!(added < ADDED, "sound of {other} waits {added} ms for pictures");
    let distances = seen["distances"].as_array().unwrap();
    distances.iter().filter_map(Value::as_f64).collect()
}

/// Waits until sound and picture of `other` have come together. A browser that begins to play somebody has sound wait
/// as long as its arrival is unsteady, which is 100 ms and more on a busy machine, and the page has pictures follow.
fn settle(guest: &Guest, other: &str, what: &str) {
    let mut seen = Vec::new();
    while seen.len() < SETTLING {
        seen.extend(distances(guest, other, SETTLED / 2));
        let last = seen.iter().rev().take(SETTLED);
        if seen.len() >= SETTLED && last.into_iter().all(|distance| distance.abs() < APART) {
            println!("{what}: {seen:.0?}");
            return;
        }
    }
    panic!("sound and picture of {other} do not come together: {seen:.0?}");
}

/// The tracks of sound and picture that somebody is received by, which are those of the sections.
const TRACKS: &str = "{
    // Which sections belong together, as each answer said it.
    const pairs = globalThis.pairs = [];
    const set = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function (description) {
        globalThis.connection = this;
        pairs.push((description?.sdp ?? '').split('\\r\\nm=').slice(1).map(section => {
            const [mid, msid, direction] = [/a=mid:(.*)/, /a=msid:(.*)/, /a=(sendrecv|sendonly|recvonly|inactive)/]
                .map(field => field.exec(section)?.[1].trim());
            return `${mid} ${direction} ${msid}`;
        }).join(', '));
        return set.apply(this, arguments);
    };
}
globalThis.tracks = name => {
    const participant = [...(globalThis.hyaline?.room?.participants.values() ?? [])].find(each => each.name === name);
    return participant?.stream.getTracks().map(track => track.id) ?? [];
};";

/// Who only publishes has the processor for that: shows nothing, not even oneself, and is sent no pictures. (Without a
/// graphics card Firefox takes two thirds of a core for drawing its own camera, and leaves out sound, a tenth of a second
/// at once, when it does not get to run.)
const BLIND: &str = "void (() => {
    for (const part of document.body.children) part.style.display = 'none';
    const people = [...hyaline.room.participants.keys()];
    hyaline.room.show({
        tiles: 1,
        pictures: people.map(participant => ({ participant, source: 'camera', width: 0, height: 0 })),
    });
    hyaline.room.show = () => {};
})()";

/// Firefox has one thread for drawing, and in a large window that is busy all the time: then it hands out sound late,
/// and has it wait longer.
const SMALL: Viewport = Viewport {
    width: 480,
    height: 360,
    ..Viewport::DESKTOP
};

/// A look may fall upon a picture that is late on its own, on a machine that draws for two browsers: out of three looks
/// in a row the middle one counts.
fn assert_together(distances: &[f64], what: &str) {
    println!("{what}: {distances:.0?}");
    let lasting = distances.windows(3).map(|three| {
        let mut three = three.to_vec();
        three.sort_by(f64::total_cmp);
        three.get(1).map_or(f64::INFINITY, |middle| middle.abs())
    });
    let worst = lasting.reduce(f64::max).unwrap_or(f64::INFINITY);
    assert!(worst < APART, "{what}: {worst} ms apart: {distances:?}");
}

/// How far ahead of the browsers the server and those without one are (`nice(1)`).
const AHEAD: i32 = -10;

/// Five others of whom two are seen, Ada of them pinned. Then the pin moves to Bob, who gets sections that somebody
/// had, and back to Ada, who has lost hers meanwhile. Each time `look` looks at who is pinned.
///
/// By the browser's own figures, which trust our sender reports: whether these are right is a matter of `sfu`'s tests.
fn pin_one_after_the_other(viewer: Kind, publisher: Option<Kind>, mut look: impl FnMut(&Guest, &str, &str)) {
    // All threads that are made later inherit it.
    rustix::process::setpriority_process(None, AHEAD).unwrap();
    let arena = Arena::new();
    let room: Room = arena.url("/r/tea").parse().unwrap();
    let media = Arc::new(Media::built_in());
    let without = |name| {
        let join = || Headless::join(&room, name, Arc::clone(&media));
        arena.network.run(join).unwrap().unwrap()
    };
    let with = |kind, name| {
        let options = Options {
            nice: Some(0),
            ..Options::within(&arena.network)
        };
        let browser = Browser::launch(kind, &options).unwrap_or_else(|error| panic!("{error}"));
        let preload = format!("{SMALL_CAMERA}\n{TRACKS}");
        Guest::join(browser, &arena.url(""), name, &preload)
    };
    let others = ["Guest 1", "Guest 2", "Guest 3"].map(without);
    let bob = without("Bob");
    let cleo = with(viewer, "Cleo");
    cleo.page.set_viewport(SMALL).unwrap();
    cleo.page.press("v").unwrap();
    let ada = publisher.map_or_else(|| Ada::Without(without("Ada")), |kind| Ada::With(with(kind, "Ada")));
    ada.speak(true);
    cleo.wait_to_see_and_hear("Ada");
    if let Ada::With(guest) = &ada {
        guest.get(BLIND);
    }
    // Who is on the air is seen before others.
    for other in &others {
        other.speak(true);
    }
    cleo.get("void (globalThis.show = hyaline.room.show.bind(hyaline.room), hyaline.room.show = () => {})");
    cleo.get(
        "void (globalThis.pin = name => {
            globalThis.had = ['Ada', 'Bob', 'Guest 1', 'Guest 2', 'Guest 3'].flatMap(tracks);
            globalThis.taken = [...(globalThis.taken ?? []), ...had];
            const pinned = [...hyaline.room.participants.values()].filter(each => each.name === name).map(({ id }) => id);
            show({ tiles: 2, pinned });
        })",
    );
    cleo.get("pin('Ada')");
    cleo.wait("tracks('Ada').length === 2 && tracks('Bob').length === 0", SOON);
    let waits = "connection.getTransceivers()
        .filter(({ direction, receiver }) => direction === 'recvonly' && receiver.track.kind === 'video')
        .every(({ receiver }) => receiver.jitterBufferTarget >= 50)";
    assert_eq!(cleo.get(waits), json!(true), "pictures do not wait for their sound");
    let who = publisher.map_or_else(|| "somebody without one".into(), |kind| kind.to_string());
    let who = format!("{who} seen by {viewer}");
    look(&cleo, "Ada", &format!("{who}, before"));
    let told = cleo.get(
        "connection.getTransceivers().map(({ receiver }) => receiver.jitterBufferTarget).filter(target => target > 50)",
    );
    assert_ne!(told, json!([]), "pictures were not told how long their sound waits");

    bob.speak(true);
    ada.speak(false);
    move_pin(&cleo, "Bob");
    cleo.wait("tracks('Ada').length === 0", SOON);
    look(&cleo, "Bob", &format!("{who}, then somebody else"));

    ada.speak(true);
    move_pin(&cleo, "Ada");
    look(&cleo, "Ada", &format!("{who}, then again"));
}

/// Who is looked at first, with a browser or without one.
enum Ada {
    With(Guest),
    Without(Headless),
}

impl Ada {
    /// A browser's microphone is on from the beginning.
    fn speak(&self, speaking: bool) {
        match self {
            Self::Without(guest) => guest.speak(speaking),
            Self::With(guest) => {
                if guest.get("document.querySelector('#own').classList.contains('silent')") == json!(speaking) {
                    guest.page.press("m").unwrap();
                }
            }
        }
    }
}

/// They stay together, whoever has had the sections before.
#[test]
fn sound_and_picture_belong_together_before_and_after_a_section_changes_hands() {
    for viewer in BOTH {
        for publisher in [None, Some(Kind::Chromium), Some(Kind::Firefox)] {
            let mut has_settled = false;
            pin_one_after_the_other(viewer, publisher, |guest, other, what| {
                if !std::mem::replace(&mut has_settled, true) {
                    settle(guest, other, &format!("{what}, at first"));
                }
                assert_together(&distances(guest, other, LOOKS), what);
            });
        }
    }
}

/// Has somebody seen who is not, in sections that somebody else had.
fn move_pin(guest: &Guest, to: &str) {
    guest.get(&format!("pin({to:?})"));
    guest.wait(&format!("tracks({to:?}).length === 2"), SOON);
    let changed = format!(
        "tracks({to:?}).every(track => taken.includes(track)) && tracks({to:?}).some(track => had.includes(track))"
    );
    assert_eq!(guest.get(&changed), json!(true), "nothing changed hands");
}
