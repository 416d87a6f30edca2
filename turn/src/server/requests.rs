use super::bucket::{Bucket, Rate};
use super::quota::Quota;
use super::refusals::Refusals;
use std::collections::HashMap;
use std::time::Instant;

/// Users with a bucket of their own, of those who have no allocation.
const MAX_USERS: usize = 1 << 14;

/// How many requests are taken of each user.
///
/// A bucket is kept until it must be full again, whatever its user has or gives back meanwhile. There are so many at
/// most; users beyond share the places of [`Refusals`].
#[derive(Debug)]
pub(super) struct Requests {
    rate: Rate,
    /// Of users who have asked since `turned`.
    recent: HashMap<Quota, Bucket>,
    /// Of users who have asked before, and not since.
    before: HashMap<Quota, Bucket>,
    turned: Instant,
    /// Users who have an allocation and as many buckets beyond [`MAX_USERS`].
    holders: usize,
    shared: Refusals,
}

impl Requests {
    /// `shared` has the same rate for each of its places. There are `holders` users at most who have an allocation.
    pub(super) fn new(shared: Refusals, now: Instant, (per_second, burst): (u32, u32), holders: usize) -> Self {
        Self {
            rate: Rate::new(per_second.clamp(1, 1000).into(), burst.max(1).into()),
            recent: HashMap::new(),
            before: HashMap::new(),
            turned: now,
            holders,
            shared,
        }
    }

    /// Whether one more is taken of a user, who `holds` an allocation or not; it is counted as taken.
    pub(super) fn allow(&mut self, now: Instant, user: &Quota, holds: bool) -> bool {
        if now.saturating_duration_since(self.turned) >= self.rate.depth() {
            // Who is in `before` has not asked since: even an empty bucket is full again.
            self.before = std::mem::take(&mut self.recent);
            self.turned = now;
        }
        if let Some((user, bucket)) = self.before.remove_entry(user) {
            self.recent.insert(user, bucket);
        }
        // Those who have nothing yet leave room for those who have.
        let most = MAX_USERS + if holds { self.holders } else { 0 };
        let room = self.recent.len() + self.before.len() < most;
        match self.recent.get_mut(user) {
            Some(bucket) => bucket.take(now, &self.rate, 1),
            None if room => {
                let mut bucket = Bucket::full(now);
                let taken = bucket.take(now, &self.rate, 1);
                self.recent.insert(user.clone(), bucket);
                taken
            }
            None => self.shared.allow_user(now, user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn user(n: usize) -> Quota {
        Quota::Id(n.to_string().into())
    }

    /// Ten a second, five at once, so that an empty bucket is full in half a second.
    fn requests(now: Instant, holders: usize) -> Requests {
        Requests::new(Refusals::new(7, now, 10, 5), now, (10, 5), holders)
    }

    fn taken(requests: &mut Requests, now: Instant, user: &Quota) -> usize {
        (0..100).filter(|_| requests.allow(now, user, false)).count()
    }

    #[test]
    fn no_user_takes_from_another() {
        let now = Instant::now();
        let mut requests = requests(now, 0);
        // So many that several of them would share a place.
        for n in 0..2000 {
            assert_eq!(taken(&mut requests, now, &user(n)), 5, "{n}");
        }
        // One name in two parts of the net, and another name in one of them.
        let names: [(&str, u64); 3] = [("ann", 1), ("ann", 2), ("bob", 1)];
        for (name, part) in names {
            assert_eq!(taken(&mut requests, now, &Quota::User(name.into(), part)), 5);
        }
    }

    #[test]
    fn a_bucket_is_kept_until_it_is_full() {
        let start = Instant::now();
        let mut requests = requests(start, 0);
        for (n, ms) in (0..5000).step_by(30).enumerate() {
            let now = start + Duration::from_millis(ms);
            // Others ask meanwhile.
            requests.allow(now, &Quota::Id(format!("other {n}").into()), false);
            if n % 10 == 0 {
                let due = if n == 0 { 5 } else { 3 };
                assert_eq!(taken(&mut requests, now, &user(0)), due, "{ms}");
            }
        }
        let later = start + Duration::from_secs(100);
        assert_eq!(taken(&mut requests, later, &user(0)), 5);
    }

    #[test]
    fn buckets_are_bounded_and_those_who_have_something_find_room() {
        let now = Instant::now();
        let mut requests = requests(now, 10);
        for n in 0..MAX_USERS + 1000 {
            requests.allow(now, &user(n), false);
        }
        assert_eq!(requests.recent.len(), MAX_USERS);
        for n in 0..20 {
            requests.allow(now, &Quota::User("ann".into(), n), true);
        }
        assert_eq!(requests.recent.len(), MAX_USERS + 10);
        assert_eq!(taken(&mut requests, now, &Quota::User("ann".into(), 3)), 4);
        // A place that is shared has the same rate.
        assert!(taken(&mut requests, now, &user(MAX_USERS + 5000)) <= 5);
        // Twice as long as a bucket takes to be full, and all are forgotten.
        for seconds in 1..=2 {
            requests.allow(now + Duration::from_secs(seconds), &user(1), false);
        }
        assert_eq!(requests.recent.len() + requests.before.len(), 1);
    }
}
