use std::time::Duration;

use browser_test::{Kind, Options, Viewport};
use serde_json::json;

use crate::{Scene, nobody, people};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];
const JOINED: &str = "document.body.dataset.path === 'connected'";

/// The frames decoded so far of a participant's video, once it is shown and moves. (Firefox counts no frames of a
/// stream on the element itself.)
fn playing(name: &str) -> String {
    format!(
        "(async () => {{
            const video = document.querySelector('video[data-participant={name:?}]');
            if (!video?.closest('.tile').classList.contains('pictured') || video.paused) return false;
            const [track] = video.srcObject.getVideoTracks();
            const stats = [...(await hyaline.room.getStats()).values()];
            const frames = stats.find(entry => entry.trackIdentifier === track.id)?.framesDecoded;
            return frames > 5 && frames;
        }})()"
    )
}

#[test]
fn a_name_in_the_address_joins_without_a_click() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["Bob"]));
        scene.wait(JOINED);
        scene.wait(&playing("Bob"));
        assert_eq!(
            scene.get("fake.sent('join')"),
            json!([{ "type": "join", "name": "Ada" }])
        );
        assert_eq!(
            scene.get("document.querySelector('#count').textContent"),
            json!("2 people")
        );
        assert_eq!(
            scene.get("document.querySelector('#tiles li').getAttribute('aria-label')"),
            json!("Bob")
        );
        scene.assert_quiet();
    }
}

#[test]
fn the_first_offer_is_what_the_server_expects() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &nobody());
        scene.wait(JOINED);
        let types = scene.get("fake.received.map(message => message.type).filter(type => type !== 'view')");
        let types: Vec<_> = types
            .as_array()
            .unwrap()
            .iter()
            .map(|kind| kind.as_str().unwrap())
            .collect();
        assert_eq!(types[..3], ["join", "sources", "offer"], "{kind}");
        assert!(types[3..].contains(&"candidate"), "{kind}: {types:?}");
        let sources = scene.get("fake.sent('sources')[0].sources");
        let expected = json!([
            { "mid": sources[0]["mid"], "kind": "microphone", "muted": false },
            { "mid": sources[1]["mid"], "kind": "camera", "muted": false },
        ]);
        assert_eq!(sources, expected, "{kind}");

        let sdp = scene.get("fake.sent('offer')[0].sdp");
        let sdp = sdp.as_str().unwrap();
        let sections: Vec<_> = sdp.split("\r\nm=").skip(1).collect();
        let shape = |section: &&str| {
            let kind = section.split(' ').next().unwrap();
            let direction = ["sendonly", "recvonly"]
                .into_iter()
                .find(|way| section.contains(&format!("a={way}\r\n")));
            format!("{kind} {}", direction.unwrap_or("neither"))
        };
        let pair = ["audio recvonly", "video recvonly"];
        let mut expected = [["audio sendonly", "video sendonly"], pair, pair, pair, pair].concat();
        // The last one, as a server may reject it.
        expected.push("application neither");
        assert_eq!(sections.iter().map(shape).collect::<Vec<_>>(), expected, "{kind}");
        for (source, section) in sources.as_array().unwrap().iter().zip(&sections) {
            assert!(
                section.contains(&format!("a=mid:{}\r\n", source["mid"].as_str().unwrap())),
                "{kind}"
            );
        }
        for unwanted in ["red/", "ulpfec", "G722", "telephone-event", "flexfec"] {
            assert!(
                !sdp.lines()
                    .any(|line| line.starts_with("a=rtpmap:") && line.contains(unwanted)),
                "{kind}: {unwanted}"
            );
        }
        let bundle = sdp.lines().find(|line| line.starts_with("a=group:BUNDLE ")).unwrap();
        assert_eq!(bundle.split(' ').count(), 1 + sections.len(), "{kind}: {bundle}");
    }
}

