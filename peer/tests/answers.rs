//! Answers to the browsers' own offers, held to the rules of the RFCs.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use dtls_srtp::fake::{self, FakeCrypto};
use peer::testing::check_answer;
use peer::{Config, Peer};
use wire::Seed;

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/sdp")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn offers() -> Vec<String> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/sdp");
    let names = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter(|name| name.ends_with("-offer.sdp") || name.ends_with("-offer-trickle.sdp"))
        .collect();
    names.sort();
    names
}

fn config() -> Config {
    Config::new(Arc::new(dtls_srtp::Config::new(
        Arc::new(FakeCrypto::new()),
        fake::certificate(1),
    )))
}

fn peer(config: Config, run: u64) -> Peer {
    let mut peer = Peer::new(Arc::new(config), Seed::from_run(run), Instant::now());
    peer.add_local_candidate("192.0.2.1:3478".parse().unwrap());
    peer.add_local_candidate("[2001:db8::1]:3478".parse().unwrap());
    peer
}

#[test]
fn every_offer_of_both_browsers_gets_a_valid_answer() {
    let configs: [fn() -> Config; 5] = [
        config,
        || Config {
            application: true,
            ..config()
        },
        || Config {
            send: false,
            simulcast: false,
            ..config()
        },
        || Config {
            receive: false,
            rtx: false,
            ..config()
        },
        || Config {
            video_codecs: peer::Codec::by_name("av1").unwrap().to_vec(),
            ..config()
        },
    ];
    let offers = offers();
    assert!(offers.len() > 60, "the fixtures are there");
    for name in offers {
        // An offer that is ICE-lite too is answered only by a full agent.
        let offer = fixture(&name).replace("a=ice-lite\r\n", "");
        for config in configs {
            let answer = peer(config(), 1)
                .accept_offer(Instant::now(), &offer)
                .unwrap_or_else(|e| panic!("{name}: {e}"));
            check_answer(&offer, &answer, None).unwrap_or_else(|rule| panic!("{name}: {rule}\n{answer}"));
        }
    }
}
