use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use turn::{Nat64Prefix, PeerPolicy, RelayAddress, ServerConfig, ServerLimits};

use crate::Secret;

/// The realm of usernames when there is no name.
const REALM: &str = "hyaline";

/// How the TURN server is set up. There is one when somebody may use it.
#[derive(Debug, Clone)]
pub struct TurnOptions {
    /// The name that TLS clients know the server by; without one there is no `turns:` address to tell.
    pub host: Option<String>,
    /// Where clients come over UDP and TCP; 0 picks one.
    pub port: u16,
    /// Where clients come over TLS, when the page has a certificate; 0 picks one.
    pub tls_port: u16,
    /// Usernames and passwords.
    pub users: Vec<(String, Secret)>,
    /// What passwords of usernames with a time are made with: at most two.
    pub secrets: Vec<Secret>,
    /// The realm of usernames; without one the host's name.
    pub realm: Option<String>,
    /// The ports that are relayed from.
    pub relay_ports: RangeInclusive<u16>,
    /// Whether private addresses may be peers, but none of this machine's own services.
    pub allow_private: bool,
    /// Whether loopback addresses may be peers, with every service on them.
    pub allow_loopback: bool,
    /// The prefixes of this network's NAT64 (RFC 6052) beside 64:ff9b::/96: an address under one of them may be a peer
    /// when the IPv4 address in it may be one.
    pub nat64_prefixes: Vec<Nat64Prefix>,
    /// What an allocation may relay to its peers, and as much to its client, in bytes of data per second; half of it
    /// may come at once. With less than [`MIN_BYTES_PER_SECOND`](Self::MIN_BYTES_PER_SECOND) long datagrams are never
    /// relayed.
    pub bytes_per_second: u64,
}

impl Default for TurnOptions {
    /// The registered ports, nobody who may use it.
    fn default() -> Self {
        Self {
            host: None,
            port: 3478,
            tls_port: 5349,
            users: Vec::new(),
            secrets: Vec::new(),
            realm: None,
            relay_ports: 49_152..=65_535,
            allow_private: false,
            allow_loopback: false,
            nat64_prefixes: Vec::new(),
            bytes_per_second: ServerLimits::default().bytes_per_second,
        }
    }
}

impl TurnOptions {
    /// Half a second of it is as much as the longest datagram has.
    pub const MIN_BYTES_PER_SECOND: u64 = 2 * 65_536;

    /// Whether anybody may use it.
    pub(crate) const fn is_wanted(&self) -> bool {
        !self.users.is_empty() || !self.secrets.is_empty()
    }

    /// What the engine is made from: `addresses` are this machine's, `listeners` the ports of this TURN server, `media`
    /// where the SFU is.
    pub(crate) fn config(&self, addresses: &[IpAddr], listeners: &[u16], media: &[SocketAddr]) -> ServerConfig {
        let realm = self.realm.as_deref().or(self.host.as_deref()).unwrap_or(REALM);
        let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
        let own = addresses.iter().chain(&loopback);
        ServerConfig {
            realm: realm.to_owned(),
            users: self
                .users
                .iter()
                .map(|(name, password)| (name.clone(), password.expose().to_owned()))
                .collect(),
            secrets: self.secrets.iter().map(|secret| secret.expose().to_owned()).collect(),
            ipv4: relay_address(addresses, IpAddr::is_ipv4),
            ipv6: relay_address(addresses, IpAddr::is_ipv6),
            ports: self.relay_ports.clone(),
            listeners: own
                .flat_map(|ip| listeners.iter().map(|port| SocketAddr::new(*ip, *port)))
                .collect(),
            peers: PeerPolicy {
                allow_loopback: self.allow_loopback,
                allow_private: self.allow_private,
                // Clouds give away their machines' keys there.
                allow_link_local: false,
                own: media.to_vec(),
                nat64_prefixes: self.nat64_prefixes.clone(),
            },
            limits: ServerLimits {
                bytes_per_second: self.bytes_per_second,
                burst_bytes: self.bytes_per_second / 2,
                ..ServerLimits::default()
            },
            ..ServerConfig::default()
        }
    }
}

/// The first address of a family. One that is not this machine's own is what a NAT makes of any of them.
fn relay_address(addresses: &[IpAddr], family: fn(&IpAddr) -> bool) -> Option<RelayAddress> {
    let external = *addresses.iter().find(|ip| family(ip))?;
    let is_own = std::net::UdpSocket::bind((external, 0)).is_ok();
    let any: IpAddr = if external.is_ipv4() {
        [0, 0, 0, 0].into()
    } else {
        [0; 16].into()
    };
    Some(RelayAddress {
        bind: if is_own { external } else { any },
        external,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_told_what_is_the_servers_own() {
        let options = TurnOptions {
            host: Some("turn.example.org".into()),
            users: vec![("ann".into(), "secret".into())],
            ..TurnOptions::default()
        };
        let (v4, elsewhere) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([203, 0, 113, 77]));
        let media = ["192.0.2.1:4000".parse().unwrap()];
        let config = options.config(&[v4, elsewhere], &[3478, 5349], &media);
        assert_eq!(config.ipv4, Some(RelayAddress::new(v4)));
        assert_eq!((config.ipv6, config.realm.as_str()), (None, "turn.example.org"));
        assert_eq!(config.peers.own, media);
        assert!(config.listeners.contains(&"203.0.113.77:5349".parse().unwrap()));
        assert!(!config.peers.allow_loopback && !config.peers.allow_private);
        // Behind a NAT.
        let config = options.config(&[elsewhere], &[3478], &media);
        let relay = config.ipv4.unwrap();
        assert_eq!((relay.bind, relay.external), ([0, 0, 0, 0].into(), elsewhere));
        assert_eq!(config.limits, ServerLimits::default());
        let private = TurnOptions {
            allow_private: true,
            nat64_prefixes: vec!["2001:db8:64::/96".parse().unwrap()],
            bytes_per_second: 10_000_000,
            ..options
        };
        let config = private.config(&[v4], &[3478], &[]);
        assert_eq!(
            (config.limits.bytes_per_second, config.limits.burst_bytes),
            (10_000_000, 5_000_000)
        );
        let peers = config.peers;
        assert_eq!(peers.nat64_prefixes, private.nat64_prefixes);
        assert!(peers.allow_private && !peers.allow_loopback && !peers.allow_link_local);
        assert!(!format!("{private:?}").contains("\"secret\""));
    }
}
