use super::answer;
use super::request::{Attributes, OFFERED, Proof};
use super::sink::{Outgoing, ServerSink};
use super::{Server, connection::ConnectionId};
use std::borrow::Cow;
use std::time::Instant;
use stun::{Class, ErrorCode, IntegrityAlgorithm, Message, Method, PasswordAlgorithm, PasswordAlgorithms, Value};
use wire::{Path, Protocol};

/// Why a request is not believed.
enum Doubt {
    /// 401.
    Unauthenticated,
    /// 438.
    StaleNonce,
    /// 400.
    Bad,
}

impl Server {
    /// The long-term credential mechanism (RFC 8489 §9.2.4). Who is not believed is told why, or nothing when that was
    /// told too often. The nonce is looked at before the password, so that a forged address makes no work.
    pub(super) fn authenticate(
        &mut self,
        now: Instant,
        path: &Path,
        message: &Message<'_>,
        attributes: &Attributes<'_>,
        sink: &mut impl ServerSink,
    ) -> Option<Proof> {
        match self.prove(now, path, message, attributes) {
            Ok(proof) => Some(proof),
            Err(doubt) => {
                self.doubt(now, path, message, &doubt, sink);
                None
            }
        }
    }

    fn prove(
        &mut self,
        now: Instant,
        path: &Path,
        message: &Message<'_>,
        attributes: &Attributes<'_>,
    ) -> Result<Proof, Doubt> {
        if !attributes.integrity {
            self.counters.turn_unauthenticated += 1;
            return Err(Doubt::Unauthenticated);
        }
        let named = attributes.username.is_some() || attributes.userhash.is_some();
        let Some(nonce) = attributes.nonce.filter(|_| named && attributes.realm.is_some()) else {
            self.counters.count(ErrorCode::BAD_REQUEST);
            return Err(Doubt::Bad);
        };
        if !self.nonces.is_valid(now, path.remote.ip(), nonce) {
            self.counters.turn_stale_nonces += 1;
            return Err(Doubt::StaleNonce);
        }
        let Some((algorithm, like)) = algorithm(attributes) else {
            self.counters.count(ErrorCode::BAD_REQUEST);
            return Err(Doubt::Bad);
        };
        let proof = self.check_password(now, path, message, attributes, algorithm, like);
        proof.ok_or_else(|| {
            self.counters.turn_bad_credentials += 1;
            Doubt::Unauthenticated
        })
    }

    fn check_password(
        &self,
        now: Instant,
        path: &Path,
        message: &Message<'_>,
        attributes: &Attributes<'_>,
        algorithm: PasswordAlgorithm,
        like: IntegrityAlgorithm,
    ) -> Option<Proof> {
        let name = match (attributes.username, attributes.userhash) {
            (Some(name), _) => Cow::Borrowed(name),
            // An unknown one takes as long as others. There is no user without a name.
            (None, Some(hash)) => {
                let name = self.credentials.name_of(hash);
                Cow::Owned(name.map_or_else(String::new, |name| name.to_string()))
            }
            (None, None) => return None,
        };
        // The key of an allocation is at hand, and stays good when the time in the username is over.
        if let Some(known) = self.known_proof(path, message.method(), attributes)
            && *known.account.name == *name
            && known.algorithm == algorithm
        {
            message.verify_integrity(&known.key).ok()?;
            return Some(Proof { like, ..known.clone() });
        }
        let keys = self.credentials.keys(&name, algorithm, self.unix(now));
        let key = keys
            .into_iter()
            .flatten()
            .find(|key| message.verify_integrity(key).is_ok())?;
        Some(Proof {
            account: self.credentials.account(&name, path.remote.ip()),
            key,
            algorithm,
            like,
        })
    }

    /// What was shown for the allocation that a request is about.
    fn known_proof(&self, path: &Path, method: Method, attributes: &Attributes<'_>) -> Option<&Proof> {
        let index = if method == Method::CONNECTION_BIND {
            let connection = ConnectionId(attributes.connection?);
            self.connections.get(&connection)?.allocation
        } else {
            *self.by_path.get(path)?
        };
        self.allocations.get(index).map(|allocation| &allocation.proof)
    }

    fn doubt(&mut self, now: Instant, path: &Path, message: &Message<'_>, doubt: &Doubt, sink: &mut impl ServerSink) {
        if !self.may_refuse(now, path) {
            self.counters.turn_refusals_silenced += 1;
            return;
        }
        let client = path.remote.ip();
        let code = match doubt {
            Doubt::Unauthenticated => ErrorCode::UNAUTHENTICATED,
            Doubt::StaleNonce => ErrorCode::STALE_NONCE,
            Doubt::Bad => ErrorCode::BAD_REQUEST,
        };
        let nonce = self.nonces.make(now, client);
        let all = [
            answer::error(code),
            Value::Realm(&self.config.realm),
            Value::Nonce(std::str::from_utf8(&nonce).unwrap_or_default()),
            Value::PasswordAlgorithms(PasswordAlgorithms::new(&OFFERED)),
        ];
        // RFC 8489 §9.2.4: a 400 has no NONCE and no REALM.
        let values = all.iter().take(if matches!(doubt, Doubt::Bad) { 1 } else { all.len() });
        let mut out = [0; answer::MAX_ANSWER];
        if let Ok(answer) = answer::write(&mut out, Class::ErrorResponse, message, values, None, false) {
            sink.to_client(path, Outgoing::message(answer));
        }
    }

    /// Whether one more answer that anybody can cause may go there. A 5-tuple with an allocation has a budget of its
    /// own: its client needs the new nonce of a 438, whatever strangers send in the name of its part of the net. A
    /// connection needs none, since nobody opens one in another's name.
    fn may_refuse(&mut self, now: Instant, path: &Path) -> bool {
        if path.protocol == Protocol::Tcp {
            return true;
        }
        let index = self.by_path.get(path).copied();
        match index.and_then(|index| self.allocations.get_mut(index)) {
            Some(allocation) => allocation.refusals.take(now, &self.refusal_rate, 1),
            None => self.refusals.allow(now, path.remote.ip()),
        }
    }
}

/// Which password algorithm a request uses, and how its answer is protected; `None` when it lists others than were
/// offered (RFC 8489 §9.2.4).
fn algorithm(attributes: &Attributes<'_>) -> Option<(PasswordAlgorithm, IntegrityAlgorithm)> {
    match (attributes.algorithms, attributes.algorithm) {
        (None, None) => Some((PasswordAlgorithm::MD5, IntegrityAlgorithm::Sha1)),
        (Some(list), Some(one)) => {
            let genuine = list.iter().eq(OFFERED) && OFFERED.contains(&one);
            genuine.then_some((one.algorithm, IntegrityAlgorithm::Sha256))
        }
        _ => None,
    }
}
