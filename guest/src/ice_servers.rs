use std::net::{IpAddr, ToSocketAddrs};

use peer::{IceServer, IceServerError};

use crate::messages::IceServers;

/// Of the servers that a room tells, those over UDP: a guest has one socket. Also sentences about those that cannot be used.
pub(crate) fn over_udp(told: &[IceServers]) -> (Vec<IceServer>, Vec<String>) {
    let (mut servers, mut faults) = (Vec::new(), Vec::new());
    for entry in told {
        let login = entry.username.as_deref().zip(entry.credential.as_deref());
        for url in &entry.urls {
            match server(url, login) {
                Ok(server) if server.is_over_udp() => servers.push(server),
                Ok(_) => {}
                Err(error) => faults.push(format!("the server {url} cannot be used: {error}")),
            }
        }
    }
    (servers, faults)
}

fn server(url: &str, login: Option<(&str, &str)>) -> Result<IceServer, String> {
    let made = match IceServer::new(url, &[], login) {
        Err(IceServerError::Unresolved(name)) => {
            let found = (name.as_str(), 0)
                .to_socket_addrs()
                .map_err(|error| error.to_string())?;
            let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            IceServer::new(url, &addresses, login)
        }
        made => made,
    };
    made.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_over_udp_are_taken_and_others_left_aside() {
        let text = r#"[
            {"urls": ["turn:127.0.0.1:3478?transport=udp", "turn:127.0.0.1:3478?transport=tcp", "turns:127.0.0.1"],
             "username": "ann", "credential": "secret"},
            {"urls": ["stun:localhost:3479"]},
            {"urls": ["turn:127.0.0.2"], "username": "ann"}
        ]"#;
        let told: Vec<IceServers> = serde_json::from_str(text).unwrap();
        let (servers, faults) = over_udp(&told);
        let ports: Vec<u16> = servers.iter().map(|server| server.uri().port()).collect();
        assert_eq!(ports, [3478, 3479]);
        assert!(servers[1].addresses().all(|address| address.ip().is_loopback()));
        assert_eq!(
            faults,
            ["the server turn:127.0.0.2 cannot be used: a TURN server needs a user name and a password; give them"]
        );
    }
}
