use std::time::Duration;

use browser_test::Kind;
use serde_json::{Value, json};

use crate::{Scene, nobody};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];
const JOINED: &str = "document.body.dataset.path === 'connected'";

/// Keeps the page's peer connection in reach, and what its camera's encodings are now.
const REACH: &str = "void (() => {
    const Real = RTCPeerConnection;
    globalThis.connections = [];
    globalThis.RTCPeerConnection = class extends Real {
        constructor(...options) { super(...options); connections.push(this); }
    };
})()";
const ENCODINGS: &str =
    "(camera => camera.sender.getParameters().encodings.map(({ rid, active, scaleResolutionDownBy }) =>
    [rid ?? null, active, scaleResolutionDownBy ?? 1]))(
    connections[0].getTransceivers().find(each => each.sender.track?.kind === 'video'))";

fn join(kind: Kind, scenario: &Value, before: &str) -> Scene {
    let scene = Scene::open(kind, "/r/kitchen?name=Ada", scenario);
    scene.wait("hyaline.devices.camera");
    scene.get(REACH);
    scene.get(before);
    scene.page.click("#join .primary").unwrap();
    scene.wait(JOINED);
    scene
}

fn mid(scene: &Scene) -> Value {
    scene.get("fake.sent('sources')[0].sources[1].mid")
}

#[test]
fn the_camera_comes_in_three_sizes() {
    for kind in BOTH {
        let scene = join(kind, &json!({ "people": [], "simulcast": true }), "0");
        let offer = scene.get("fake.sent('offer')[0].sdp");
        let offer = offer.as_str().unwrap();
        assert!(
            offer.contains("a=simulcast:send q;h;f\r\n"),
            "{kind}: {}",
            offer.replace("\r\n", "\n")
        );
        let all = json!([["q", true, 4], ["h", true, 2], ["f", true, 1]]);
        scene.wait(&format!("JSON.stringify({ENCODINGS}) === '{all}'"));

        // Only what somebody looks at is encoded.
        let mid = mid(&scene);
        let send = |active: bool, rids: &Value| {
            scene.get(&format!(
                "fake.send({{ type: 'send', mid: {mid}, active: {active}, rids: {rids} }})"
            ));
        };
        send(true, &json!(["q", "f"]));
        scene.wait(&format!(
            "JSON.stringify({ENCODINGS}.map(([, active]) => active)) === '[true,false,true]'"
        ));
        send(false, &json!([]));
        scene.wait(&format!("{ENCODINGS}.every(([, active]) => !active)"));
        // It stays so across an offer, and comes back.
        scene.get("fake.send({ type: 'need', audio: 5, video: 5 })");
        scene.wait("fake.sent('offer').length === 2 && connections[0].signalingState === 'stable'");
        scene.rest();
        assert_eq!(
            scene.get(&format!("{ENCODINGS}.some(([, active]) => active)")),
            json!(false),
            "{kind}"
        );
        send(true, &json!(["q"]));
        scene.wait(&format!(
            "JSON.stringify({ENCODINGS}.map(([, active]) => active)) === '[true,false,false]'"
        ));
        scene.assert_quiet();
    }
}

/// The first of several layers is the smallest: alone, it has to be the whole picture.
#[test]
fn a_server_without_simulcast_gets_the_whole_picture() {
    for kind in BOTH {
        let scene = join(kind, &nobody(), "0");
        scene.wait(&format!("(all => all[0][1] && all[0][2] === 1)({ENCODINGS})"));
        // (Chromium starts lower and takes its time; it cannot go above its layer.)
        let width = "(async () => {
            const camera = fake.socket.peer.getTransceivers()[1];
            const stats = [...(await camera.receiver.getStats()).values()].find(({ type }) => type === 'inbound-rtp');
            return stats?.frameWidth > hyaline.devices.camera.getSettings().width / 4;
        })()";
        scene.wait(width);
        let mid = mid(&scene);
        scene.get(&format!(
            "fake.send({{ type: 'send', mid: {mid}, active: false, rids: [] }})"
        ));
        scene.wait(&format!("{ENCODINGS}.every(([, active]) => !active)"));
        scene.get(&format!(
            "fake.send({{ type: 'send', mid: {mid}, active: true, rids: [] }})"
        ));
        scene.wait(&format!("{ENCODINGS}[0][1]"));
        scene.assert_quiet();
    }
}

/// Older browsers leave `sendEncodings` aside or refuse it, and some refuse setParameters.
#[test]
fn a_browser_without_simulcast_sends_one_size() {
    let refuse = "void (() => {
        const add = RTCPeerConnection.prototype.addTransceiver;
        RTCPeerConnection.prototype.addTransceiver = function (kind, init) {
            if (init.sendEncodings) throw new TypeError('No such thing.');
            return add.call(this, kind, init);
        };
        RTCRtpSender.prototype.setParameters = async () => { throw new DOMException('No.', 'InvalidModificationError'); };
    })()";
    let ignore = "void (() => {
        const add = RTCPeerConnection.prototype.addTransceiver;
        RTCPeerConnection.prototype.addTransceiver = function (kind, { direction }) { return add.call(this, kind, { direction }); };
    })()";
    for kind in BOTH {
        for (before, obeys) in [(refuse, false), (ignore, true)] {
            let scene = join(kind, &nobody(), before);
            let offer = scene.get("fake.sent('offer')[0].sdp");
            assert!(!offer.as_str().unwrap().contains("a=simulcast"), "{kind}");
            let mid = mid(&scene);
            scene.get(&format!(
                "fake.send({{ type: 'send', mid: {mid}, active: false, rids: [] }})"
            ));
            if obeys {
                scene.wait(&format!("{ENCODINGS}.every(([, active]) => !active)"));
            }
            // About sections that there are not, too.
            scene.get("fake.send({ type: 'send', mid: 'nothing', active: false, rids: ['x'] })");
            scene.pass(Duration::from_secs(1));
            scene.assert_quiet();
        }
    }
}