#[test]
fn slots_are_added_in_steps_and_offers_one_at_a_time() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &nobody());
        scene.wait(JOINED);
        // Two needs at once: the second comes while the first one's offer is under way.
        scene.get("fake.send({ type: 'need', audio: 5, video: 5 })");
        scene.get("fake.send({ type: 'need', audio: 9, video: 9 })");
        scene.wait("fake.slots.length === 24");
        // The pairs stay pairs: audio, video, audio, video.
        let kinds = scene.get("fake.slots.map(slot => slot.kind).join()");
        assert_eq!(kinds, json!(["audio,video"; 12].join(",")), "{kind}");
        assert_eq!(scene.get("fake.overlapping"), json!(0), "{kind}");
        // What is there already asks for nothing: the next offer is that of the next need.
        let offers = scene.get("fake.sent('offer').length").as_u64().unwrap();
        scene.get("fake.send({ type: 'need', audio: 4, video: 12 })");
        scene.get("fake.send({ type: 'need', audio: 13, video: 13 })");
        scene.wait("fake.slots.length === 32");
        assert_eq!(scene.get("fake.sent('offer').length"), json!(offers + 1), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn people_come_and_go_without_an_offer() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &nobody());
        scene.wait(JOINED);
        assert_eq!(scene.get("document.querySelector('#alone').hidden"), json!(false));
        scene.get("void fake.arrive({ name: 'Bob' })");
        scene.get("void fake.arrive({ name: 'Cleo' })");
        scene.wait(&playing("Bob"));
        scene.wait(&playing("Cleo"));
        // Cleo moves to the slots that were Bob's.
        scene.get("void fake.depart('Bob')");
        scene.wait("!document.querySelector('video[data-participant=Bob]')");
        let before = scene.wait(&playing("Cleo")).as_u64().unwrap();
        scene.wait(&format!(
            "(frames => frames > {before} + 10)(await {})",
            playing("Cleo")
        ));
        assert_eq!(
            scene.get("document.querySelector('video[data-participant=Cleo]').srcObject.getTracks().map(track => track.kind).sort()"),
            json!(["audio", "video"]),
        );
        assert_eq!(scene.get("fake.sent('offer').length"), json!(1), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn devices_are_switched_by_click_and_by_key() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &nobody());
        scene.wait(JOINED);
        let mids = scene.get("fake.sent('sources')[0].sources.map(source => source.mid)");
        scene.page.click("#call [data-device=camera]").unwrap();
        scene.wait("fake.sent('mute').some(message => message.muted)");
        let state = "(button => [button.getAttribute('aria-label'), button.getAttribute('aria-pressed')])(document.querySelector('#call [data-device=camera]'))";
        assert_eq!(scene.get(state), json!(["Camera", "false"]));
        // Its light is out: nothing holds the camera any more.
        assert_eq!(scene.get("hyaline.devices.camera"), json!(null));
        scene.page.press("v").unwrap();
        scene.wait("hyaline.devices.on.camera");
        assert_eq!(scene.get(state), json!(["Camera", "true"]));
        scene.page.press("m").unwrap();
        scene.wait("!hyaline.devices.on.microphone && !hyaline.devices.microphone.enabled");
        let last = |mid: usize| {
            format!(
                "fake.sent('mute').findLast(message => message.mid === {}).muted",
                mids[mid]
            )
        };
        assert_eq!(
            (scene.get(&last(0)), scene.get(&last(1))),
            (json!(true), json!(false)),
            "{kind}"
        );
        assert_eq!(
            scene.get("fake.sent('offer').length"),
            json!(1),
            "no negotiation for it"
        );
        scene.assert_quiet();
    }
}

#[test]
fn leaving_says_so_and_closes_the_devices() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["Bob"]));
        scene.wait(JOINED);
        scene.page.click("#leave-call").unwrap();
        scene.wait("!document.querySelector('#end').hidden");
        assert_eq!(scene.get("fake.received.at(-1)"), json!({ "type": "leave" }));
        assert_eq!(
            scene.get("document.querySelector('#end-title').textContent"),
            json!("You left")
        );
        assert_eq!(
            scene.get("[hyaline.devices.camera, hyaline.devices.microphone]"),
            json!([null, null])
        );
        // And back again.
        scene.page.click("#again").unwrap();
        scene.wait(&playing("Bob"));
        scene.assert_quiet();
    }
}

