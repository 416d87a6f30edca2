//! Who gets which part of a file when: the cursors of several receivers, with a channel that the test plays.

use browser_test::Kind;
use serde_json::{Value, json};

use crate::{Scene, nobody};

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];

/// `sent` are the messages so far: [file, part, receivers], in parts of 64 KiB, of which sixteen may be on their way to one
/// receiver. `file(parts)` is one that can be read; `settle()` resolves when nothing moves any more.
fn play(kind: Kind, script: &str) -> Value {
    let scene = Scene::open(kind, "/r/kitchen?name=Ada", &nobody());
    let outcome = scene.get(&format!(
        "(async () => {{
            const {{ Sending, readChunk }} = await import('/assets/sending.js');
            const sent = [], unreadable = [];
            const channel = {{
                free: true,
                send(body, receivers) {{
                    const {{ id, offset, bytes }} = readChunk(body);
                    sent.push([id[0], offset / 65_536, receivers.join()]);
                    channel.lengths.push(bytes.length);
                    return true;
                }},
                lengths: [],
            }};
            const sending = new Sending(channel, {{ unreadable: (id, receivers) => unreadable.push([id[0], receivers]) }});
            const [one, two] = ['1', '2'].map(digit => digit.repeat(32));
            const file = parts => ({{
                size: parts * 65_536,
                slice: (from, to) => ({{ arrayBuffer: async () => new ArrayBuffer(to - from) }}),
            }});
            const settle = () => fake.clock.rest();
            const part = 65_536;
            {script}
        }})()"
    ));
    scene.assert_quiet();
    outcome
}

#[test]
fn those_at_one_place_get_one_message_and_no_more_than_a_window() {
    for kind in BOTH {
        let outcome = play(
            kind,
            "sending.add(one, file(20));
            sending.get(one, 'Bob', 0);
            sending.get(one, 'Cleo', 0);
            await settle();
            const first = [sent.length, new Set(sent.map(([, , receivers]) => receivers)).size, sent.at(-1)];
            sending.got(one, 'Bob', 4 * part);
            sending.got(one, 'Cleo', 4 * part);
            await settle();
            return [first, sent.slice(16), channel.lengths.every(length => length === part)];",
        );
        // Reading is asynchronous: both have asked before the first part is sent.
        let last: Vec<_> = (16..20).map(|part| json!(["1", part, "Bob,Cleo"])).collect();
        assert_eq!(outcome, json!([[16, 1, ["1", 15, "Bob,Cleo"]], last, true]), "{kind}");
    }
}

#[test]
fn who_is_slow_gets_his_own_copy_and_holds_up_nobody() {
    for kind in BOTH {
        let outcome = play(
            kind,
            "sending.add(one, file(40));
            sending.get(one, 'Bob', 0);
            sending.get(one, 'Slow', 0);
            await settle();
            for (let part_ = 1; part_ <= 40; part_++) {
                sending.got(one, 'Bob', part_ * part);
                await settle();
            }
            const bob = sent.filter(([, , receivers]) => receivers.includes('Bob')).map(([, part]) => part);
            const before = sent.length;
            // He goes on where he was.
            sending.got(one, 'Slow', 2 * part);
            await settle();
            return [bob.join() === [...Array(40).keys()].join(), before, sent.slice(before)];",
        );
        assert_eq!(
            outcome,
            json!([true, 40, [["1", 16, "Slow"], ["1", 17, "Slow"]]]),
            "{kind}"
        );
    }
}

#[test]
fn who_comes_later_catches_up_and_joins_the_others() {
    for kind in BOTH {
        let outcome = play(
            kind,
            "sending.add(one, file(24));
            sending.get(one, 'Bob', 4 * part);
            await settle();
            // In the middle of a part: it is made up first, and from then on their parts are the same.
            sending.get(one, 'Cleo', 19 * part + 100);
            await settle();
            sending.got(one, 'Bob', 20 * part);
            await settle();
            const rest = sent.slice(16).map(([, part, receivers]) => [Math.floor(part), receivers]);
            return [rest, channel.lengths[16]];",
        );
        let alone: Vec<_> = (19..24).map(|part| json!([part, "Cleo"])).collect();
        let late: Vec<_> = (20..24).map(|part| json!([part, "Bob"])).collect();
        let rest = [alone, late].concat();
        assert_eq!(outcome, json!([rest, 65_536 - 100]), "{kind}");

        let outcome = play(
            kind,
            "sending.add(one, file(24));
            channel.free = false;
            sending.get(one, 'Bob', 20 * part);
            sending.get(one, 'Cleo', 18 * part + 100);
            await settle();
            const before = sent.length;
            channel.free = true;
            await sending.pump();
            return [before, sent.map(([, part, receivers]) => [Math.floor(part), receivers])];",
        );
        let joined = json!([
            [18, "Cleo"],
            [19, "Cleo"],
            [20, "Bob,Cleo"],
            [21, "Bob,Cleo"],
            [22, "Bob,Cleo"],
            [23, "Bob,Cleo"]
        ]);
        assert_eq!(outcome, json!([0, joined]), "{kind}");
    }
}

