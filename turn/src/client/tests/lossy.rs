//! A network that loses, doubles and delays, in virtual time.

use super::*;
use proptest::prelude::*;

/// SplitMix64, so that a failure can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

struct Net {
    random: Random,
    /// Percent.
    loss: u64,
    /// Whether the last message to the server and to the client was lost. The next one is not then, so that one of
    /// seven always gets through.
    lost: [bool; 2],
    to_server: Vec<(Instant, Vec<u8>)>,
    to_client: Vec<(Instant, Vec<u8>)>,
}

impl Net {
    /// When the copies of a message arrive: none, one or two, 10 to 1500 ms later.
    fn arrivals(&mut self, now: Instant, direction: usize) -> Vec<Instant> {
        let dice = self.random.below(100);
        self.lost[direction] = dice < self.loss && !self.lost[direction];
        let copies = match dice {
            _ if self.lost[direction] => 0,
            91.. => 2,
            _ => 1,
        };
        (0..copies)
            .map(|_| {
                let late = if self.random.below(10) == 0 { 1500 } else { 60 };
                now + ms(10 + self.random.below(late))
            })
            .collect()
    }
}

/// Runs for `time`; the pair's own clock goes in steps of at most 10 ms.
fn run(pair: &mut Pair, net: &mut Net, time: Duration) {
    let end = pair.now + time;
    while pair.now < end {
        pair.client.handle_timeout(pair.now);
        for message in pair.poll_all() {
            for at in net.arrivals(pair.now, 0) {
                net.to_server.push((at, message.clone()));
            }
        }
        let now = pair.now;
        let arrived: Vec<_> = net.to_server.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, message) in arrived {
            if let Some(answer) = pair.server.handle(&message) {
                for at in net.arrivals(now, 1) {
                    net.to_client.push((at, answer.clone()));
                }
            }
        }
        let arrived: Vec<_> = net.to_client.extract_if(.., |(at, _)| *at <= now).collect();
        let idle = net.to_server.is_empty() && net.to_client.is_empty() && arrived.is_empty();
        for (_, answer) in arrived {
            pair.give(&answer);
        }
        pair.collect();
        // What is to be waited for is only known once everything was polled.
        let next = pair.client.poll_timeout().filter(|_| idle).unwrap_or(now).min(end);
        pair.now = next.max(now + ms(10));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// With a third of all messages lost, many doubled and some a second late, everything comes about and stays.
    #[test]
    fn what_is_wanted_comes_about_and_stays(seed: u64, loss in 0_u64..34, sha256: bool) {
        let mut pair = Pair::new(config());
        if sha256 {
            pair.server.algorithms = vec![stun::PasswordAlgorithm::SHA256];
        }
        let mut net = Net { random: Random(seed), loss, lost: [false; 2], to_server: vec![], to_client: vec![] };
        run(&mut pair, &mut net, secs(60));
        prop_assert_eq!(pair.client.state(), State::Allocated);
        pair.client.bind(pair.now, peer(1)).unwrap();
        pair.client.permit(pair.now, peer(2)).unwrap();
        run(&mut pair, &mut net, secs(60));
        prop_assert!(pair.client.is_bound(&peer(1)));
        let permitted = Event::Permitted(peer(2).ip());
        prop_assert!(pair.events.contains(&permitted));
        for n in 0..20 {
            pair.server.nonce += u32::from(n % 5 == 0);
            run(&mut pair, &mut net, secs(100));
            prop_assert_eq!(pair.client.state(), State::Allocated);
            prop_assert!(pair.client.is_bound(&peer(1)));
            prop_assert!(matches!(pair.send(peer(2), b"x"), Ok(Some(_))));
        }
        let counters = pair.client.counters();
        prop_assert_eq!(counters.turn_malformed + counters.turn_wrong_integrity + counters.turn_bid_down, 0);
        pair.client.close();
        run(&mut pair, &mut net, secs(60));
        prop_assert_eq!(pair.events.last(), Some(&Event::Closed(CloseReason::Deleted)));
    }
}
