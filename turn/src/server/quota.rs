use std::collections::HashMap;
use std::sync::Arc;

/// What each user has. Who has nothing is not remembered.
#[derive(Debug, Default)]
pub(super) struct Quotas(HashMap<Arc<str>, Used>);

/// What one user has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Allocations and reserved ports.
    pub(super) allocations: usize,
    /// Peers' connections that are being opened, or that no client has claimed.
    pub(super) unclaimed: usize,
}

impl Quotas {
    pub(super) fn used(&self, quota: &Arc<str>) -> Used {
        self.0.get(quota).copied().unwrap_or_default()
    }

    pub(super) fn change(&mut self, quota: &Arc<str>, change: impl FnOnce(&mut Used)) {
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
