//! Data channels between a peer of ours and a browser, with nobody between them: channels that the two have agreed on by
//! themselves, and an association that signalling sets up (SNAP).

use std::time::Duration;

use browser_test::{Browser, Kind, Options, Page};
use peer::{ChannelInit, Direction, Event, Peer, Reliability};
use serde_json::{Value, json};

use crate::BOTH;
use crate::arena::Arena;
use crate::direct::{Caller, DIRECT, Told, meet_as};

const PATIENCE: Duration = Duration::from_secs(60);
/// Of `WebRTC-Sctp-Snap` of Chromium.
const SNAP: &str = "--force-fieldtrials=WebRTC-Sctp-Snap/Enabled/";

/// The kinds of `data.kinds`, on streams of either parity.
fn agreed() -> Vec<ChannelInit> {
    use Reliability::{Lifetime, Reliable, Retransmissions};
    let kinds = [
        (true, Reliable),
        (false, Reliable),
        (true, Retransmissions(3)),
        (false, Retransmissions(0)),
        (true, Lifetime(3000)),
        (false, Lifetime(500)),
    ];
    let channel = |(stream, (ordered, reliability))| {
        let mut init = ChannelInit::new("agreed");
        init.negotiated = Some(stream);
        (init.ordered, init.reliability) = (ordered, reliability);
        init
    };
    (0..).zip(kinds).map(channel).collect()
}

fn open(peer: &mut Peer) {
    for init in agreed() {
        peer.open_channel(std::time::Instant::now(), init).unwrap();
    }
}

fn run(page: &Page, script: &str) -> Value {
    page.evaluate_within(script, PATIENCE)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A call with data channels, in which ours has SNAP or has it not: what ours came to know, in order.
fn call(arena: &Arena, browser: &Browser, kind: Kind, ours_offers: bool, snap: bool) -> Vec<Event> {
    let script = format!("{DIRECT}{}", include_str!("data.js"));
    let page = browser.open_with(&arena.url("/healthz"), &script).unwrap();
    run(&page, "data.agree(direct.pc)");
    let mut caller = Caller::with(arena, |config| {
        config.application = true;
        config.snap = snap;
        None
    });
    caller.returns_messages();
    if ours_offers {
        caller
            .peer
            .add_section(peer::Kind::Application, Direction::SendRecv)
            .unwrap();
        open(&mut caller.peer);
    }
    let role = dtls_srtp::Role::Server;
    let events = std::cell::RefCell::new(Vec::new());
    meet_as(role, caller, &page, kind, Told::Both, ours_offers, |call| {
        if !ours_offers {
            open(&mut call.ours().peer);
        }
        let wrong = run(&page, "data.echoAgreed([0, 1, 1200, 65536, 262144])");
        assert_eq!(wrong, json!([]), "{kind:?}, ours offers: {ours_offers}");
        if snap {
            for description in ["localDescription", "remoteDescription"] {
                let sdp = call.run(&format!("direct.pc.{description}.sdp"));
                assert!(sdp.as_str().unwrap().contains("a=sctp-init:"), "{sdp}");
            }
        }
        events.borrow_mut().extend_from_slice(call.ours().events());
    });
    events.into_inner()
}

fn place(events: &[Event], wanted: impl Fn(&Event) -> bool) -> usize {
    events.iter().position(wanted).unwrap_or_else(|| panic!("{events:?}"))
}

#[test]
fn channels_that_both_ends_agree_on_need_no_opening() {
    for kind in BOTH {
        let arena = Arena::new();
        let browser = arena.launch(kind);
        for ours_offers in [true, false] {
            call(&arena, &browser, kind, ours_offers, false);
        }
    }
}

#[test]
fn signalling_sets_up_the_association_with_chromium() {
    let arena = Arena::new();
    let options = Options {
        flags: vec![SNAP.to_owned()],
        ..Options::within(&arena.network)
    };
    let browser = Browser::launch(Kind::Chromium, &options).unwrap_or_else(|error| panic!("{error}"));
    for ours_offers in [true, false] {
        let events = call(&arena, &browser, Kind::Chromium, ours_offers, true);
        let connected = place(&events, |event| *event == Event::DataConnected);
        let secured = place(&events, |event| matches!(event, Event::Secured(_)));
        assert!(connected < secured, "before there is DTLS: {events:?}");
    }
}
