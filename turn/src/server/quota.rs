use std::collections::HashMap;
use std::sync::Arc;

/// Whose quota counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Quota {
    /// Of a username with a time what follows the time, else the username.
    pub(super) who: Arc<str>,
    /// The part of the net from which a user with a password comes: many may use the same name.
    pub(super) network: Option<u64>,
}

/// What each user has. Who has nothing is not remembered.
#[derive(Debug, Default)]
pub(super) struct Quotas(HashMap<Quota, Used>);

/// What one user has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Allocations and reserved ports.
    pub(super) allocations: usize,
    /// Peers' connections that are being opened, or that no client has claimed.
    pub(super) unclaimed: usize,
}

impl Quotas {
    pub(super) fn used(&self, quota: &Quota) -> Used {
        self.0.get(quota).copied().unwrap_or_default()
    }

    pub(super) fn change(&mut self, quota: &Quota, change: impl FnOnce(&mut Used)) {
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