#[test]
fn who_comes_back_has_the_devices_as_they_were() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &nobody());
        scene.wait(JOINED);
        scene.page.press("v").unwrap();
        scene.wait("!hyaline.devices.on.camera");
        scene.page.click("#leave-call").unwrap();
        scene.page.click("#again").unwrap();
        scene.wait("fake.sent('join').length === 2 && hyaline.room.state === 'joined'");
        assert_eq!(
            scene.get("hyaline.devices.on"),
            json!({ "microphone": true, "camera": false }),
            "{kind}"
        );
        scene.page.press("m").unwrap();
        scene.wait("!hyaline.devices.on.microphone");
        scene.page.click("#leave-call").unwrap();
        scene.page.click("#again").unwrap();
        scene.wait("fake.sent('join').length === 3 && hyaline.room.state === 'joined'");
        assert_eq!(
            scene.get("[hyaline.devices.camera, hyaline.devices.microphone]"),
            json!([null, null]),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn a_camera_that_is_allowed_after_leaving_is_closed() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &nobody());
        scene.wait(JOINED);
        scene.page.press("v").unwrap();
        scene.wait("!hyaline.devices.on.camera");
        scene.get("fake.holdDevices()");
        scene.page.press("v").unwrap();
        scene.wait("fake.asked.length === 1");
        scene.page.click("#leave-call").unwrap();
        scene.wait("!document.querySelector('#end').hidden");
        scene.get("fake.allow()");
        scene.wait("fake.given.length === 1 && fake.given[0].readyState === 'ended'");
        assert_eq!(
            scene.get("[hyaline.devices.camera, hyaline.devices.on.camera, document.querySelector('[data-preview]').srcObject]"),
            json!([null, false, null]),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

/// Names are text, whatever they look like.
#[test]
fn hostile_names_are_shown_as_they_are() {
    let names = [
        "<img src=x onerror=\"globalThis.harmed = true\">",
        "'\"><script>globalThis.harmed = true</script>",
        "\u{5d0}\u{5d1}\u{5d2} \u{627}\u{644}\u{639}\u{631}\u{628}\u{64a}\u{629} 7",
        "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
    ];
    let own = "%3Cimg%20src%3Dx%20onerror%3D%22globalThis.harmed%20%3D%20true%22%3E";
    for kind in BOTH {
        let scene = Scene::open(kind, &format!("/r/kitchen?name={own}&join=1"), &people(&names));
        scene.wait(JOINED);
        assert_eq!(
            scene.get("[...document.querySelectorAll('#tiles .name')].map(element => element.textContent)"),
            json!(names),
            "{kind}"
        );
        assert_eq!(
            scene.get(
                "[...document.querySelectorAll('#tiles li:not(#own)')].map(tile => tile.getAttribute('aria-label'))"
            ),
            json!(names),
            "{kind}"
        );
        let own = format!("{} (you)", names[0]);
        assert_eq!(
            scene.get("document.querySelector('[data-own-name]').textContent"),
            json!(own)
        );
        // Nothing became an element or ran, and no label is wider than its tile.
        assert_eq!(
            scene.get("document.querySelectorAll('#tiles img, #tiles script').length"),
            json!(0)
        );
        assert_eq!(scene.get("globalThis.harmed ?? null"), json!(null));
        assert_eq!(
            scene.get("[...document.querySelectorAll('#tiles .tile')].filter(tile => {
                const [outer, inner] = [tile, tile.querySelector('.label')].map(element => element.getBoundingClientRect());
                return inner.left < outer.left || inner.right > outer.right;
            }).length"),
            json!(0),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

#[test]
fn nobody_is_said_to_be_there_only_when_that_is_known() {
    let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada", &nobody());
    let alone = "!document.querySelector('#alone').hidden";
    scene.get("void (globalThis.seen = [])");
    scene.get(&format!(
        "void new MutationObserver(() => seen.push([hyaline.room?.state, {alone}]))
            .observe(document.body, {{ attributes: true, subtree: true }})"
    ));
    scene.page.click("#join .primary").unwrap();
    scene.wait(&format!("hyaline.room?.state === 'joined' && {alone}"));
    scene.get("void (fake.unreachable = true, fake.drop())");
    scene.wait(&format!("hyaline.room.state === 'returning' && !({alone})"));
    scene.get("void (fake.unreachable = false)");
    scene.wait(&format!("hyaline.room.state === 'joined' && {alone}"));
    assert_eq!(
        scene.get("seen.filter(([state, alone]) => alone && state !== 'joined')"),
        json!([])
    );
}

#[test]
fn a_lost_server_is_found_again() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["Bob"]));
        scene.wait(&playing("Bob"));
        scene.get("void (fake.unreachable = true, fake.drop())");
        scene.wait("document.querySelector('[data-code=returning]')?.textContent.includes('looked for')");
        assert_eq!(scene.get("hyaline.room.state"), json!("returning"), "{kind}");
        scene.wait("fake.sockets >= 3");
        scene.get("void (fake.unreachable = false)");
        scene.wait("fake.sent('join').length === 2 && hyaline.room.state === 'joined'");
        scene.wait(&playing("Bob"));
        assert_eq!(
            scene.get("document.querySelector('[data-code=returning]')"),
            json!(null)
        );
        assert_eq!(scene.get("fake.sent('join').length"), json!(2));
    }
}

