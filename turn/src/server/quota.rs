use std::collections::HashMap;
use std::sync::Arc;

/// Whose quota counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Quota {
    /// What follows the time in a username with one.
    Id(Arc<str>),
    /// A user with a password, and the part of the net that it comes from: many may use the same name.
    User(Arc<str>, u64),
    /// All of them together: who has the password may have many parts of the net.
    Name(Arc<str>),
}

impl Quota {
    /// The quota of a name that is also used up.
    pub(super) fn name(&self) -> Option<Self> {
        match self {
            Self::User(name, _) => Some(Self::Name(name.clone())),
            Self::Id(_) | Self::Name(_) => None,
        }
    }

    /// Whether what is taken from this one is taken from another, too.
    pub(super) fn is_part_of(&self, other: &Self) -> bool {
        self == other || self.name().as_ref() == Some(other)
    }
}

/// What each user has. Who has nothing is not remembered.
#[derive(Debug, Default)]
pub(super) struct Quotas(HashMap<Quota, Used>);

/// What one user has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Allocations and reserved ports.
    pub(super) allocations: usize,
    /// Relay sockets, listeners and peers' connections.
    pub(super) sockets: usize,
    /// Peers' connections that are being opened, or that no client has claimed.
    pub(super) unclaimed: usize,
}

impl Quotas {
    pub(super) fn used(&self, quota: &Quota) -> Used {
        self.0.get(quota).copied().unwrap_or_default()
    }

    /// Whether a user has anything.
    pub(super) fn holds(&self, quota: &Quota) -> bool {
        self.0.contains_key(quota)
    }

    pub(super) fn change(&mut self, quota: &Quota, change: impl Fn(&mut Used)) {
        for quota in std::iter::once(quota).chain(&quota.name()) {
            self.change_one(quota, &change);
        }
    }

    fn change_one(&mut self, quota: &Quota, change: impl Fn(&mut Used)) {
        let mut used = self.used(quota);
        change(&mut used);
        if used == Used::default() {
            self.0.remove(quota);
        } else {
            self.0.insert(quota.clone(), used);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
