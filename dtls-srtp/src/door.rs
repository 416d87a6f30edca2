//! What a server does about the client's address: with a cookie, when one is wanted.

use std::time::Instant;

use crate::cookie::{CookieExchange, CookieLimits, Exchanged, ProvenHello};
use crate::dtls::{Dtls, Handshake, State};
use crate::negotiation::check_policy;
use crate::v13;

impl Dtls {
    /// From here on datagrams have to prove where they come from first.
    pub(crate) fn await_cookie(&mut self, now: Instant) {
        let config = self.association.config.clone();
        let limits = CookieLimits {
            held_bytes: config.max_pending,
            ..CookieLimits::default()
        };
        let seed = self.association.seed();
        self.cookie_exchange = Some(Box::new(CookieExchange::new(config, limits, seed, now)));
    }

    /// Takes a datagram of somebody who is not proven.
    pub(crate) fn handle_stranger(&mut self, now: Instant, datagram: &[u8]) {
        let Some(door) = &mut self.cookie_exchange else {
            return;
        };
        let mut out = [0; CookieExchange::MIN_OUT];
        // There is one address, and the cookies of others have other keys.
        match door.handle_datagram(now, &[], datagram, &mut out) {
            Exchanged::Answer(len) => self.cookie_answer = out.get(..len).map(<[u8]>::to_vec),
            Exchanged::Proven(hello) => {
                self.close_door();
                self.go_on_from(*hello, now);
            }
            Exchanged::Nothing => {}
        }
    }

    /// Nobody is asked for a cookie any more.
    pub(crate) fn close_door(&mut self) {
        if let Some(door) = self.cookie_exchange.take() {
            self.counters.absorb(door.counters());
        }
        self.cookie_answer = None;
    }

    /// Goes on as a server whose client has proven its address.
    pub(crate) fn go_on_from(&mut self, hello: ProvenHello, now: Instant) {
        self.association.start_clock(now);
        self.association.go_on_from(hello.message_seq, hello.record_sequence);
        self.reassembler = hello.reassembler;
        // A second hello of DTLS 1.3 does not pass where first ones are looked at.
        if let Err(reason) = check_policy(&self.association) {
            return self.end(reason);
        }
        if let Some(retried) = hello.retried {
            match v13::Server::after_retry(&mut self.association, &retried) {
                Ok(server) => self.state = State::Handshaking(Handshake::Server13(Box::new(server))),
                Err(reason) => return self.end(reason),
            }
        }
        self.handle_messages();
    }
}
