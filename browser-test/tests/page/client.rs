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
                SharedFile: new client.SharedFile({ id: '1', name: 'x', size: 1, mime: '' }, true, 'x'),
                Problem: new client.Problem('x', 'x'),
            };
            const wrong = [];
            const said = [...types.matchAll(/^export class (\w+)/gm)].map(([, name]) => name);
            if (said.sort().join() !== Object.keys(client).sort().join()) wrong.push(['classes', said]);
            for (const name of said) {
                const body = types.split(`export class ${name} `)[1].split('\n}')[0];
                const declared = [...body.matchAll(/^  (?:readonly )?(\w+)[(:<?]/gm)].map(([, member]) => member);
                // What every error and event target has is said by their own types.
                const inherited = ['message', 'name', 'stack', 'constructor', 'addEventListener'].filter(member => !['Participant', 'SharedFile'].includes(name) && !(name === 'Room' && member === 'name'));
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
                synchrony.carries(picture, 'somebody');
                const waits = [[picture.jitterBufferTarget, 'in the beginning']];
                let waited = 0, played = 0, more;
                const step = (seconds, ms, what) => {
                    waited += seconds * 48_000 * ms / 1_000;
                    played += seconds * 48_000;
                    const entry = { id: 'a', type: 'inbound-rtp', kind: 'audio', trackIdentifier: sound.track.id,
                        jitterBufferDelay: waited + (more ?? 0),
                        jitterBufferMinimumDelay: more && 1, jitterBufferTargetDelay: more && 1 + more,
                        jitterBufferEmittedCount: played };
                    const other = { ...entry, id: 'b', trackIdentifier: 'another', jitterBufferDelay: 900 * played };
                    synchrony.heed(new Map([['a', entry], ['b', other]]), [{ sound, picture }]);
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
                [50, "another picture"]
            ]),
            "{kind}"
        );
    }
}

