#[path = "../../sctp/tests/duel/mod.rs"]
mod duel;

use duel::Script;
use wire::Seed;

/// Two associations and a hostile network, as in the model test of the SCTP crate: the input makes all choices. What comes was
/// sent, once, unchanged and in order; nothing is missing but what may be; and when the input ends, and with it what the
/// network does, all comes to rest.
pub fn sctp_pair(data: &[u8]) {
    duel::play(&mut Script(data), [Seed::from_run(1), Seed::from_run(2)], false);
}
