//! What a door that asks for cookies says that it keeps is what it takes of the machine's memory. A test of its own, so that
//! nobody else takes any meanwhile.
#![cfg(target_os = "linux")]

mod door;
mod pair;

use door::{BOTH, Scene, body_of, fake, part};
use dtls_srtp::{CookieLimits, Exchanged};

/// Bytes of this process that are in memory, with all that the allocator adds.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}

/// Fills the room twice over with what each of many addresses sends; what it says that it keeps, and what it took.
fn flood(scene: &mut Scene, datagrams: &[Vec<u8>]) -> (usize, usize) {
    let before = resident_bytes();
    let mut addresses = 0_u32;
    let mut kept = None;
    while kept.is_none_or(|kept| addresses < 2 * kept) {
        addresses += 1;
        // In no order.
        let source = addresses.wrapping_mul(0x9e37_79b1).to_be_bytes();
        for datagram in datagrams {
            assert!(matches!(scene.knock(&source, datagram), Exchanged::Nothing));
        }
        if scene.door.counters().abandoned_hellos > 0 {
            kept.get_or_insert(addresses);
        }
    }
    (scene.door.held_bytes(), resident_bytes().saturating_sub(before))
}

#[test]
fn held_bytes_are_those_of_the_machine() {
    let limits = CookieLimits {
        held_bytes: 16 << 20,
        ..CookieLimits::default()
    };
    let hello = Scene::new(fake(1, BOTH), fake(2, BOTH)).said();
    let body = body_of(&hello);
    let cut = |len: usize, step: usize| -> Vec<Vec<u8>> {
        let starts = (0..body.len() - len).step_by(step).take(32);
        starts
            .map(|at| part(0, 0, body.len(), at, &body[at..at + len]))
            .collect()
    };
    let kinds = [
        ("the first datagram", vec![hello[0].clone()]),
        ("the second datagram", vec![hello[1].clone()]),
        ("the first byte", vec![part(0, 0, body.len(), 0, &body[..1])]),
        ("the last byte of 16 KiB", vec![part(0, 0, 16384, 16383, &[0])]),
        ("one byte out of three", cut(1, 3)),
        ("a part that grows", cut(37, 37)),
        ("parts that grow together", [cut(20, 40), cut(30, 40)].concat()),
    ];
    // All stay where they are: what is given back might be taken again.
    let mut scenes = Vec::new();
    for (kind, datagrams) in kinds {
        let mut scene = Scene::with_limits(fake(1, BOTH), fake(2, BOTH), limits);
        let (held, taken) = flood(&mut scene, &datagrams);
        println!("{kind}: {held} bytes held, {taken} taken");
        assert!(held > limits.held_bytes / 10 * 9 && held <= limits.held_bytes, "{kind}");
        assert!(taken <= held / 10 * 11, "{kind}: {taken} bytes for {held}");
        assert!(taken > held / 2, "{kind}: {taken} bytes for {held}");
        scenes.push(scene);
    }
}
