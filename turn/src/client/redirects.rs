use super::timer::after;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// RFC 8489 §10: a server that was asked in the last five minutes is not asked again because of a redirection.
const REMEMBERED: Duration = Duration::from_secs(300);

/// The servers that were asked, and how often another attempt may still be made.
#[derive(Debug)]
pub(crate) struct Redirects {
    asked: VecDeque<(SocketAddr, Instant)>,
    left: u32,
}

impl Redirects {
    pub(crate) fn new(now: Instant, server: SocketAddr, limit: u32) -> Self {
        Self {
            asked: VecDeque::from([(server, now)]),
            left: limit,
        }
    }

    /// Whether `server` may be asked; if so it counts as asked from now on.
    pub(crate) fn take(&mut self, now: Instant, server: SocketAddr) -> bool {
        self.asked.retain(|&(_, at)| now < after(at, REMEMBERED));
        let known = self.asked.iter().any(|&(asked, _)| asked == server);
        if known || !self.take_attempt() {
            return false;
        }
        // At most one for each attempt, so that this is bounded.
        self.asked.push_back((server, now));
        true
    }

    /// Whether one more attempt may be made.
    pub(crate) fn take_attempt(&mut self) -> bool {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_and_endless_chains_are_cut() {
        let now = Instant::now();
        let server = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let mut redirects = Redirects::new(now, server(1), 3);
        assert!(!redirects.take(now, server(1)));
        assert!(redirects.take(now, server(2)));
        assert!(!redirects.take(now, server(1)));
        assert!(redirects.take(now + REMEMBERED, server(1)));
        assert!(redirects.take(now + REMEMBERED, server(3)));
        assert!(!redirects.take(now + REMEMBERED, server(4)));
        assert!(redirects.asked.len() <= 3);
    }
}
