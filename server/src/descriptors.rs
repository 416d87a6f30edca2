//! File descriptors: every connection takes one, and the usual limit was made for programs that open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::turn::MAX_STREAMS;
use crate::{Options, tcp};

/// What the process needs beside: sockets of the TURN server, pollers, the standard streams, what is accepted to be
/// refused.
const OTHERS: usize = 64;
/// What each worker needs: two sockets, two listeners, its poller and what wakes it.
const OF_WORKER: usize = 8;

/// Raises the limit of this process as far as the system lets it.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit of open files cannot be raised");
        }
    }
}

/// How many descriptors there are for what may take many. Together with the others they are no more than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Connections to the page and signalling.
    pub(crate) http: usize,
    /// TCP connections for media, of all workers together.
    pub(crate) media: usize,
    /// Connections of TURN clients and their peers.
    pub(crate) streams: usize,
    /// Relay sockets and listeners of the TURN server. Peers' connections are counted with them as well.
    pub(crate) relays: usize,
}

impl Shares {
    /// Those of this process.
    pub(crate) fn new(options: &Options) -> Self {
        let (wanted, workers) = (Self::wanted(options), options.workers.get());
        let shares = Self::within(getrlimit(Resource::Nofile).current, &wanted, workers);
        if shares != wanted {
            tracing::debug!(
                ?shares,
                ?wanted,
                "the limit of open files leaves room for fewer connections: raise it (ulimit -n) if there are to be as many"
            );
        }
        shares
    }

    /// As many as are of use.
    fn wanted(options: &Options) -> Self {
        let media = options.workers.get().saturating_mul(tcp::MAX_CONNECTIONS);
        let turn = options.turn.is_wanted();
        Self {
            http: options.connections,
            media: if options.tcp { media } else { 0 },
            streams: if turn { MAX_STREAMS } else { 0 },
            relays: if turn { turn::ServerLimits::default().sockets } else { 0 },
        }
    }

    /// Of those that are wanted, as many as a limit leaves room for; `None` is no limit. With all of them half is for
    /// relay sockets, a quarter for the page and signalling, an eighth for media and one for TURN connections. What one
    /// does not want is for the others: those after it first, which want more.
    fn within(limit: Option<u64>, wanted: &Self, workers: usize) -> Self {
        let Some(limit) = limit else { return *wanted };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let others = OTHERS.saturating_add(workers.saturating_mul(OF_WORKER));
        let mut left = limit.saturating_sub(others);
        let parts = [
            (wanted.http, 2),
            (wanted.media, 1),
            (wanted.streams, 1),
            (wanted.relays, 4),
        ];
        let used = parts.iter().filter(|(wanted, _)| *wanted > 0);
        let mut of: usize = used.map(|(_, part)| part).sum();
        let [http, media, streams, relays] = parts.map(|(wanted, part)| {
            if wanted == 0 {
                return 0;
            }
            let share = wanted.min(left.saturating_mul(part) / of);
            left -= share;
            of -= part;
            share
        });
        let mut more = |share: usize, wanted: usize| {
            let more = left.min(wanted - share);
            left -= more;
            share + more
        };
        let (http, media) = (more(http, wanted.http), more(media, wanted.media));
        let (streams, relays) = (more(streams, wanted.streams), more(relays, wanted.relays));
        Self {
            // Whoever is to see that something is wrong has to come in.
            http: http.max(wanted.http.min(1)),
            media,
            streams,
            relays,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WANTED: Shares = Shares {
        http: 4096,
        media: 2048,
        streams: 4096,
        relays: 20_000,
    };

    fn shares(http: usize, media: usize, streams: usize, relays: usize) -> Shares {
        Shares {
            http,
            media,
            streams,
            relays,
        }
    }

    #[test]
    fn each_has_its_part() {
        let within = |limit, wanted| Shares::within(limit, &wanted, 2);
        assert_eq!(within(None, WANTED), WANTED);
        assert_eq!(within(Some(1_048_576), WANTED), WANTED);
        assert_eq!(within(Some(u64::MAX), WANTED), WANTED);
        // 80 are for other files.
        assert_eq!(within(Some(1024), WANTED), shares(236, 118, 118, 472));
        // What is not wanted is for others.
        assert_eq!(within(Some(20_080), WANTED), shares(4096, 2048, 2771, 11_085));
        let without_turn = shares(4096, 2048, 0, 0);
        assert_eq!(within(Some(1024), without_turn), shares(629, 315, 0, 0));
        assert_eq!(within(Some(1024), shares(4096, 0, 0, 0)), shares(944, 0, 0, 0));
        assert_eq!(within(Some(4096), shares(4096, 1024, 0, 0)), shares(2992, 1024, 0, 0));
        assert_eq!(within(Some(10), WANTED), shares(1, 0, 0, 0));
    }

    #[test]
    fn nothing_is_wanted_for_what_is_not_there() {
        let options = Options {
            tcp: false,
            ..Options::default()
        };
        let wanted = Shares::wanted(&options);
        assert_eq!(wanted, shares(options.connections, 0, 0, 0));
    }

    proptest! {
        #[test]
        fn there_are_no_more_than_the_limit(
            limit in 1..1_000_000_u64,
            (http, media, streams, relays) in (0..10_000_usize, 0..10_000_usize, 0..10_000_usize, 0..30_000_usize),
            workers in 1..64_usize,
        ) {
            let wanted = shares(http, media, streams, relays);
            let got = Shares::within(Some(limit), &wanted, workers);
            let sum = got.http + got.media + got.streams + got.relays;
            let room = usize::try_from(limit).unwrap().saturating_sub(OTHERS + workers * OF_WORKER);
            prop_assert!(sum <= room.max(1));
            prop_assert!(got.http <= http && got.media <= media && got.streams <= streams && got.relays <= relays);
            // Nothing is left over while one goes without.
            prop_assert!(got == wanted || sum >= room);
        }
    }
}
