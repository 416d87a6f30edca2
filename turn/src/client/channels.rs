use super::timer::{after, earliest};
use crate::ChannelNumber;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// RFC 8656 §12: a channel lasts 600 s.
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// RFC 8656 §12: so long after its end neither number nor peer may be bound otherwise.
const QUARANTINE: Duration = Duration::from_secs(300);
/// When a channel is refreshed, less the jitter: long before its end, since that also refreshes the permission, which
/// lasts 300 s.
const CHANNEL_REFRESH: Duration = Duration::from_secs(240);

/// A channel that was asked for at least once.
#[derive(Debug)]
struct Channel {
    number: ChannelNumber,
    peer: SocketAddr,
    /// Whether it is to be bound, and kept so.
    wanted: bool,
    /// Whether the peer is none any more.
    forgotten: bool,
    /// Whether a request is in the queue or under way.
    pending: bool,
    /// Bound, and sure to last until then.
    bound_until: Option<Instant>,
    refresh_at: Option<Instant>,
    /// Until then the server may have it bound; `None` as long as nothing was asked.
    reserved_until: Option<Instant>,
}

/// The channels of an allocation; the first has the lowest number, and so on.
#[derive(Debug)]
pub(crate) struct Channels {
    list: Vec<Channel>,
    at: HashMap<SocketAddr, ChannelNumber>,
    to_ask: VecDeque<ChannelNumber>,
    limit: usize,
}

impl Channels {
    pub(crate) fn new(limit: usize) -> Self {
        let all = usize::from(ChannelNumber::MAX.get().saturating_sub(ChannelNumber::MIN.get())).saturating_add(1);
        Self {
            list: Vec::new(),
            at: HashMap::new(),
            to_ask: VecDeque::new(),
            limit: limit.min(all),
        }
    }

    /// Whom data on a channel is from.
    pub(crate) fn peer(&self, number: ChannelNumber) -> Option<SocketAddr> {
        let channel = self.get(number)?;
        (!channel.forgotten).then_some(channel.peer)
    }

    /// Has a channel asked for; whether there is one. It may be bound already: [`bound`](Self::bound).
    pub(crate) fn want(&mut self, now: Instant, peer: SocketAddr) -> bool {
        let number = match self.at.get(&peer) {
            Some(&number) => number,
            None => match self.take_number(now, peer) {
                Some(number) => number,
                None => return false,
            },
        };
        let Some(channel) = self.get_mut(number) else {
            return false;
        };
        channel.wanted = true;
        channel.forgotten = false;
        let bound = channel.bound_until.is_some_and(|until| until > now);
        if !channel.pending && !bound {
            channel.pending = true;
            self.to_ask.push_back(number);
        }
        true
    }

    /// The channel of a peer, if it is bound.
    pub(crate) fn bound(&self, now: Instant, peer: &SocketAddr) -> Option<ChannelNumber> {
        let channel = self.get(*self.at.get(peer)?)?;
        let bound = channel.bound_until.is_some_and(|until| until > now);
        (channel.wanted && bound).then_some(channel.number)
    }

    /// The peer is one again. The server may have bound its channel still, and then what it sends comes there.
    pub(crate) fn remember(&mut self, peer: &SocketAddr) {
        let Some(&number) = self.at.get(peer) else { return };
        if let Some(channel) = self.get_mut(number) {
            channel.forgotten = false;
        }
    }

    /// The peer is none any more. Whoever wants its channel again asks for it again, since the permission that came
    /// with it is not refreshed until then.
    pub(crate) fn forget(&mut self, now: Instant, peer: &SocketAddr) {
        let Some(&number) = self.at.get(peer) else { return };
        let Some(channel) = self.get_mut(number) else { return };
        channel.wanted = false;
        channel.forgotten = true;
        channel.bound_until = None;
        channel.refresh_at = None;
        if channel.reserved_until.is_none() {
            // Nothing was asked, so the number is free at once.
            channel.reserved_until = Some(now);
        }
    }

    pub(crate) fn has_to_ask(&self) -> bool {
        !self.to_ask.is_empty()
    }

