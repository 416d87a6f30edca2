#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

/// Which side nominates (RFC 8445 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// Nominates the pair to use: who offers, unless the other side is lite and offers (RFC 8445 §6.1.1).
    #[default]
    Controlling,
    /// Waits for the peer to nominate.
    Controlled,
}

impl Role {
    /// The peer's role.
    pub const fn other(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }
}

/// What follows from the role that the peer's check claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The roles fit.
    None,
    /// The peer has to switch: it is answered with 487.
    PeerSwitches,
    /// We switch.
    WeSwitch,
}

impl Conflict {
    /// RFC 8445 §7.3.1.1: of two that control, and of two that are controlled, the larger tiebreaker controls. Between
    /// equals whoever receives the check does.
    pub(crate) const fn resolve(ours: (Role, u64), claimed: Option<(Role, u64)>) -> Self {
        let Some((peer, theirs)) = claimed else {
            return Self::None;
        };
        match (ours.0, peer) {
            (Role::Controlling, Role::Controlled) | (Role::Controlled, Role::Controlling) => Self::None,
            (Role::Controlling, Role::Controlling) if ours.1 >= theirs => Self::PeerSwitches,
            (Role::Controlled, Role::Controlled) if ours.1 < theirs => Self::PeerSwitches,
            _ => Self::WeSwitch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_tiebreaker_controls() {
        use Conflict::{None, PeerSwitches, WeSwitch};
        use Role::{Controlled, Controlling};
        // RFC 8445 §7.3.1.1, the bullets in their order.
        for (ours, theirs, is) in [
            ((Controlling, 5), (Controlling, 4), PeerSwitches),
            ((Controlling, 5), (Controlling, 5), PeerSwitches),
            ((Controlling, 5), (Controlling, 6), WeSwitch),
            ((Controlled, 5), (Controlled, 4), WeSwitch),
            ((Controlled, 5), (Controlled, 5), WeSwitch),
            ((Controlled, 5), (Controlled, 6), PeerSwitches),
            ((Controlling, 5), (Controlled, 9), None),
            ((Controlled, 5), (Controlling, 1), None),
        ] {
            assert_eq!(Conflict::resolve(ours, Some(theirs)), is, "{ours:?} {theirs:?}");
        }
        assert_eq!(Conflict::resolve((Controlling, 5), Option::None), None);
    }
}
