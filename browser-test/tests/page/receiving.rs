//! What becomes of the parts of a file that come, with a place that the test plays.

use browser_test::Kind;
use serde_json::{Value, json};

use crate::{Scene, nobody};

/// `told` is what the owner heard: [type, offset, again]. A place writes when the test says `write()`, one part after the other;
/// `come(from, to)` is what comes of a file, in parts of 64 KiB.
fn play(script: &str) -> Value {
    let scene = Scene::open(Kind::Chromium, "/r/kitchen?name=Ada", &nobody());
    let outcome = scene.get(&format!(
        "(async () => {{
            const {{ Receiving }} = await import('/assets/receiving.js');
            const told = [], done = [], failed = [], writes = [];
            const receiving = new Receiving({{
                tell: ({{ type, offset, again = null }}) => told.push([type, offset, again]),
                came() {{}},
                done: ({{ id }}) => done.push(id[0]),
                failed: ({{ id }}, {{ code }}) => failed.push([id[0], code]),
            }});
            const place = {{
                write: () => new Promise(resolve => writes.push(resolve)),
                finish: async () => null,
                discard: async () => {{}},
            }};
            const settle = () => fake.clock.rest();
            const write = async () => {{ await settle(); writes.shift()(); await settle(); }};
            const part = 65_536, one = {{ id: '1'.repeat(32), name: 'tea.bin' }};
            const begin = size => receiving.begin(Object.assign(one, {{ size }}), place);
            const come = (from, to, length = part) => {{
                for (let which = from; which < to; which++) receiving.take('Bob', {{ id: one.id, offset: which * length, bytes: new Uint8Array(length) }});
            }};
            {script}
        }})()"
    ));
    scene.assert_quiet();
    outcome
}

#[test]
fn what_is_not_yet_written_is_not_there() {
    let outcome = play(
        "begin(2 * part);
        receiving.ask(one, 'Bob');
        come(0, 2);
        await settle();
        // The channel is opened again, while the last part still has to be written.
        receiving.ask(one, 'Bob');
        await settle();
        const before = [done.length, told.slice()];
        await write();
        const between = done.length;
        await write();
        receiving.ask(one, 'Bob'); // it is gone from here
        return [before, between, done, told.at(-1), failed];",
    );
    assert_eq!(
        outcome,
        json!([[0, [["get", 0, true]]], 0, ["1"], ["got", 131_072, null], []])
    );
}

#[test]
fn who_asks_again_is_ever_more_patient_until_something_comes() {
    let outcome = play(
        "begin(8 * part);
        receiving.ask(one, 'Bob');
        const asked = async seconds => {
            told.length = 0;
            await fake.clock.pass(1_000 * seconds);
            return told.map(([, offset, again]) => [offset / part, again]);
        };
        // 5, 15, 35 and 75 s.
        const waits = [await asked(4), await asked(2), await asked(8), await asked(2), await asked(18), await asked(2), await asked(38), await asked(2)];
        come(0, 1);
        waits.push(await asked(18)); // the disk is slow, not the owner
        await write();
        waits.push(await asked(3));
        // A part that is here already is a sign of life.
        await asked(8);
        come(0, 1);
        waits.push(await asked(9), await asked(2));
        return waits;",
    );
    assert_eq!(
        outcome,
        json!([
            [],
            [[0, false]],
            [],
            [[0, false]],
            [],
            [[0, true]],
            [],
            [[0, true]],
            [],
            [[1, false]],
            [],
            [[1, false]]
        ])
    );
}

/// Its owner, or somebody who plays one, could fill the memory with what is tiny but many.
#[test]
fn no_more_waits_to_be_written_than_may() {
    let outcome = play(
        "begin(100 * part);
        receiving.ask(one, 'Bob');
        come(0, 200, 10);
        const many = [receiving.length(one), told.slice(1)];
        for (let n = 0; n < 128; n++) await write();
        come(128, 129, 10);
        return [many, receiving.length(one)];",
    );
    assert_eq!(outcome, json!([[1_280, [["get", 1_280, true]]], 1_290]));
}