#[test]
fn what_happens_to_others_is_shown() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["Bob", "Cleo"]));
        scene.wait(&playing("Bob"));
        let tile = "document.querySelector('video[data-participant=Bob]').closest('.tile')";
        scene.get("fake.send({ type: 'connection', participant: '1', state: 'disconnected' })");
        scene.wait(&format!("{tile}.getAttribute('aria-label') === 'Bob, connection lost'"));
        scene.get("fake.send({ type: 'connection', participant: '1', state: 'connected' })");
        scene.wait(&format!("{tile}.getAttribute('aria-label') === 'Bob'"));
        scene.get("fake.send({ type: 'undecodable', participant: '1', source: '1-camera' })");
        scene.wait(&format!(
            "{tile}.querySelector('.veil').textContent.includes('cannot show Bob')"
        ));
        scene.get(
            "fake.send({ type: 'sources', participant: '2', sources: [
                { source: '2-microphone', kind: 'microphone', muted: true }, { source: '2-camera', kind: 'camera', muted: true }] })",
        );
        scene.wait("document.querySelector('video[data-participant=Cleo]').closest('li').getAttribute('aria-label') === 'Cleo, microphone off, camera off'");
        scene.assert_quiet();
    }
}

#[test]
fn a_browser_that_blocks_sound_asks_for_a_tap() {
    let blocked = Options {
        autoplay_blocked: true,
        ..Options::default()
    };
    let scene = Scene::open_with(
        Kind::Chromium,
        "/r/kitchen?name=Ada&join=1",
        &people(&["Bob"]),
        &blocked,
    );
    scene.wait(&playing("Bob"));
    scene.wait("document.querySelector('#notices [data-code=hear]')?.textContent === 'The browser plays no sound yet. Tap to hear the others'");
    // The picture moves without sound, which has an element of its own.
    let silent = "document.querySelector('#tiles audio').paused";
    assert_eq!(scene.get(silent), json!(true));
    scene.page.click("[data-code=hear] button").unwrap();
    scene.wait(&format!("!{silent}"));
    assert_eq!(scene.get("document.querySelector('[data-code=hear]')"), json!(null));
    scene.assert_quiet();
}

