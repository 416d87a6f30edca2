use std::fmt;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use wire::Seed;
use zeroize::Zeroizing;

/// Secrets for what others keep for us, and bring back within a lifetime: the present one, and the one before, whose last
/// products are still good.
pub(crate) struct RotatingSecrets {
    present: Generation,
    former: Option<Generation>,
    /// How long a secret is in use, and how long each of its products is good.
    lifetime: Duration,
    rng: StdRng,
}

/// A secret, and what tells it from others.
#[derive(Clone)]
pub(crate) struct Generation {
    secret: Zeroizing<[u8; 32]>,
    number: u8,
    born: Instant,
}

impl RotatingSecrets {
    pub(crate) fn new(lifetime: Duration, seed: Seed, now: Instant) -> Self {
        let mut rng = StdRng::from_seed(seed.0);
        Self {
            present: Generation::new(&mut rng, 0, now),
            former: None,
            lifetime,
            rng,
        }
    }

    pub(crate) const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Changes the secret when its time is over, and forgets the one before when nothing of it is good any more.
    fn rotate(&mut self, now: Instant) {
        if self.present.age(now) >= self.lifetime {
            let next = Generation::new(&mut self.rng, self.present.number.wrapping_add(1), now);
            self.former = Some(std::mem::replace(&mut self.present, next));
        }
        // Its last product is at most as old as the secret is beyond its own time.
        let most = self.lifetime.saturating_mul(2);
        self.former.take_if(|former| former.age(now) >= most);
    }

    /// The secret of the moment.
    pub(crate) fn present(&mut self, now: Instant) -> &Generation {
        self.rotate(now);
        &self.present
    }

    /// The secret with this number, if it may have products that are still good.
    pub(crate) fn get(&mut self, now: Instant, number: u8) -> Option<&Generation> {
        self.rotate(now);
        let known = [Some(&self.present), self.former.as_ref()];
        known.into_iter().flatten().find(|each| each.number == number)
    }

    /// Random bytes for a product.
    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut random = [0; N];
        self.rng.fill_bytes(&mut random);
        random
    }
}

impl Generation {
    fn new(rng: &mut StdRng, number: u8, born: Instant) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        Self { secret, number, born }
    }

    pub(crate) const fn secret(&self) -> &Zeroizing<[u8; 32]> {
        &self.secret
    }

    /// The lowest bits of a count.
    pub(crate) const fn number(&self) -> u8 {
        self.number
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }

    /// How old the secret is, in milliseconds; `None` beyond 2^32 - 1.
    pub(crate) fn age_millis(&self, now: Instant) -> Option<u32> {
        u32::try_from(self.age(now).as_millis()).ok()
    }

    /// How long ago a product was made, at this age of the secret.
    pub(crate) fn since(&self, now: Instant, age_millis: u32) -> Option<Duration> {
        let made = self.born.checked_add(Duration::from_millis(age_millis.into()))?;
        Some(now.saturating_duration_since(made))
    }
}

impl fmt::Debug for RotatingSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatingSecrets")
            .field("number", &self.present.number)
            .field("has_former", &self.former.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept_for_two_lifetimes() {
        const MINUTE: Duration = Duration::from_secs(60);
        let begin = Instant::now();
        let mut secrets = RotatingSecrets::new(60 * MINUTE, Seed::from_run(1), begin);
        assert!(secrets.get(begin + 59 * MINUTE, 0).is_some());
        // Its last product may be of the minute before.
        assert!(secrets.get(begin + 110 * MINUTE, 0).is_some());
        assert_eq!(secrets.present(begin + 110 * MINUTE).number, 1);
        // With the first use behind that time it goes, although the one after it is young.
        assert!(secrets.get(begin + 120 * MINUTE, 0).is_none());
        assert!(secrets.former.is_none());
        assert_eq!(secrets.present(begin + 120 * MINUTE).number, 1);
        // Nobody came for long: there is nothing to keep.
        assert_eq!(secrets.present(begin + 300 * MINUTE).number, 2);
        assert!(secrets.former.is_none());
    }
}
