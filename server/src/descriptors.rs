//! File descriptors: every connection takes one, and the usual limit was made for programs that open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the process needs beside connections: sockets of the workers, pollers, the standard streams.
const OTHERS: u64 = 64;

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

/// How many connections the limit leaves room for, at most `wanted`.
pub(crate) fn connections(wanted: usize) -> usize {
    within(getrlimit(Resource::Nofile).current, wanted)
}

/// How many TCP connections for media each of so many workers may have: a quarter of the limit in all.
pub(crate) fn media(workers: usize) -> usize {
    quarter(usize::MAX) / workers.max(1)
}

/// How many relay sockets the limit leaves room for, at most `wanted`: half of it is for everything else.
pub(crate) fn relays(wanted: usize) -> usize {
    half(getrlimit(Resource::Nofile).current, wanted)
}

/// How many connections of TURN clients and their peers the limit leaves room for, at most `wanted`: a quarter.
pub(crate) fn streams(wanted: usize) -> usize {
    quarter(wanted)
}

fn quarter(wanted: usize) -> usize {
    half(getrlimit(Resource::Nofile).current.map(|limit| limit / 2), wanted)
}

fn half(limit: Option<u64>, wanted: usize) -> usize {
    limit.map_or(wanted, |limit| {
        usize::try_from(limit / 2).unwrap_or(usize::MAX).min(wanted)
    })
}

fn within(limit: Option<u64>, wanted: usize) -> usize {
    // `None` is no limit.
    let room = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit.saturating_sub(OTHERS)).unwrap_or(usize::MAX)
    });
    if room < wanted {
        tracing::info!(
            room,
            wanted,
            "the limit of open files leaves room for fewer connections"
        );
    }
    wanted.min(room.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_take_half() {
        assert_eq!(half(Some(1024), 10_000), 512);
        assert_eq!(half(Some(1_048_576), 10_000), 10_000);
        assert_eq!(half(None, 10_000), 10_000);
    }

    #[test]
    fn connections_leave_room_for_other_files() {
        assert_eq!(within(Some(1024), 4096), 960);
        assert_eq!(within(Some(1_048_576), 4096), 4096);
        assert_eq!(within(Some(10), 4096), 1);
        assert_eq!(within(None, 4096), 4096);
    }
}