/// A video with sound is not played by Safari before a tap, and a video element that is muted plays no sound.
#[test]
fn sound_has_elements_of_its_own() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["Bob", "Cleo"]));
        scene.wait(&playing("Cleo"));
        assert_eq!(
            scene.get(
                "[...document.querySelectorAll('#tiles .tile:not(#own)')].map(tile => {
                    const [video, audio] = ['video', 'audio'].map(name => tile.querySelector(name));
                    const kinds = audio.srcObject.getTracks().map(track => track.kind);
                    return [video.muted, video.hasAttribute('playsinline'), audio.muted, audio.paused, kinds.join()];
                })"
            ),
            json!([[true, true, false, false, "audio"], [true, true, false, false, "audio"]]),
            "{kind}"
        );
        assert_eq!(
            scene.get("document.querySelector('[data-code=hear]')"),
            json!(null),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

/// Chromium waits for a media element whose stream is empty as for any other part of the page, for ever if need be.
#[test]
fn nobodys_silence_keeps_the_page_from_being_loaded() {
    let scenario = json!({ "people": [{ "name": "Bob" }, { "name": "Cleo" }, { "name": "Dan" }, { "name": "Eve" }, { "name": "Fay" }], "drawnCamera": true });
    // Which waits for the page.
    let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada&join=1", &scenario);
    scene.wait(&playing("Bob"));
    scene.assert_quiet();
}

#[test]
fn every_control_has_a_name_and_the_keyboard_reaches_it() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen", &nobody());
        scene.wait("hyaline.devices.camera");
        let nameless = "[...document.querySelectorAll('button, input, a, video')]
            .filter(element => !element.closest('[hidden]'))
            .filter(element => !element.getAttribute('aria-label') && !element.textContent.trim() && !element.labels?.length)
            .map(element => element.outerHTML)";
        assert_eq!(scene.get(nameless), json!([]), "{kind}: lobby");
        assert_eq!(scene.get("document.activeElement.id"), json!("name"));
        for letter in ["E", "v", "e"] {
            scene.page.press(letter).unwrap();
        }
        scene.page.press("Enter").unwrap();
        scene.wait(JOINED);
        assert_eq!(scene.get("fake.sent('join')[0].name"), json!("Eve"));
        assert_eq!(scene.get(nameless), json!([]), "{kind}: call");
        let mut reached = Vec::new();
        for _ in 0..14 {
            scene.page.press("Tab").unwrap();
            let name = scene.get(
                "(element => element.getAttribute('aria-label') ?? element.textContent.trim())(document.activeElement)",
            );
            reached.push(name.as_str().unwrap_or_default().to_owned());
        }
        for control in ["Microphone", "Camera", "Leave"] {
            assert!(
                reached.iter().any(|name| name == control),
                "{kind}: {control} not in {reached:?}"
            );
        }
        scene.assert_quiet();
    }
}

/// One tap copies the link, wherever there is room for it. Phones share no screens.
#[test]
fn the_link_to_invite_is_among_the_controls_where_it_fits() {
    let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada&join=1", &people(&["Bob"]));
    scene.wait(JOINED);
    for (width, height, screen, fits) in [
        (1_280, 720, true, true),
        (768, 1_024, true, true),
        (501, 800, true, true),
        (500, 800, true, false),
        (360, 640, true, false),
        (500, 800, false, true),
        (360, 640, false, true),
        (320, 568, false, false),
        (640, 360, false, false),
    ] {
        scene.get(&format!("void (document.querySelector('#share').hidden = !{screen})"));
        scene.show_in(Viewport {
            width,
            height,
            ..Viewport::PHONE
        });
        let shown = "document.querySelector('.controls [data-invite]').checkVisibility()";
        assert_eq!(scene.get(shown), json!(fits), "{width}x{height}, {screen}");
        let outside = scene.get(
            "[document.querySelector('.controls'), ...document.querySelectorAll('.controls button')].filter(element => element.checkVisibility()).filter(element => {
                const { left, right, top, bottom } = element.getBoundingClientRect();
                return left < 0 || top < 0 || right > innerWidth || bottom > innerHeight || right - left < 44 || bottom - top < 44;
            }).map(element => element.outerHTML.slice(0, 80))",
        );
        assert_eq!(outside, json!([]), "{width}x{height}, {screen}");
        if fits {
            scene.page.click(".controls [data-invite]").unwrap();
            scene.wait("document.querySelector('[data-code=invite]')");
            scene.pass(Duration::from_secs(20));
            scene.wait("!document.querySelector('[data-code=invite]')");
        }
    }
    scene.assert_quiet();
}

#[test]
fn a_room_is_chosen_by_a_name_that_the_server_takes() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/", &nobody());
        let suggested = scene.wait("document.activeElement.id === 'room' && document.activeElement.value");
        assert!(
            suggested.as_str().unwrap().split('-').count() == 3,
            "{kind}: {suggested}"
        );
        // The suggestion is selected: typing replaces it.
        for letter in ["t", "e", "a", " ", "2", "/"] {
            scene.page.press(letter).unwrap();
        }
        scene.page.press("Enter").unwrap();
        assert_eq!(
            scene.get("[location.pathname, document.querySelector('#room').matches(':invalid')]"),
            json!(["/", true])
        );
        scene.get("void (document.querySelector('#room').value = 'tea-2')");
        scene.page.press("Enter").unwrap();
        scene.wait(
            "location.pathname === '/r/tea-2' && document.querySelector('#lobby-title')?.textContent === 'Join tea-2'",
        );
    }
}