/// What the browser's own estimates of when the two are played add to that, in a model of a browser: sound goes through a
/// device, or is made to wait for late pictures; pictures wait for less than they are told to, or are not shown at all.
#[test]
fn pictures_wait_for_what_delays_sound_beside() {
    for kind in BOTH {
        let scene = Scene::open(kind, "/r/kitchen?name=Ada", &people(&[]));
        let waits = scene.get(
            "(async () => {
                const { Synchrony } = await import('/assets/synchrony.js');
                const pc = new RTCPeerConnection();
                const [sound, picture] = ['audio', 'video'].map(kind => pc.addTransceiver(kind).receiver);
                const synchrony = new Synchrony();
                synchrony.begin(picture);
                const sums = { waited: 0, needed: 0, target: 0, played: 0, shown: 0, at: 0, behind: 0 };
                const waits = [];
                let world = { wait: 90, late: 0, goal: 0, added: 0, device: 0, short: 0, leap: 0, frames: 15, seconds: 0.5 }, pw = 50;
                const look = (what, change, times = 5) => {
                    world = { ...world, ...change };
                    for (let time = 0; time < times; time++) {
                        const { wait, late, goal, added, device, short, leap, frames, seconds } = world;
                        sums.played += 48_000 * seconds;
                        sums.waited += 48 * seconds * (wait + added);
                        sums.needed += 48 * seconds * goal;
                        sums.target += 48 * seconds * (goal + added);
                        sums.shown += frames;
                        sums.at += 500;
                        // Browsers change it by 100 ms per second at most.
                        pw += Math.max(-50, Math.min(50, picture.jitterBufferTarget - pw));
                        // The estimate runs on when nothing is shown.
                        if (frames) sums.behind = pw - short;
                        synchrony.heed(new Map([
                            ['a', { type: 'inbound-rtp', kind: 'audio', trackIdentifier: sound.track.id, timestamp: sums.at,
                                jitterBufferDelay: sums.waited, jitterBufferMinimumDelay: sums.needed,
                                jitterBufferTargetDelay: sums.target, jitterBufferEmittedCount: sums.played,
                                estimatedPlayoutTimestamp: sums.at - leap - late - wait - added - device }],
                            ['v', { type: 'inbound-rtp', kind: 'video', trackIdentifier: picture.track.id, timestamp: sums.at,
                                framesDecoded: sums.shown, estimatedPlayoutTimestamp: sums.at - leap - sums.behind }],
                        ]), [{ sound, picture }]);
                    }
                    waits.push([picture.jitterBufferTarget, what]);
                };
                look('nothing belongs to them', {}, 3);
                synchrony.carries(picture, 'Ada');
                look('pictures wait as their sound', {}, 1);
                look('a device is seen by and by', { device: 30 }, 2);
                look('after three looks that tell of it', {}, 3);
                look('it stays', {}, 20);
                look('another wait is followed at once', { wait: 290 }, 1);
                look('and no further', {}, 1);
                look('nor later', {}, 10);
                look('and back', { wait: 90 }, 1);
                look('sound that comes later waits for less, and is played as before', { wait: 40, late: 50 }, 20);
                look('and is made to wait as it was', { wait: 90 }, 1);
                look('and comes as it did', { wait: 140, late: 0 }, 20);
                look('and waits as it did', { wait: 90 }, 1);
                look('what is added for late pictures counts for nothing', { added: 100 }, 20);
                look('nor does its end', { added: 0 }, 20);
                look('pictures that do not wait as told are told more', { short: 40 });
                look('which is enough', {}, 20);
                look('until they do', { short: 0 });
                look('pictures that wait longer than told are told less', { short: -50 });
                look('until they do not', { short: 0 });
                look('one that is far off changes nothing', { short: 90 }, 1);
                look('nor two', {}, 1);
                look('nothing is shown', { short: 0, frames: 0 }, 20);
                look('and again', { frames: 15 }, 20);
                look('sound that is estimated far off once changes nothing', { device: 250 }, 1);
                look('nor that it is not any more', { device: 30 }, 1);
                look('nor later', {}, 10);
                look('a clock that leaps changes nothing', { leap: 200 }, 1);
                look('nor at the next look', {}, 1);
                look('nor when all is learned anew', {}, 10);
                look('and back', { leap: 0 }, 1);
                look('nor then', {}, 1);
                look('nor later', {}, 10);
                look('sound means to wait longer', { goal: 150 }, 1);
                look('for three seconds', {}, 5);
                look('and no longer', {}, 1);
                look('it does', { wait: 150 }, 10);
                look('sound that waits longer and plays earlier is of another clock', { wait: 190, device: -60 }, 1);
                look('which is followed when it is seen twice', {}, 1);
                look('and back', { wait: 150, device: 30 }, 1);
                look('once more', {}, 10);
                look('sound is of another clock', { wait: 190, device: -60 }, 1);
                look('while nothing is shown this is not seen', { frames: 0 }, 3);
                look('but then', { frames: 15 }, 2);
                look('and as it was', { wait: 150, device: 30 }, 10);
                look('sound that is somewhere else each time', { wait: 170, device: 90 }, 1);
                look('pictures wait for as long', { wait: 200, device: -40 }, 1);
                look('until it settles', { wait: 150, device: 30 }, 10);
                look('doubts about somebody', { wait: 190, device: -60 }, 1);
                look('who shows nothing', { frames: 0 }, 3);
                synchrony.carries(picture, 'Bob');
                look('are none about somebody else', { wait: 60, device: 30 }, 1);
                synchrony.carries(picture, 'Ada');
                look('nor do they come back', { wait: 150, frames: 15 }, 10);
                look('two people', { wait: 90, goal: 0, device: 900 }, 2);
                look('another device', { device: 250 }, 1);
                look('is believed when it is seen twice', {}, 1);
                look('and stays', {}, 8);
                synchrony.carries(picture, 'Ada');
                look('still the same', {}, 1);
                synchrony.carries(picture, 'Bob');
                look('somebody else has the same device', {}, 1);
                look('and keeps it', {}, 10);
                synchrony.carries(picture, 'Dora');
                look('sound of somebody new that comes late is played as late as that', { wait: 40, late: 100 }, 1);
                look('and when it comes in time', { wait: 90, late: 0 }, 10);
                synchrony.carries(picture, 'Cleo');
                look('who is silent', { seconds: 0 }, 3);
                look('waits for nothing but the device', {}, 1);
                look('until there is sound', { seconds: 0.5 }, 1);
                synchrony.begin(picture);
                look('without sound there is nothing to wait for', { seconds: 0.4 }, 1);
                return waits;
            })()",
        );
        assert_eq!(
            waits,
            json!([
                [50, "nothing belongs to them"],
                [90, "pictures wait as their sound"],
                [120, "a device is seen by and by"],
                [120, "after three looks that tell of it"],
                [120, "it stays"],
                [320, "another wait is followed at once"],
                [320, "and no further"],
                [320, "nor later"],
                [120, "and back"],
                [120, "sound that comes later waits for less, and is played as before"],
                [170, "and is made to wait as it was"],
                [170, "and comes as it did"],
                [120, "and waits as it did"],
                [120, "what is added for late pictures counts for nothing"],
                [120, "nor does its end"],
                [160, "pictures that do not wait as told are told more"],
                [160, "which is enough"],
                [120, "until they do"],
                [70, "pictures that wait longer than told are told less"],
                [120, "until they do not"],
                [120, "one that is far off changes nothing"],
                [120, "nor two"],
                [120, "nothing is shown"],
                [120, "and again"],
                [120, "sound that is estimated far off once changes nothing"],
                [120, "nor that it is not any more"],
                [120, "nor later"],
                [120, "a clock that leaps changes nothing"],
                [120, "nor at the next look"],
                [120, "nor when all is learned anew"],
                [120, "and back"],
                [120, "nor then"],
                [120, "nor later"],
                [150, "sound means to wait longer"],
                [150, "for three seconds"],
                [120, "and no longer"],
                [180, "it does"],
                [180, "sound that waits longer and plays earlier is of another clock"],
                [130, "which is followed when it is seen twice"],
                [130, "and back"],
                [180, "once more"],
                [180, "sound is of another clock"],
                [180, "while nothing is shown this is not seen"],
                [130, "but then"],
                [180, "and as it was"],
                [180, "sound that is somewhere else each time"],
                [230, "pictures wait for as long"],
                [180, "until it settles"],
                [180, "doubts about somebody"],
                [180, "who shows nothing"],
                [90, "are none about somebody else"],
                [180, "nor do they come back"],
                [120, "two people"],
                [120, "another device"],
                [340, "is believed when it is seen twice"],
                [340, "and stays"],
                [340, "still the same"],
                [340, "somebody else has the same device"],
                [340, "and keeps it"],
                [390, "sound of somebody new that comes late is played as late as that"],
                [340, "and when it comes in time"],
                [340, "who is silent"],
                [300, "waits for nothing but the device"],
                [340, "until there is sound"],
                [50, "without sound there is nothing to wait for"]
            ]),
            "{kind}"
        );
    }
}
