//! Real browsers against the real server: what people do with it, in both browsers and between them.
//!
//! Every test has a network of its own, in which the server, the browsers and everything between them live.

mod agreed;
mod arena;
mod bandwidth;
mod bare;
mod data;
mod direct;
mod dtls;
mod layers;
mod leaving;
mod loss;
mod paths;
mod pictures;
mod relay;
mod returning;
mod room;
mod sped;
mod sync;
mod talk;
mod way;

use std::time::Duration;

use browser_test::Kind;

const BOTH: [Kind; 2] = [Kind::Chromium, Kind::Firefox];

/// A browser that starts, a handshake and the first pictures take about a second; a machine under load is slower.
const SOON: Duration = Duration::from_secs(20);
