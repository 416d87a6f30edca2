use std::time::Duration;

use browser_test::Kind;
use serde_json::json;

use crate::{Scene, nobody, people};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];
const JOINED: &str = "document.body.dataset.path === 'connected'";
const KINDS: &str = "fake.sent('sources').at(-1).sources.map(({ kind }) => kind).join()";
const SHARES: &str = "document.querySelector('#share').ariaPressed";
/// What the fake server gets of the shared screen: the direction in the last offer, and frames.
const ARRIVES: &str = "(async () => {
    const { mid } = fake.sent('sources').at(-1).sources.find(({ kind }) => kind === 'screen');
    const transceiver = fake.socket.peer.getTransceivers().find(each => each.mid === mid);
    const stats = [...(await transceiver.receiver.getStats()).values()].find(({ type }) => type === 'inbound-rtp');
    return (stats?.framesDecoded ?? 0) > 2 && stats.framesDecoded;
})()";

#[test]
fn a_screen_is_shared_and_its_section_used_again() {
    for kind in BOTH {
        let scenario = json!({ "people": [{ "name": "Bob" }], "screenSound": true });
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &scenario);
        scene.wait(JOINED);
        scene.page.click("#share").unwrap();
        scene.wait(&format!("{KINDS} === 'microphone,camera,screen,screen-audio'"));
        scene.wait(ARRIVES);
        assert_eq!(scene.get(SHARES), json!("true"), "{kind}");
        assert_eq!(
            scene.get("[...document.querySelectorAll('#tiles .tile')].map(tile => tile.querySelector('.label').textContent.trim())"),
            json!(["Bob", "Your screen", "Ada (you)"]),
            "{kind}"
        );
        // It fits whole, is not mirrored, and is not what one wants to see large oneself.
        assert_eq!(
            scene.get("(video => [getComputedStyle(video).objectFit, getComputedStyle(video).transform])(document.querySelector('.own-screen video'))"),
            json!(["contain", "none"]),
            "{kind}"
        );
        assert_eq!(scene.get("document.querySelector('#tiles .large')"), json!(null));
        let sections = scene.get("fake.sent('offer').at(-1).sdp.split('\\nm=').length");
        let mids = scene.get("fake.sent('sources').at(-1).sources.map(({ mid }) => mid)");

        scene.page.press("s").unwrap();
        scene.wait(&format!("{KINDS} === 'microphone,camera'"));
        assert_eq!(scene.get(SHARES), json!("false"), "{kind}");
        assert_eq!(scene.get("document.querySelector('.own-screen')"), json!(null));
        assert_eq!(
            scene.get("fake.shared[0].getTracks().every(track => track.readyState === 'ended')"),
            json!(true)
        );
        assert_eq!(
            scene.get("fake.sent('offer').at(-1).sdp.split('a=inactive').length"),
            json!(3)
        );

        // Again, in the same sections; and the browser's own button ends it.
        scene.page.click("#share").unwrap();
        scene.wait(&format!("{KINDS} === 'microphone,camera,screen,screen-audio'"));
        scene.wait(ARRIVES);
        assert_eq!(
            scene.get("fake.sent('sources').at(-1).sources.map(({ mid }) => mid)"),
            mids,
            "{kind}"
        );
        assert_eq!(
            scene.get("fake.sent('offer').at(-1).sdp.split('\\nm=').length"),
            sections,
            "{kind}"
        );
        // (Firefox lets nobody play it: an event that a page sends to a track arrives nowhere.)
        match kind {
            Kind::Chromium => {
                scene.get("void fake.shared[1].getVideoTracks()[0].dispatchEvent(new Event('ended'))");
            }
            Kind::Firefox => scene.page.click("#share").unwrap(),
        }
        scene.wait(&format!("{KINDS} === 'microphone,camera'"));
        assert_eq!(scene.get(SHARES), json!("false"), "{kind}");
        assert_eq!(scene.get("fake.overlapping"), json!(0), "{kind}");
        scene.assert_quiet();
    }
}

#[test]
fn a_screen_without_sound_has_no_section_for_it() {
    let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada&join=1", &nobody());
    scene.wait(JOINED);
    scene.page.press("s").unwrap();
    scene.wait(&format!("{KINDS} === 'microphone,camera,screen'"));
    // Leaving closes it like every device.
    scene.page.click("#leave-call").unwrap();
    scene.wait("fake.shared[0].getVideoTracks()[0].readyState === 'ended'");
    scene.assert_quiet();
}

/// Somebody who changes their mind needs no explanation; somebody whose system forbids it does.
#[test]
fn who_does_not_share_is_told_only_what_helps() {
    for (words, notices) in [
        ("Permission denied", json!([])),
        ("Permission denied by system", json!(["screen-denied"])),
    ] {
        let scenario = json!({ "people": [], "refuseScreen": words });
        let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada&join=1", &scenario);
        scene.wait(JOINED);
        scene.page.click("#share").unwrap();
        scene.wait("fake.refusedScreens === 1");
        scene.pass(Duration::from_secs(1));
        assert_eq!(
            scene.get("[...document.querySelectorAll('.notice')].map(notice => notice.dataset.code)"),
            notices
        );
        assert_eq!(scene.get(SHARES), json!("false"));
        scene.assert_quiet();
    }
}

#[test]
fn others_screens_are_large_and_heard() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada&join=1", &people(&["Bob", "Cleo"]));
        scene.wait(JOINED);
        scene.get("void fake.present('Cleo')");
        let tile = "document.querySelector('#tiles .tile.screen')";
        scene.wait(&format!(
            "{tile}?.classList.contains('pictured') && {tile}.classList.contains('large') && !{tile}.querySelector('video').paused"
        ));
        assert_eq!(
            scene.get(&format!(
                "[{tile}.getAttribute('aria-label'), {tile}.querySelector('.name').textContent]"
            )),
            json!(["Cleo’s screen", "Cleo’s screen"]),
            "{kind}"
        );
        // Her voice and her screen's sound are two things, and so are their pictures.
        assert_eq!(
            scene.get("[...document.querySelectorAll('#tiles .tile:not(#own)')].map(tile => tile.querySelector('audio').srcObject.getTracks().length)"),
            json!([1, 1, 1]),
            "{kind}"
        );
        // It is what the server is told to be looked at, larger than any camera.
        scene.wait(
            "(pictures => {
                const screen = pictures.find(({ source }) => source === '2-screen');
                return screen && pictures.every(each => each === screen || each.width < screen.width / 2);
            })(fake.sent('view').at(-1).pictures)",
        );
        scene.get("void fake.present('Cleo', false)");
        scene.wait(&format!("!{tile} && !document.querySelector('#tiles .large')"));
        assert_eq!(
            scene.get("document.querySelectorAll('#tiles .tile').length"),
            json!(3),
            "{kind}"
        );
        scene.assert_quiet();
    }
}
