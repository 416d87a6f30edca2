use super::channels::Channels;
use super::event::SendError;
use super::timer::{after, earliest, retry_after};
use crate::ChannelNumber;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use stun::ErrorCode;

/// RFC 8656 §9: a permission lasts 300 s.
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// When a permission is refreshed, less the jitter: a request that is lost all the time still has 60 s.
const PERMISSION_REFRESH: Duration = Duration::from_secs(240);
/// The same where a channel is bound, whose refresh comes before that and refreshes the permission as well.
const PERMISSION_REFRESH_BOUND: Duration = Duration::from_secs(270);
/// RFC 8656 §7.4 (of allocations): after 508 at least a minute is waited.
const CAPACITY_WAIT: Duration = Duration::from_secs(60);
/// Most peers in one CreatePermission.
const MAX_BATCH: usize = 8;

/// What a permission has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Wanted, but no request was written.
    Wanted,
    /// Asked for and not answered: data may go, right behind the request.
    Asked,
    /// Granted, and sure to last until then.
    Granted { until: Instant },
    /// Refused, until then or for good.
    Refused { error: ErrorCode, until: Option<Instant> },
}

/// Whether a refusal is about the peer itself, so that the same request would meet it again (RFC 8656 §10.2).
const fn is_final(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::BAD_REQUEST
            | ErrorCode::FORBIDDEN
            | ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED
            | ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH
    )
}

/// The permission of an IP address (RFC 8656 §9).
#[derive(Debug)]
struct Permission {
    address: IpAddr,
    grant: Grant,
    /// Whether a request is in the queue or under way.
    pending: bool,
    /// Whether it is asked for alone, since the server refused a request with several and does not tell which it meant.
    alone: bool,
    refresh_at: Option<Instant>,
    /// How many peers use it.
    peers: usize,
}

impl Permission {
    /// Takes the permission (or the refusal) back if its time is over; whether it is.
    fn end(&mut self, now: Instant) -> bool {
        let over = match self.grant {
            Grant::Granted { until } => until <= now,
            Grant::Refused { until, .. } => until.is_some_and(|until| until <= now),
            Grant::Wanted | Grant::Asked => false,
        };
        if over {
            self.grant = if self.pending { Grant::Asked } else { Grant::Wanted };
            self.refresh_at = None;
        }
        over
    }
}

/// A peer, and the channel that leads to it.
#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    /// Bound, so that data may take it.
    channel: Option<ChannelNumber>,
}

/// What is known of a peer when data is to be sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Channel(ChannelNumber),
    Indication(Grant),
}

/// The peers, with their permissions and channels.
#[derive(Debug)]
pub(crate) struct Peers {
    peers: Vec<Peer>,
    peer_at: HashMap<SocketAddr, usize>,
    permissions: Vec<Permission>,
    permission_at: HashMap<IpAddr, usize>,
    /// Permissions to ask for, in the order in which they were wanted.
    to_ask: VecDeque<IpAddr>,
    pub(crate) channels: Channels,
    max_peers: usize,
}

impl Peers {
    pub(crate) fn new(max_peers: usize, max_channels: usize) -> Self {
        Self {
            peers: Vec::new(),
            peer_at: HashMap::new(),
            permissions: Vec::new(),
            permission_at: HashMap::new(),
            to_ask: VecDeque::new(),
            channels: Channels::new(max_channels),
            max_peers,
        }
    }

    pub(crate) fn contains(&self, peer: &SocketAddr) -> bool {
        self.peer_at.contains_key(peer)
    }

    pub(crate) fn knows_address(&self, address: &IpAddr) -> bool {
        self.permission_at.contains_key(address)
    }

    /// The peers in the order in which they came, as far as none was forgotten.
    pub(crate) fn iter(&self) -> impl Iterator<Item = SocketAddr> {
        self.peers.iter().map(|peer| peer.address)
    }

    /// How data goes to a peer; `None` when it is not known yet.
    pub(crate) fn way(&self, peer: &SocketAddr) -> Option<Way> {
        let known = self.peers.get(*self.peer_at.get(peer)?)?;
        match known.channel {
            Some(channel) => Some(Way::Channel(channel)),
            None => Some(Way::Indication(self.permission(&peer.ip())?.grant)),
        }
    }

