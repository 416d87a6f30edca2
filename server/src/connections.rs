use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rate::network;

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) overall: usize,
    pub(crate) per_address: usize,
}

/// Counts the connections that are open, in all and by the address that they come from.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: Limits,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    overall: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    open: Arc<Mutex<Open>>,
    address: IpAddr,
}

impl Connections {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            open: Arc::default(),
        }
    }

    /// A place for one more connection from `address`, if there is one.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut open = lock(&self.open);
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        if open.overall >= self.limits.overall || of_address >= self.limits.per_address {
            return None;
        }
        open.overall += 1;
        open.by_address.insert(address, of_address + 1);
        Some(Place {
            open: self.open.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.overall -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_in_all() {
        let connections = Connections::new(Limits {
            overall: 3,
            per_address: 2,
        });
        let ip = |text: &str| text.parse().unwrap();
        let first = connections.take(ip("192.0.2.1")).unwrap();
        let _second = connections.take(ip("192.0.2.1")).unwrap();
        assert!(connections.take(ip("192.0.2.1")).is_none());
        // The addresses of one IPv6 network are one.
        let third = connections.take(ip("2001:db8::1")).unwrap();
        assert!(connections.take(ip("2001:db8::2")).is_none());
        assert!(connections.take(ip("192.0.2.2")).is_none());
        drop(first);
        let fourth = connections.take(ip("192.0.2.1"));
        assert!(fourth.is_some());
        drop((third, fourth));
        assert_eq!(lock(&connections.open).by_address.len(), 1);
    }
}
