use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::TurnOptions;
use crate::Secret;
use crate::protocol::IceServer;

/// How long credentials may be used to come with. Who is there by then stays: only who allocates is asked for the time.
const VALID: Duration = Duration::from_secs(24 * 60 * 60);

/// What pages are told, so that they may use the TURN server.
pub(crate) struct Invitation {
    urls: Vec<String>,
    secret: Secret,
}

impl Invitation {
    /// For a server on these addresses. `secret` is one of the server's.
    pub(crate) fn new(
        options: &TurnOptions,
        secret: Secret,
        addresses: &[IpAddr],
        port: Option<u16>,
        tls_port: Option<u16>,
    ) -> Self {
        let first = |family: fn(&IpAddr) -> bool| addresses.iter().copied().find(family);
        let mut urls = Vec::new();
        for ip in [first(IpAddr::is_ipv4), first(IpAddr::is_ipv6)].into_iter().flatten() {
            for transport in ["udp", "tcp"] {
                let address = port.map(|port| SocketAddr::new(ip, port));
                urls.extend(address.map(|address| format!("turn:{address}?transport={transport}")));
            }
        }
        // A certificate is for a name.
        if let Some((host, port)) = options.host.as_ref().zip(tls_port) {
            urls.push(format!("turns:{host}:{port}?transport=tcp"));
        }
        Self { urls, secret }
    }

    /// An entry for one participant, who has a quota of their own.
    pub(crate) fn ice_server(&self, now: SystemTime, participant: &impl fmt::Display) -> IceServer {
        let until = now.duration_since(UNIX_EPOCH).unwrap_or_default() + VALID;
        let username = format!("{}:{participant}", until.as_secs());
        IceServer {
            urls: self.urls.clone(),
            credential: Some(turn::timed_password(self.secret.expose(), &username)),
            username: Some(username),
        }
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(options: &TurnOptions, addresses: &[&str], tls_port: Option<u16>) -> Vec<String> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        Invitation::new(options, "secret".into(), &addresses, Some(3478), tls_port).urls
    }

    #[test]
    fn each_family_and_transport_is_told_and_tls_only_with_a_name() {
        let nameless = TurnOptions::default();
        let named = TurnOptions {
            host: Some("turn.example.org".into()),
            ..TurnOptions::default()
        };
        let both = ["2001:db8::1", "192.0.2.1", "192.0.2.2"];
        let plain = [
            "turn:192.0.2.1:3478?transport=udp",
            "turn:192.0.2.1:3478?transport=tcp",
            "turn:[2001:db8::1]:3478?transport=udp",
            "turn:[2001:db8::1]:3478?transport=tcp",
        ];
        assert_eq!(urls(&nameless, &both, Some(5349)), plain);
        assert_eq!(urls(&named, &both, None), plain);
        let all = urls(&named, &both, Some(5349));
        assert_eq!(all.len(), 5);
        assert_eq!(all[4], "turns:turn.example.org:5349?transport=tcp");
        assert_eq!(urls(&nameless, &["192.0.2.1"], None).len(), 2);
    }

    #[test]
    fn credentials_are_for_a_day_and_a_participant() {
        let options = TurnOptions::default();
        let invitation = Invitation::new(&options, "secret".into(), &[], None, None);
        let server = invitation.ice_server(UNIX_EPOCH + Duration::from_secs(1_000_000), &7);
        assert_eq!(server.username.as_deref(), Some("1086400:7"));
        assert_eq!(server.credential, Some(turn::timed_password("secret", "1086400:7")));
        assert!(!format!("{invitation:?}").contains("secret"));
    }
}
