use std::fmt;

macro_rules! reasons {
    ($($(#[$meta:meta])* $name:ident => $text:literal,)*) => {
        /// Why a packet was dropped.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum DropReason { $($(#[$meta])* $name,)* }

        impl DropReason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The reason in a few words.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// A link lost it.
    Loss => "loss",
    /// The queue of a link was full.
    QueueFull => "queue full",
    /// The link was down.
    LinkDown => "link down",
    /// Larger than the MTU, and not to be fragmented.
    TooBig => "too big",
    /// A router knows no way to its destination.
    NoRoute => "no route",
    /// It came to a host that does not have the address, or a host sent from an address that it does not have.
    NoAddress => "no such address",
    /// Nobody has bound the port that it came to.
    NoSocket => "nobody listens",
    /// An endpoint sent from a port that it has not bound.
    NotBound => "sent from a port that is not bound",
    /// It went through too many routers.
    HopLimit => "hop limit",
    /// No mapping of the NAT has that external address and port.
    NatNoMapping => "no mapping",
    /// The NAT has the mapping, and its filter refuses the sender.
    NatFiltered => "filtered by the NAT",
    /// From inside to an external address of the same NAT, which does not hairpin.
    NatNoHairpin => "no hairpinning",
    /// The NAT has no room, or no port, for another mapping.
    NatFull => "the NAT is full",
    /// A firewall does not let it out: a port that is not allowed (by a NAT's `allow`, too), or a segment of a TCP
    /// connection of which it does not know.
    FirewallOutbound => "forbidden by the firewall",
    /// The firewall has no room for another state.
    FirewallFull => "the firewall is full",
    /// A firewall does not let it in, since nothing went out before.
    FirewallInbound => "filtered by the firewall",
    /// A NAT or firewall that takes no fragments.
    Fragment => "fragments not taken",
    /// A NAT or firewall that takes no ICMP, or none about that packet.
    Icmp => "ICMP not taken",
    /// The hook of the link said so.
    Hook => "hook",
    /// A TCP segment without meaning for its connection, such as one of a connection that is gone.
    TcpStray => "no such connection",
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// How many packets came to which end. At any moment `sent + duplicated == delivered + dropped() + in_flight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets that hosts sent, and errors that routers sent.
    pub sent: u64,
    /// Second copies that links made.
    pub duplicated: u64,
    /// Packets that came to a host that has a use for them.
    pub delivered: u64,
    /// Packets that are under way.
    pub in_flight: u64,
    pub(crate) drops: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// How many were dropped for this reason.
    pub const fn dropped_for(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    /// How many were dropped.
    pub fn dropped(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// The reasons for which packets were dropped, with their numbers; reasons without any are left out.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        let all = DropReason::ALL.iter().map(|&reason| (reason, self.dropped_for(reason)));
        all.filter(|&(_, count)| count > 0)
    }
}