#[test]
fn a_full_channel_is_waited_for_and_files_take_turns() {
    let outcome = play(
        Kind::Chromium,
        "channel.free = false;
        sending.add(one, file(3));
        sending.add(two, file(3));
        sending.get(one, 'Bob', 0);
        sending.get(two, 'Cleo', 0);
        await settle();
        const before = sent.length;
        const { send } = channel;
        channel.free = true;
        // It is full after three.
        channel.send = (...message) => { channel.free = sent.length < 2; return send(...message); };
        await sending.pump();
        const some = sent.length;
        // A channel that seems to have room and takes nothing is not tried without end.
        channel.send = () => false;
        channel.free = true;
        await sending.pump();
        channel.send = send;
        await sending.pump();
        return [before, some, sent];",
    );
    let turns = json!([
        ["1", 0, "Bob"],
        ["2", 0, "Cleo"],
        ["1", 1, "Bob"],
        ["2", 1, "Cleo"],
        ["1", 2, "Bob"],
        ["2", 2, "Cleo"]
    ]);
    assert_eq!(outcome[0], json!(0));
    assert_eq!(outcome[1], json!(3));
    // What was not taken is sent later; whose turn it was by then may be another's.
    let mut sent: Vec<_> = outcome[2].as_array().unwrap().clone();
    assert_eq!(sent[..3], turns.as_array().unwrap()[..3]);
    sent.sort_by_key(ToString::to_string);
    let mut all = turns.as_array().unwrap().clone();
    all.sort_by_key(ToString::to_string);
    assert_eq!(sent, all);
}

#[test]
fn what_cannot_be_is_not_believed() {
    let outcome = play(
        Kind::Chromium,
        "sending.add(one, file(40));
        const answers = [
            sending.get(two, 'Bob', 0), sending.get(one, 'Bob', 41 * part), sending.got(one, 'Bob', 0),
            sending.get(one, 'Bob', 10 * part),
        ];
        await settle();
        // More than was sent; less than is known; from somebody who has not asked.
        answers.push(sending.got(one, 'Bob', 27 * part), sending.got(one, 'Bob', 9 * part), sending.got(one, 'Cleo', 10 * part));
        await settle();
        answers.push(sent.length, sending.got(one, 'Bob', 26 * part));
        await settle();
        // Who is gone gets nothing more.
        const before = sent.length;
        sending.left('Bob');
        answers.push(sending.got(one, 'Bob', 30 * part));
        sending.get(one, 'Cleo', 0);
        sending.stop(one, 'Cleo');
        await settle();
        answers.push(before, sent.length, sending.receivers(one).size);
        sending.remove(one);
        answers.push(sending.get(one, 'Bob', 0));
        return answers;",
    );
    assert_eq!(
        outcome,
        json!([
            false, false, false, true, false, false, false, 16, true, false, 30, 30, 0, false
        ])
    );
}

#[test]
fn what_was_on_its_way_when_the_channel_was_closed_is_sent_again() {
    let outcome = play(
        Kind::Chromium,
        "sending.add(one, file(40));
        sending.get(one, 'Bob', 0);
        await settle();
        sending.got(one, 'Bob', 3 * part);
        await settle();
        const before = sent.length;
        channel.free = false;
        sending.again();
        channel.free = true;
        await sending.pump();
        return [before, sent[before], sent.length];",
    );
    assert_eq!(outcome, json!([19, ["1", 3, "Bob"], 35]));
}

#[test]
fn what_is_on_its_way_is_not_sent_again_unless_it_is_lost() {
    let outcome = play(
        Kind::Chromium,
        "sending.add(one, file(40));
        sending.get(one, 'Bob', 0, true);
        await settle();
        // He has two parts, and asks: so there is room for two more.
        sending.get(one, 'Bob', 2 * part, false);
        await settle();
        const first = sent.slice(16).map(([, part]) => part);
        sending.get(one, 'Bob', 3 * part, true);
        await settle();
        const second = sent.slice(18).map(([, part]) => part);
        // What came late from before it was begun anew counts.
        channel.free = false;
        sending.again();
        const late = [sending.got(one, 'Bob', 18 * part), sending.got(one, 'Bob', 20 * part)];
        channel.free = true;
        await sending.pump();
        return [first, second[0], second.length, late, sent[18 + 16]];",
    );
    assert_eq!(outcome, json!([[16, 17], 3, 16, [true, false], ["1", 18, "Bob"]]));
}

#[test]
fn who_always_goes_back_holds_up_nobody() {
    let outcome = play(
        Kind::Chromium,
        "sending.add(one, file(200));
        channel.free = false;
        sending.get(one, 'Bob', 100 * part, true);
        const { send } = channel;
        // One part at a time.
        channel.send = (...message) => { channel.free = false; return send(...message); };
        const step = async () => { channel.free = true; await sending.pump(); };
        for (let round = 0; round < 12; round++) {
            sending.get(one, 'Mallory', 0, true);
            await step();
        }
        const bob = sent.filter(([, , receivers]) => receivers === 'Bob').length;
        // Behind what he said he has, once in a second.
        sending.got(one, 'Mallory', part);
        const cursors = () => sending.receivers(one).get('Mallory') / part;
        const back = [cursors()];
        sending.get(one, 'Mallory', 0, true);
        back.push(cursors());
        sending.get(one, 'Mallory', part, true);
        sending.get(one, 'Mallory', 0, true);
        back.push(cursors());
        await fake.clock.pass(1_000);
        sending.get(one, 'Mallory', 0, true);
        back.push(cursors());
        return [bob, back];",
    );
    assert_eq!(outcome, json!([3, [1, 0, 1, 0]]));
}

#[test]
fn a_file_that_cannot_be_read_is_given_up() {
    let outcome = play(
        Kind::Chromium,
        "const broken = { ...file(4), slice: () => ({ arrayBuffer: async () => { throw new DOMException('No.', 'NotReadableError'); } }) };
        sending.add(one, broken);
        sending.add(two, file(1));
        sending.get(one, 'Bob', 0);
        sending.get(one, 'Cleo', 0);
        sending.get(two, 'Bob', 0);
        await settle();
        return [unreadable, sent, sending.get(one, 'Bob', 0)];",
    );
    assert_eq!(outcome, json!([[["1", ["Bob", "Cleo"]]], [["2", 0, "Bob"]], false]));
}
