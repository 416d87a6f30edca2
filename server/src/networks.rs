use std::collections::HashMap;
use std::net::IpAddr;

use crate::rate::{network, site};

/// How many connections there may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) all: usize,
    /// Of these, such of strangers.
    pub(crate) strangers: usize,
}

/// Connections by where they come from: an IPv4 address or IPv6 /64, and an IPv6 /56 as well.
#[derive(Debug)]
pub(crate) struct Networks {
    networks: HashMap<IpAddr, Count>,
    sites: HashMap<IpAddr, Count>,
    total: Count,
    most: Count,
}

/// Networks of IPv6 that one site may fill.
const NETWORKS_PER_SITE: usize = 4;

/// What has as many connections as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    network: IpAddr,
    is_site: bool,
    /// Of strangers only.
    pub(crate) strangers: bool,
}

impl Full {
    /// Whether a connection from there is one of them.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        let of = if self.is_site { site(ip) } else { network(ip) };
        of == self.network
    }
}

impl Networks {
    /// So many for each network, and four times as many for each site.
    pub(crate) fn new(most: Count) -> Self {
        Self {
            networks: HashMap::new(),
            sites: HashMap::new(),
            total: Count::default(),
            most,
        }
    }

    /// What keeps another stranger from coming from there; the network before the site.
    pub(crate) fn full(&self, ip: IpAddr) -> Option<Full> {
        let places = [
            (&self.networks, network(ip), 1),
            (&self.sites, site(ip), NETWORKS_PER_SITE),
        ];
        places.into_iter().find_map(|(counts, network, times)| {
            let count = counts.get(&network).copied().unwrap_or_default();
            let all = count.all >= self.most.all * times;
            let full = all || count.strangers >= self.most.strangers * times;
            full.then_some(Full {
                network,
                is_site: times > 1,
                strangers: !all,
            })
        })
    }

    /// Strangers from everywhere.
    pub(crate) const fn strangers(&self) -> usize {
        self.total.strangers
    }

    /// Whether somebody of the network is no stranger.
    pub(crate) fn is_known(&self, ip: IpAddr) -> bool {
        let count = self.networks.get(&network(ip));
        count.is_some_and(|count| count.all > count.strangers)
    }

    /// A stranger comes.
    pub(crate) fn enter(&mut self, ip: IpAddr) {
        self.change(ip, |count| {
            count.all += 1;
            count.strangers += 1;
        });
    }

    /// A stranger is none any more.
    pub(crate) fn recognize(&mut self, ip: IpAddr) {
        self.change(ip, |count| count.strangers -= 1);
    }

    /// A connection is gone.
    pub(crate) fn leave(&mut self, ip: IpAddr, stranger: bool) {
        self.change(ip, |count| {
            count.all -= 1;
            count.strangers -= usize::from(stranger);
        });
    }

    fn change(&mut self, ip: IpAddr, change: impl Fn(&mut Count)) {
        change(&mut self.total);
        for (counts, key) in [(&mut self.networks, network(ip)), (&mut self.sites, site(ip))] {
            let count = counts.entry(key).or_default();
            change(count);
            if count.all == 0 {
                counts.remove(&key);
            }
        }
    }

    /// Whether nobody is there.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.sites.is_empty() && self.total == Count::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The host `host` of the /64 `network` of the /56 `site`.
    fn v6(site: u16, network: u16, host: u16) -> IpAddr {
        IpAddr::from([0x2001, 0xdb8, site, network, 0, 0, 0, host])
    }

    fn fill(networks: &mut Networks, mut ip: impl FnMut(u16) -> IpAddr) -> usize {
        let mut came = 0;
        for n in 0..1000 {
            if networks.full(ip(n)).is_none() {
                networks.enter(ip(n));
                came += 1;
            }
        }
        came
    }

    #[test]
    fn a_site_has_as_many_as_four_networks() {
        let mut networks = Networks::new(Count { all: 7, strangers: 5 });
        assert_eq!(fill(&mut networks, |n| v6(1, 0, n)), 5);
        // However many networks it has.
        assert_eq!(fill(&mut networks, |n| v6(1, n % 256, n)), 15);
        let full = networks.full(v6(1, 200, 1)).unwrap();
        assert!(full.strangers && full.contains(v6(1, 3, 9)) && !full.contains(v6(1, 0x100, 9)));
        assert_eq!(networks.full(v6(1, 0x100, 1)), None);
        assert_eq!(networks.full(v6(2, 0, 1)), None);
        // Of the network there are too many before there are of the site.
        let full = networks.full(v6(1, 0, 1)).unwrap();
        assert!(full.contains(v6(1, 0, 9)) && !full.contains(v6(1, 1, 9)));
        // Those who are known count as well.
        networks.recognize(v6(1, 0, 1));
        networks.recognize(v6(1, 0, 2));
        assert_eq!(fill(&mut networks, |n| v6(1, 0, n)), 2);
        assert!(!networks.full(v6(1, 0, 1)).unwrap().strangers);
    }

    #[test]
    fn an_ipv4_address_is_a_network_and_a_site() {
        let mut networks = Networks::new(Count { all: 7, strangers: 5 });
        let ip = |n: u16| IpAddr::from([192, 0, 2, n.to_be_bytes()[1]]);
        assert_eq!(fill(&mut networks, |_| ip(1)), 5);
        assert_eq!(fill(&mut networks, |n| ip(2 + n % 100)), 500);
    }

    #[test]
    fn nothing_is_remembered_of_those_who_are_gone() {
        let mut networks = Networks::new(Count { all: 7, strangers: 5 });
        networks.enter(v6(1, 1, 1));
        assert!(!networks.is_known(v6(1, 1, 2)));
        networks.enter(v6(1, 1, 2));
        assert_eq!(networks.strangers(), 2);
        networks.recognize(v6(1, 1, 1));
        assert_eq!(networks.strangers(), 1);
        assert!(networks.is_known(v6(1, 1, 2)) && !networks.is_known(v6(1, 2, 2)));
        networks.leave(v6(1, 1, 1), false);
        networks.leave(v6(1, 1, 2), true);
        assert!(networks.is_empty());
    }
}
