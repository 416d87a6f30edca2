use browser_test::Kind;
use serde_json::json;

use crate::{Scene, people};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];

/// The types tell of every public member of what `hyaline.js` exports, and of nothing else.
#[test]
fn the_types_are_those_of_the_client() {
    let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada", &people(&[]));
    let wrong = scene.get(
        r"(async () => {
            const types = await (await fetch('/assets/hyaline.d.ts')).text();
            const client = await import('/assets/hyaline.js');
            const made = {
                Room: new client.Room('/', { name: 'x', devices: new client.Devices() }),
                Devices: new client.Devices(),
                Participant: new client.Participant('1', 'x', []),
                Problem: new client.Problem('x', 'x'),
            };
            const wrong = [];
            const said = [...types.matchAll(/^export class (\w+)/gm)].map(([, name]) => name);
            if (said.sort().join() !== Object.keys(client).sort().join()) wrong.push(['classes', said]);
            for (const name of said) {
                const body = types.split(`export class ${name} `)[1].split('\n}')[0];
                const declared = [...body.matchAll(/^  (?:readonly )?(\w+)[(:<?]/gm)].map(([, member]) => member);
                // What every error and event target has is said by their own types.
                const inherited = ['message', 'name', 'stack', 'constructor', 'addEventListener'].filter(member => name !== 'Participant' && !(name === 'Room' && member === 'name'));
                const real = [...Object.keys(made[name]), ...Object.getOwnPropertyNames(client[name].prototype)];
                for (const member of real) if (!declared.includes(member) && !inherited.includes(member)) wrong.push([name, member, 'has no type']);
                for (const member of declared) if (!(member in made[name])) wrong.push([name, member, 'is not there']);
            }
            return wrong;
        })()",
    );
    assert_eq!(wrong, json!([]));
}

/// The example of the client library's page, as it stands there.
#[test]
fn the_example_works() {
    let docs = include_str!("../../../docs/client.md");
    let example = docs.split("```js\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(example.lines().count() <= 30);
    for kind in [Kind::Chromium, Kind::Firefox] {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada", &people(&["Bob", "Cleo"]));
        scene.wait("globalThis.hyaline?.devices.camera");
        // On a page of its own there is nothing else; the policy of this one allows no inline script, but its test may.
        scene.get("void document.querySelector('main, #lobby').remove()");
        let body = example
            .replace("import ", "const ")
            .replace(" from './hyaline.js'", " = await import('/assets/hyaline.js')");
        scene.get(&format!("(async () => {{ {body} }})()"));
        scene.wait("document.querySelectorAll('body > figure').length === 2");
        scene.wait(
            "[...document.querySelectorAll('figure video')].every(video => video.videoWidth > 0 && !video.paused)",
        );
        scene.get("fake.send({ type: 'speakers', dominant: '2', speaking: ['2'] })");
        scene.wait("[...document.querySelectorAll('figure.speaking figcaption')].map(({ textContent }) => textContent).join() === 'Cleo'");
        scene.get("void fake.depart('Bob')");
        scene.wait("document.querySelectorAll('body > figure').length === 1");
        assert_eq!(
            scene.get(
                "[document.querySelector('figcaption').textContent, document.querySelector('figure audio').paused]"
            ),
            json!(["Cleo", false]),
            "{kind}"
        );
        scene.assert_quiet();
    }
}

/// By the figures as browsers give them, on the receivers that they have.
#[test]
fn pictures_wait_as_long_as_their_sound() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada", &people(&[]));
        let waits = scene.get(
            "(async () => {
                const { Synchrony } = await import('/assets/synchrony.js');
                const pc = new RTCPeerConnection();
                const [sound, picture, lonely] = ['audio', 'video', 'video'].map(kind => pc.addTransceiver(kind).receiver);
                const synchrony = new Synchrony();
                synchrony.begin(picture);
                synchrony.begin(lonely);
                const waits = [[picture.jitterBufferTarget, 'in the beginning']];
                let waited = 0, played = 0, needed = 0, more = 0, at = 0, device;
                const step = (seconds, ms, what, goal = 0) => {
                    waited += seconds * 48_000 * ms / 1_000;
                    needed += seconds * 48_000 * goal / 1_000;
                    played += seconds * 48_000;
                    const entry = { id: 'a', type: 'inbound-rtp', kind: 'audio', trackIdentifier: sound.track.id,
                        jitterBufferDelay: waited + more,
                        jitterBufferMinimumDelay: needed, jitterBufferTargetDelay: needed + more,
                        jitterBufferEmittedCount: played };
                    const other = { ...entry, id: 'b', trackIdentifier: 'another', jitterBufferDelay: 900 * played };
                    // Pictures wait as long as they were told to, sound goes through a device beside.
                    at += 1_000 * seconds;
                    entry.estimatedPlayoutTimestamp = at - (ms + device - picture.jitterBufferTarget);
                    const seen = { id: 'c', type: 'inbound-rtp', kind: 'video', trackIdentifier: picture.track.id,
                        estimatedPlayoutTimestamp: at };
                    synchrony.heed(new Map([['a', entry], ['b', other], ['c', seen]]), [{ sound, picture }]);
                    waits.push([picture.jitterBufferTarget, what]);
                };
                step(0, 0, 'before any sound');
                step(1, 40, 'at least this long');
                step(1, 120, 'as the sound does');
                step(1, 128, 'nearly so');
                step(0.1, 200, 'too little to tell');
                step(0.1, 160, 'now it is enough');
                step(0, 0, 'nobody speaks');
                step(1, 3_000, 'at most this long');
                step(1, 60, 'the link is good again');
                waited = played = 0;
                step(1, 90, 'sums that began anew');
                more = 0.1 * 48_000;
                step(1, 90, 'what is added for late pictures does not count');
                more = 0;
                waited = played = needed = 0;
                device = 30;
                step(1, 90, 'not known when it was played before');
                step(1, 90, 'and through the device');
                step(1, 140, 'which is the same in another wait');
                step(1, 90, 'and back');
                step(1, 90, 'it means to wait longer', 150);
                step(1, 150, 'it does', 150);
                step(1, 90, 'and no longer', 60);
                device = 70;
                step(1, 90, 'seen once only');
                step(1, 90, 'twice');
                step(1, 90, 'more often than not');
                device = 400;
                for (let time = 0; time < 3; time++) step(1, 90, 'two people');
                waits.push([lonely.jitterBufferTarget, 'another picture']);
                return waits;
            })()",
        );
        assert_eq!(
            waits,
            json!([
                [50, "in the beginning"],
                [50, "before any sound"],
                [50, "at least this long"],
                [120, "as the sound does"],
                [120, "nearly so"],
                [120, "too little to tell"],
                [180, "now it is enough"],
                [180, "nobody speaks"],
                [500, "at most this long"],
                [60, "the link is good again"],
                [90, "sums that began anew"],
                [90, "what is added for late pictures does not count"],
                [90, "not known when it was played before"],
                [120, "and through the device"],
                [170, "which is the same in another wait"],
                [120, "and back"],
                [150, "it means to wait longer"],
                [180, "it does"],
                [120, "and no longer"],
                [120, "seen once only"],
                [120, "twice"],
                [160, "more often than not"],
                [160, "two people"],
                [160, "two people"],
                [160, "two people"],
                [50, "another picture"]
            ]),
            "{kind}"
        );
    }
}
