use super::nat64::{Nat64Prefix, guesses};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which peers may be relayed to and from (RFC 8656 §10.2, §12.2).
///
/// Without permission of any of these, only addresses that are reached from everywhere in the Internet are. Never
/// relayed to are unspecified, multicast, broadcast and reserved addresses, IPv4-mapped ones, and the TURN server's own
/// ports, which would make loops (RFC 8656 §21.1.7). Of the machine's own addresses only relays and
/// [`own`](Self::own) are peers, and loopback where it is allowed. Addresses that carry an IPv4 address (NAT64, 6to4,
/// Teredo, ISATAP) are judged by that one too; of the prefix for local use (RFC 8215) by each that may be meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerPolicy {
    /// 127.0.0.0/8 and ::1.
    pub allow_loopback: bool,
    /// RFC 1918, the shared addresses of carriers (RFC 6598), and unique local addresses (RFC 4193).
    pub allow_private: bool,
    /// 169.254.0.0/16 and fe80::/10. Clouds give away their machines' keys there.
    pub allow_link_local: bool,
    /// Always allowed, such as the media ports of the same server.
    pub own: Vec<SocketAddr>,
    /// The prefixes of the network's NAT64 beside 64:ff9b::/96. Of what is under them the IPv4 address in it is judged,
    /// even where the prefix is a private one.
    pub nat64_prefixes: Vec<Nat64Prefix>,
}

/// What kind of address it is, as far as relaying is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Global,
    Private,
    LinkLocal,
    Loopback,
    Never,
}

impl PeerPolicy {
    /// Whether the kind of an address may be a peer.
    pub(super) fn permits_scope(&self, ip: IpAddr) -> bool {
        let allowed = |scope| match scope {
            Scope::Global => true,
            Scope::Private => self.allow_private,
            Scope::LinkLocal => self.allow_link_local,
            Scope::Loopback => self.allow_loopback,
            Scope::Never => false,
        };
        match ip {
            IpAddr::V4(ip) => allowed(scope_v4(ip)),
            IpAddr::V6(ip) => {
                let scope = match scope_v6(ip) {
                    Scope::Private if self.translated(ip).is_some() => Scope::Global,
                    scope => scope,
                };
                allowed(scope) && self.carried(ip).all(|ip| allowed(scope_v4(ip)))
            }
        }
    }

    /// The IPv4 addresses that an IPv6 address leads to, or may lead to.
    pub(super) fn carried(&self, ip: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
        let translated = match self.translated(ip) {
            None => guesses(ip),
            known => [known, None, None, None],
        };
        carried(ip).into_iter().chain(translated).flatten()
    }

    /// The IPv4 address behind the longest of the network's prefixes.
    fn translated(&self, ip: Ipv6Addr) -> Option<Ipv4Addr> {
        let prefixes = self.nat64_prefixes.iter();
        let found = prefixes.filter_map(|prefix| Some((prefix.length(), prefix.ipv4(ip)?)));
        found.max_by_key(|(length, _)| *length).map(|(_, ip)| ip)
    }
}

fn scope_v4(ip: Ipv4Addr) -> Scope {
    match ip.octets() {
        [0, ..] | [224..=255, ..] => Scope::Never,
        [127, ..] => Scope::Loopback,
        [169, 254, ..] => Scope::LinkLocal,
        // RFC 6598, RFC 6890 (protocol assignments), RFC 2544 (benchmarks of own networks).
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..] => {
            Scope::Private
        }
        _ => Scope::Global,
    }
}

fn scope_v6(ip: Ipv6Addr) -> Scope {
    if ip == Ipv6Addr::LOCALHOST {
        return Scope::Loopback;
    }
    match ip.segments() {
        // Unspecified, IPv4-compatible and IPv4-mapped; the discard prefix (RFC 6666); identifiers of segments, which
        // are of one network alone (RFC 9602); multicast.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x0100, 0, 0, 0, ..] | [0x5f00, ..] | [0xff00..=0xffff, ..] => Scope::Never,
        [0xfe80..=0xfebf, ..] => Scope::LinkLocal,
        // Unique local, site local (RFC 3879), a network's own NAT64 (RFC 8215), IPv4-translated (RFC 7915).
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Scope::Private,
        _ => Scope::Global,
    }
}

