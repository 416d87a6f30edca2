use browser_test::Kind;
use serde_json::json;

use crate::{Scene, people};

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
