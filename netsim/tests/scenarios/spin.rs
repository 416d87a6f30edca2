//! Endpoints that break the contract are named.

use std::time::{Duration, Instant};

use netsim::{Endpoint, Sim, Spin, Stuck};
use wire::{Ecn, Path, Transmit};

use crate::probe::{addr, secs};

/// What it does wrong.
struct Spinner(Spin);

impl Endpoint for Spinner {
    fn handle_datagram(&mut self, _: Instant, _: &Path, _: Ecn, _: &mut [u8]) {}

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<Transmit> {
        let path = Path::udp(addr("10.0.0.1:1"), addr("10.0.0.1:2"));
        (self.0 == Spin::Transmit).then(|| Transmit::one(path, 1))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        // In the past, always.
        (self.0 == Spin::Timeout).then(|| Instant::now() - Duration::from_secs(1))
    }
}

#[test]
fn who_spins_is_named() {
    for spin in [Spin::Timeout, Spin::Transmit] {
        let mut sim = Sim::new(1);
        let host = sim.add_host("host");
        sim.add_endpoint(host, "the spinner", Spinner(spin));
        let stuck = sim.run_for(secs(1)).unwrap_err();
        let expected = Stuck {
            endpoint: "the spinner".into(),
            at: Duration::ZERO,
            spin,
        };
        assert_eq!(stuck, expected);
        assert!(stuck.to_string().starts_with("the spinner spins"));
    }
}
