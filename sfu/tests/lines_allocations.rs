//! What a member says is kept once, however many hear it.

mod talk;

use std::alloc::System;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use peer::ChannelInit;
use sfu::Role;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use talk::Talk;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes allocated inside the SFU, and how many there were in all when the SFU was last called.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static BEFORE: AtomicUsize = AtomicUsize::new(0);

fn watch(after: bool) {
    let all = ALLOCATOR.stats().bytes_allocated;
    if after {
        INSIDE.fetch_add(all - BEFORE.load(Ordering::Relaxed), Ordering::Relaxed);
    } else {
        BEFORE.store(all, Ordering::Relaxed);
    }
}

#[test]
fn a_message_is_copied_once_for_all() {
    const LEN: usize = 16_000;
    const MEMBERS: usize = 30;
    let mut talk = Talk::new(|_, _| {});
    let members: Vec<_> = (0..MEMBERS)
        .map(|_| talk.talker("tea", Role::Member, ChannelInit::new("files")))
        .collect();
    let (who, channel) = members[0];
    let mut message = vec![7; LEN];
    message[0] = b'\n';
    // What queues and tables take is taken the first time.
    for _ in 0..3 {
        INSIDE.store(0, Ordering::Relaxed);
        talk.send(who, channel, message.clone()).unwrap();
        talk.watch = watch;
        talk.run(Duration::from_secs(1));
    }
    for (other, _) in &members[1..] {
        assert_eq!(talk.heard(*other).len(), 3);
    }
    // Once while it comes, once as it goes on, and some for those who hear it.
    let inside = INSIDE.load(Ordering::Relaxed);
    assert!((LEN..3 * LEN).contains(&inside), "{inside}");
}
