//! Two engines and nothing between them.

use std::sync::Arc;
use std::time::Instant;

use wire::Seed;

use crate::dtls::{Dtls, Role};
use crate::registry::Version;
use crate::{Config, fake};

/// For DTLS 1.3 alone, on fake cryptography.
pub(crate) fn config(number: u64) -> Config {
    Config {
        versions: vec![Version::DTLS_1_3],
        ..Config::new(Arc::new(fake::FakeCrypto::new()), fake::certificate(number))
    }
}

/// A client and a server.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) client: Dtls,
    pub(crate) server: Dtls,
}

impl Pair {
    pub(crate) fn connected() -> Self {
        Self::connected_as(config)
    }

    pub(crate) fn connected_as(config: impl Fn(u64) -> Config) -> Self {
        let mut pair = Self::of(config);
        pair.exchange();
        assert!(pair.client.is_connected() && pair.server.is_connected() && pair.client.is_13());
        pair
    }

    pub(crate) fn new() -> Self {
        Self::of(config)
    }

    /// The client has the first configuration, the server the second.
    pub(crate) fn of(config: impl Fn(u64) -> Config) -> Self {
        let now = Instant::now();
        let end = |role, number| {
            let mut dtls = Dtls::new(Arc::new(config(number)), role, Seed::from_run(number), now);
            dtls.set_remote_fingerprints(vec![fake::certificate(3 - number).fingerprint()]);
            dtls
        };
        Self {
            now,
            client: end(Role::Client, 1),
            server: end(Role::Server, 2),
        }
    }

    /// Until nobody has anything to say.
    pub(crate) fn exchange(&mut self) {
        self.exchange_if(|_| true);
    }

    /// The same, but of what the server sends only this arrives.
    pub(crate) fn exchange_if(&mut self, arrives: impl Fn(&[u8]) -> bool) {
        let mut quiet = 0;
        while quiet < 2 {
            quiet += 1;
            let mut out = [0; 1200];
            while let Some(len) = self.client.poll_transmit(self.now, &mut out) {
                self.server.handle_datagram(self.now, &mut out[..len], &mut |_| ());
                quiet = 0;
            }
            while let Some(len) = self.server.poll_transmit(self.now, &mut out) {
                if arrives(&out[..len]) {
                    self.client.handle_datagram(self.now, &mut out[..len], &mut |_| ());
                }
                quiet = 0;
            }
        }
    }
}