/// The IPv4 addresses that an IPv6 address leads to in any network.
const fn carried(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    match ip.octets() {
        // NAT64 (RFC 6052 §2.1).
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
        | [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, a, b, c, d] => [Some(Ipv4Addr::new(a, b, c, d)), None],
        // 6to4 (RFC 3056 §2).
        [0x20, 0x02, a, b, c, d, ..] => [Some(Ipv4Addr::new(a, b, c, d)), None],
        // Teredo: the server, and the client with its bits inverted (RFC 4380 §4).
        [0x20, 0x01, 0, 0, a, b, c, d, _, _, _, _, e, f, g, h] => {
            [Some(Ipv4Addr::new(a, b, c, d)), Some(Ipv4Addr::new(!e, !f, !g, !h))]
        }
        // ISATAP (RFC 5214 §6.1): with the universal bit where the IPv4 address is one of the Internet.
        [.., 0 | 2, 0, 0x5e, 0xfe, a, b, c, d] => [Some(Ipv4Addr::new(a, b, c, d)), None],
        _ => [None, None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(policy: &PeerPolicy, ip: &str) -> bool {
        policy.permits_scope(ip.parse().unwrap())
    }

    #[test]
    fn only_addresses_of_the_internet_are_permitted() {
        let policy = PeerPolicy::default();
        let global = [
            "198.51.100.1",
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "11.0.0.1",
            "192.0.1.1",
            "2001:db8::1",
            "2606:4700::1111",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001:0:808:808::f7f7:f7f7",
            "2001:db8::200:5efe:808:808",
            "5eff::1",
            "5f01::1",
        ];
        for ip in global {
            assert!(permits(&policy, ip), "{ip}");
        }
        let forbidden = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::2",
            "::8.8.8.8",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
            "2001:db8::5efe:a00:1",
            "2001:db8::200:5efe:7f00:1",
            "2002:a00:1::1",
            "2002:7f00:1::1",
            "2002:c0a8:101::1",
            // Teredo: a private server, and a client at 10.0.0.1.
            "2001:0:a00:1::f7f7:f7f7",
            "2001:0:808:808::f5ff:fffe",
        ];
        for ip in forbidden {
            assert!(!permits(&policy, ip), "{ip}");
        }
    }

    #[test]
    fn what_a_nat64_leads_to_is_judged_whatever_is_private() {
        let mut policy = PeerPolicy {
            allow_private: true,
            ..PeerPolicy::default()
        };
        let leads_to = |policy: &PeerPolicy, prefix: &str| {
            [
                "8.8.8.8",
                "10.0.0.1",
                "127.0.0.1",
                "169.254.169.254",
                "0.0.0.0",
                "224.0.0.1",
                "255.255.255.255",
            ]
            .map(|ip| permits(policy, &format!("{prefix}{ip}")))
        };
        let expected = [true, true, false, false, false, false, false];
        for prefix in ["64:ff9b::", "64:ff9b:1::"] {
            assert_eq!(leads_to(&policy, prefix), expected, "{prefix}");
        }
        // At every length of a prefix for local use (RFC 6052 §2.2), whatever follows.
        let at_every_length = [
            ("64:ff9b:1:808:8:800::", true),
            ("64:ff9b:1:a00:0:100::", true),
            ("64:ff9b:1:7f00:0:100::", false),
            ("64:ff9b:1:7f00:0:100:0:1", false),
            ("64:ff9b:1:a9fe:a9:fe00::", false),
            ("64:ff9b:1:7f:0:1::", false),
            ("64:ff9b:1:0:7f:0:100:0", false),
            ("64:ff9b:1:aa:0:b:808:808", true),
            ("64:ff9b:1:aa:0:b:7f00:1", false),
            ("64:ff9b:1::", false),
        ];
        for (ip, permitted) in at_every_length {
            assert_eq!(permits(&policy, ip), permitted, "{ip}");
        }
        policy.allow_loopback = true;
        assert!(permits(&policy, "64:ff9b:1::127.0.0.1") && !permits(&policy, "64:ff9b:1::169.254.169.254"));
        policy.allow_private = false;
        assert!(!permits(&policy, "64:ff9b:1::8.8.8.8"));
    }

    #[test]
    fn what_a_networks_own_nat64_leads_to_is_judged_as_ipv4() {
        let mut policy = PeerPolicy::default();
        let of_networks = ["2001:db8:64::", "fd00:64::", "64:ff9b:1:fffe::"];
        policy.nat64_prefixes = of_networks.map(|ip| format!("{ip}/96").parse().unwrap()).to_vec();
        let open = |policy: &PeerPolicy, ip: &str| of_networks.map(|prefix| permits(policy, &format!("{prefix}{ip}")));
        assert_eq!(open(&policy, "8.8.8.8"), [true; 3]);
        for ip in ["10.0.0.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"] {
            assert_eq!(open(&policy, ip), [false; 3], "{ip}");
        }
        // Beside the prefixes nothing has changed.
        assert!(permits(&policy, "2001:db8:65::10.0.0.1") && !permits(&policy, "fd00:65::8.8.8.8"));
        policy.allow_private = true;
        assert_eq!(open(&policy, "10.0.0.1"), [true; 3]);
        assert_eq!(open(&policy, "127.0.0.1"), [false; 3]);
        // Of two the longer one counts, and never is never.
        policy.nat64_prefixes = ["2001:db8::/32", "2001:db8:7f00:1::/96", "::ffff:0:0/96"]
            .map(|prefix| prefix.parse().unwrap())
            .to_vec();
        assert!(permits(&policy, "2001:db8:7f00:1::8.8.8.8") && !permits(&policy, "2001:db8:7f00:1:1::"));
        assert!(!permits(&policy, "::ffff:8.8.8.8"));
    }

    #[test]
    fn each_exception_opens_what_it_names() {
        let all = [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "100.64.0.1",
            "fd00::1",
            "64:ff9b::10.0.0.1",
            "169.254.1.1",
            "fe80::1",
        ];
        let open = |policy: &PeerPolicy| all.map(|ip| permits(policy, ip));
        let mut policy = PeerPolicy {
            allow_loopback: true,
            ..PeerPolicy::default()
        };
        assert_eq!(open(&policy), [true, true, false, false, false, false, false, false]);
        policy.allow_private = true;
        assert_eq!(open(&policy), [true, true, true, true, true, true, false, false]);
        policy.allow_link_local = true;
        assert_eq!(open(&policy), [true; 8]);
        for never in [
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
            "::",
            "::ffff:127.0.0.1",
            "240.0.0.1",
        ] {
            assert!(!permits(&policy, never), "{never}");
        }
    }
}