    /// Whether data of an address may come: its permission was asked for (RFC 8656 §11.4).
    pub(crate) fn permits(&self, address: &IpAddr) -> bool {
        self.permission(address)
            .is_some_and(|permission| matches!(permission.grant, Grant::Asked | Grant::Granted { .. }))
    }

    /// Adds a peer, without asking for anything yet.
    pub(crate) fn add(&mut self, peer: SocketAddr) -> Result<(), SendError> {
        if self.contains(&peer) {
            return Ok(());
        }
        if self.peers.len() >= self.max_peers {
            return Err(SendError::TooManyPeers);
        }
        self.peer_at.insert(peer, self.peers.len());
        self.peers.push(Peer {
            address: peer,
            channel: None,
        });
        self.channels.remember(&peer);
        let address = peer.ip();
        if let Some(permission) = self.permission_mut(&address) {
            permission.peers = permission.peers.saturating_add(1);
        } else {
            self.permission_at.insert(address, self.permissions.len());
            self.permissions.push(Permission {
                address,
                grant: Grant::Wanted,
                pending: false,
                alone: false,
                refresh_at: None,
                peers: 1,
            });
        }
        Ok(())
    }

    /// Has the permission of a known peer asked for, unless it is there or on its way.
    pub(crate) fn ask(&mut self, now: Instant, address: IpAddr) {
        let Some(permission) = self.permission_mut(&address) else {
            return;
        };
        permission.end(now);
        if permission.pending || matches!(permission.grant, Grant::Granted { .. } | Grant::Asked) {
            return;
        }
        permission.grant = Grant::Wanted;
        permission.pending = true;
        self.to_ask.push_back(address);
    }

    /// Forgets a peer: its permission and channel are left to expire.
    pub(crate) fn forget(&mut self, now: Instant, peer: &SocketAddr) {
        let Some(at) = self.peer_at.remove(peer) else { return };
        self.peers.swap_remove(at);
        if let Some(moved) = self.peers.get(at) {
            self.peer_at.insert(moved.address, at);
        }
        self.channels.forget(now, peer);
        let address = peer.ip();
        let Some(permission) = self.permission_mut(&address) else {
            return;
        };
        permission.peers = permission.peers.saturating_sub(1);
        if permission.peers > 0 {
            return;
        }
        self.to_ask.retain(|asked| *asked != address);
        if let Some(at) = self.permission_at.remove(&address) {
            self.permissions.swap_remove(at);
            if let Some(moved) = self.permissions.get(at) {
                self.permission_at.insert(moved.address, at);
            }
        }
    }

    /// Whether [`next_request`](Self::next_request) has something.
    pub(crate) fn has_to_ask(&self) -> bool {
        !self.to_ask.is_empty()
    }