    /// The next channel to ask for.
    pub(crate) fn next_request(&mut self, now: Instant) -> Option<(ChannelNumber, SocketAddr)> {
        while let Some(number) = self.to_ask.pop_front() {
            let Some(channel) = self.get_mut(number) else { continue };
            if !channel.wanted {
                channel.pending = false;
                continue;
            }
            // The request may be repeated for a while and reach the server late.
            let longest = CHANNEL_LIFETIME.saturating_add(Duration::from_secs(60));
            channel.reserved_until = Some(after(now, longest.saturating_add(QUARANTINE)));
            return Some((number, channel.peer));
        }
        None
    }

    /// Takes that the server has bound a channel, asked for at `sent`; whether data may take it, and whether that is
    /// news.
    pub(crate) fn granted(&mut self, sent: Instant, number: ChannelNumber, jitter: Duration) -> (bool, bool) {
        let Some(channel) = self.get_mut(number) else {
            return (false, false);
        };
        channel.pending = false;
        if !channel.wanted {
            return (false, false);
        }
        let news = channel.bound_until.is_none();
        channel.bound_until = Some(after(sent, CHANNEL_LIFETIME));
        channel.refresh_at = Some(after(sent, CHANNEL_REFRESH.saturating_sub(jitter)));
        (true, news)
    }

    /// Takes that the server did not bind a channel. Data goes in indications.
    pub(crate) fn refused(&mut self, number: ChannelNumber) {
        if let Some(channel) = self.get_mut(number) {
            channel.pending = false;
            channel.wanted = false;
            channel.bound_until = None;
            channel.refresh_at = None;
        }
    }

    /// Takes that the server did not answer: it is asked again as long as the channel is wanted. Whether it is.
    pub(crate) fn ask_again(&mut self, number: ChannelNumber) -> bool {
        let Some(channel) = self.get_mut(number) else {
            return false;
        };
        channel.pending = channel.wanted;
        let wanted = channel.wanted;
        if wanted {
            self.to_ask.push_back(number);
        }
        wanted
    }

    /// Asks for what is due; gives the peers whose channels have ended.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<SocketAddr> {
        let mut ended = Vec::new();
        for channel in &mut self.list {
            let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            let lost = due(channel.bound_until);
            if lost {
                channel.bound_until = None;
                ended.push(channel.peer);
            }
            if due(channel.refresh_at) || lost {
                channel.refresh_at = None;
                if channel.wanted && !channel.pending {
                    channel.pending = true;
                    self.to_ask.push_back(channel.number);
                }
            }
        }
        ended
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.list
            .iter()
            .filter_map(|channel| earliest(channel.bound_until, channel.refresh_at))
            .min()
    }

    /// A number that was never used, or that is free again.
    fn take_number(&mut self, now: Instant, peer: SocketAddr) -> Option<ChannelNumber> {
        let free = |channel: &Channel| {
            !channel.wanted && !channel.pending && channel.reserved_until.is_some_and(|until| until <= now)
        };
        if let Some(channel) = self.list.iter_mut().find(|channel| free(channel)) {
            self.at.remove(&channel.peer);
            *channel = Channel::new(channel.number, peer);
            self.at.insert(peer, channel.number);
            return Some(channel.number);
        }
        if self.list.len() >= self.limit {
            return None;
        }
        let offset = u16::try_from(self.list.len()).ok()?;
        let number = ChannelNumber::new(ChannelNumber::MIN.get().checked_add(offset)?)?;
        self.list.push(Channel::new(number, peer));
        self.at.insert(peer, number);
        Some(number)
    }

    fn get(&self, number: ChannelNumber) -> Option<&Channel> {
        self.list.get(index(number))
    }

    fn get_mut(&mut self, number: ChannelNumber) -> Option<&mut Channel> {
        self.list.get_mut(index(number))
    }
}

impl Channel {
    const fn new(number: ChannelNumber, peer: SocketAddr) -> Self {
        Self {
            number,
            peer,
            wanted: true,
            forgotten: false,
            pending: false,
            bound_until: None,
            refresh_at: None,
            reserved_until: None,
        }
    }
}

fn index(number: ChannelNumber) -> usize {
    usize::from(number.get().saturating_sub(ChannelNumber::MIN.get()))
}