    /// The addresses for the next CreatePermission: several where they were wanted at once.
    pub(crate) fn next_request(&mut self) -> Option<Vec<IpAddr>> {
        let mut batch = Vec::new();
        while let Some(&address) = self.to_ask.front() {
            let Some(permission) = self.permission_mut(&address) else {
                self.to_ask.pop_front();
                continue;
            };
            let alone = permission.alone;
            if (alone && !batch.is_empty()) || batch.len() >= MAX_BATCH {
                break;
            }
            if permission.grant == Grant::Wanted {
                permission.grant = Grant::Asked;
            }
            self.to_ask.pop_front();
            batch.push(address);
            if alone {
                break;
            }
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// Marks that a ChannelBind asks for the permission of a known peer.
    pub(crate) fn asked_by_channel(&mut self, address: &IpAddr) {
        if let Some(permission) = self.permission_mut(address)
            && permission.grant == Grant::Wanted
            && !permission.pending
        {
            permission.grant = Grant::Asked;
        }
    }

    /// Takes that the ChannelBind which was to bring the permission of a peer too was refused, or not answered and is
    /// not sent again: the permission is asked for alone.
    pub(crate) fn lost_by_channel(&mut self, address: &IpAddr) {
        let Some(permission) = self.permission_mut(address) else {
            return;
        };
        if permission.grant == Grant::Asked && !permission.pending {
            self.ask_again(address);
        }
    }

    /// Takes that the server has granted a permission, asked for at `sent`; whether that is news.
    pub(crate) fn granted(&mut self, sent: Instant, address: &IpAddr, by_channel: bool, jitter: Duration) -> bool {
        let Some(permission) = self.permission_mut(address) else {
            return false;
        };
        let news = !matches!(permission.grant, Grant::Granted { .. });
        permission.grant = Grant::Granted {
            until: after(sent, PERMISSION_LIFETIME),
        };
        let refresh = if by_channel {
            PERMISSION_REFRESH_BOUND
        } else {
            PERMISSION_REFRESH
        };
        permission.refresh_at = Some(after(sent, refresh.saturating_sub(jitter)));
        if !by_channel {
            permission.pending = false;
            permission.alone = false;
        }
        news
    }

    /// Takes that a CreatePermission was refused. Of several each is asked for alone; of one its peers are told.
    pub(crate) fn refused(&mut self, now: Instant, addresses: &[IpAddr], error: ErrorCode) -> Vec<SocketAddr> {
        if let [address] = addresses {
            return self.refuse(now, address, error);
        }
        for address in addresses {
            if let Some(permission) = self.permission_mut(address) {
                permission.alone = true;
            }
            self.ask_again(address);
        }
        Vec::new()
    }

    fn refuse(&mut self, now: Instant, address: &IpAddr, error: ErrorCode) -> Vec<SocketAddr> {
        let Some(permission) = self.permission_mut(address) else {
            return Vec::new();
        };
        permission.pending = false;
        permission.alone = false;
        if let Grant::Granted { until } = permission.grant
            && !is_final(error)
            && until > now
        {
            // It still holds. As with the allocation: again after half of what is left.
            permission.refresh_at = Some(after(now, retry_after(until.saturating_duration_since(now))));
            return Vec::new();
        }
        let until = (!is_final(error)).then(|| after(now, CAPACITY_WAIT));
        permission.grant = Grant::Refused { error, until };
        permission.refresh_at = until;
        let peers: Vec<SocketAddr> = self.iter().filter(|peer| peer.ip() == *address).collect();
        for peer in &peers {
            self.set_channel(peer, None);
        }
        peers
    }

    /// Takes that a CreatePermission was not answered: it is asked for again as long as it is wanted.
    pub(crate) fn ask_again(&mut self, address: &IpAddr) {
        let Some(permission) = self.permission_mut(address) else {
            return;
        };
        if permission.grant == Grant::Asked {
            permission.grant = Grant::Wanted;
        }
        permission.pending = true;
        if !self.to_ask.contains(address) {
            self.to_ask.push_back(*address);
        }
    }

    /// Has data to a known peer take a channel, or an indication.
    pub(crate) fn set_channel(&mut self, peer: &SocketAddr, channel: Option<ChannelNumber>) {
        let known = self.peer_at.get(peer).and_then(|&at| self.peers.get_mut(at));
        if let Some(known) = known {
            known.channel = channel;
        }
    }

    /// Asks for what is due, and takes back what has ended.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let mut due = Vec::new();
        for permission in &mut self.permissions {
            let refresh = permission.refresh_at.is_some_and(|at| at <= now);
            if permission.end(now) || refresh {
                permission.refresh_at = None;
                due.push(permission.address);
            }
        }
        for address in due {
            let pending = self.permission(&address).is_none_or(|permission| permission.pending);
            if !pending {
                self.ask_again(&address);
            }
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.permissions
            .iter()
            .filter_map(|permission| {
                let end = match permission.grant {
                    Grant::Granted { until } => Some(until),
                    Grant::Refused { until, .. } => until,
                    Grant::Wanted | Grant::Asked => None,
                };
                earliest(permission.refresh_at, end)
            })
            .min()
    }

    fn permission(&self, address: &IpAddr) -> Option<&Permission> {
        self.permissions.get(*self.permission_at.get(address)?)
    }

    fn permission_mut(&mut self, address: &IpAddr) -> Option<&mut Permission> {
        self.permissions.get_mut(*self.permission_at.get(address)?)
    }
}
