use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use peer::{IceServer, IceServerError};

use crate::messages::IceServers;

/// How long it may take to resolve the names of servers.
const PATIENCE: Duration = Duration::from_secs(5);
/// URIs of a room that are looked at: more than a peer makes use of.
const MAX_URIS: usize = 4 * IceServer::MAX;
/// Addresses of one name that are made use of.
const MAX_ADDRESSES_OF_A_NAME: usize = 4;
/// Addresses of all servers that are made use of. A peer asks any number of STUN servers: a hostile room must not have
/// each guest send to thousands of targets of its choice.
const MAX_ADDRESSES: usize = 32;

/// Gives the addresses of a name; may block.
pub(crate) type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// As the system does it.
pub(crate) fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = (name, 0).to_socket_addrs()?;
    Ok(found.map(|address| address.ip()).collect())
}

type Login = Option<(String, String)>;
type Found = Result<IceServer, String>;

/// The servers that a room tells, while their names are resolved: each on a thread of its own, so that nothing waits
/// for a slow one.
pub(crate) struct Resolving {
    deadline: Instant,
    /// In the order in which they were told.
    servers: Vec<(String, Option<Found>)>,
    found: Receiver<(usize, Found)>,
}

impl Resolving {
    pub(crate) fn begin(now: Instant, told: &[IceServers], look_up: &Arc<Lookup>) -> Self {
        let (sender, found) = channel();
        let uris = told.iter().flat_map(|entry| {
            let login = entry.username.clone().zip(entry.credential.clone());
            entry.urls.iter().map(move |uri| (uri, login.clone()))
        });
        let uris = uris.take(MAX_URIS).enumerate();
        let servers = uris
            .map(|(nth, (uri, login))| (uri.clone(), server(nth, uri, login, look_up, &sender)))
            .collect();
        Self {
            deadline: now + PATIENCE,
            servers,
            found,
        }
    }

    /// The servers that can be used, and sentences about the others; `None` while there is something to wait for.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<(Vec<IceServer>, Vec<String>)> {
        for (nth, found) in self.found.try_iter() {
            if let Some((_, server)) = self.servers.get_mut(nth) {
                *server = Some(found);
            }
        }
        if now < self.deadline && self.servers.iter().any(|(_, server)| server.is_none()) {
            return None;
        }
        let (mut servers, mut faults) = (Vec::new(), Vec::new());
        let mut left = MAX_ADDRESSES;
        for (uri, server) in self.servers.drain(..) {
            let late = || {
                let patience = PATIENCE.as_secs();
                Err(format!(
                    "its name was not resolved within {patience} s; check the name, or give an address"
                ))
            };
            match server.unwrap_or_else(late) {
                Ok(server) => {
                    if let Some(less) = left.checked_sub(server.addresses().count()) {
                        left = less;
                        servers.push(server);
                    }
                }
                Err(reason) => faults.push(format!("the server {uri} cannot be used: {reason}")),
            }
        }
        Some((servers, faults))
    }
}

/// A server whose address is known; `None` when a thread tells it.
fn server(
    nth: usize,
    uri: &str,
    login: Login,
    look_up: &Arc<Lookup>,
    sender: &Sender<(usize, Found)>,
) -> Option<Found> {
    let name = match with_addresses(uri, &[], &login) {
        Err(IceServerError::Unresolved(name)) => name,
        made => return Some(made.map_err(|error| error.to_string())),
    };
    let (uri, look_up, sender) = (uri.to_owned(), Arc::clone(look_up), sender.clone());
    let resolve = move || {
        let found = match look_up(&name) {
            Ok(mut addresses) => {
                addresses.truncate(MAX_ADDRESSES_OF_A_NAME);
                with_addresses(&uri, &addresses, &login).map_err(|error| error.to_string())
            }
            Err(error) => Err(format!("{error}; check the name `{name}`")),
        };
        // Nobody may wait any more.
        let _ = sender.send((nth, found));
    };
    let thread = std::thread::Builder::new().name("guest name".to_owned()).spawn(resolve);
    thread.err().map(|error| Err(error.to_string()))
}

fn with_addresses(uri: &str, addresses: &[IpAddr], login: &Login) -> Result<IceServer, IceServerError> {
    let login = login.as_ref().map(|(name, password)| (&name[..], &password[..]));
    IceServer::new(uri, addresses, login)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<IceServers> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn servers_are_taken_in_their_order_and_faults_are_told() {
        let told = told(
            r#"[
            {"urls": ["turn:a.test:1?transport=udp", "turn:127.0.0.1:2?transport=tcp", "turns:a.test:3"],
             "username": "ann", "credential": "secret"},
            {"urls": ["stun:a.test:4"]},
            {"urls": ["turn:127.0.0.2", "stun:b.test"], "username": "ann"}
        ]"#,
        );
        let look_up: Arc<Lookup> = Arc::new(|name: &str| match name {
            "a.test" => Ok(vec![IpAddr::from([192, 0, 2, 1])]),
            _ => Err(io::ErrorKind::NotFound.into()),
        });
        let now = Instant::now();
        let mut resolving = Resolving::begin(now, &told, &look_up);
        let start = Instant::now();
        let (servers, faults) = loop {
            assert!(start.elapsed() < Duration::from_secs(20), "not within 20 s");
            match resolving.poll(now) {
                Some(all) => break all,
                None => std::thread::yield_now(),
            }
        };
        let ports: Vec<u16> = servers.iter().map(|server| server.uri().port()).collect();
        assert_eq!(ports, [1, 2, 3, 4]);
        let addresses: Vec<String> = servers[2].addresses().map(|address| address.to_string()).collect();
        assert_eq!(addresses, ["192.0.2.1:3"]);
        assert_eq!(
            faults,
            [
                "the server turn:127.0.0.2 cannot be used: a TURN server needs a user name and a password; give them",
                "the server stun:b.test cannot be used: entity not found; check the name `b.test`"
            ]
        );
    }

    #[test]
    fn a_name_that_nobody_resolves_holds_nothing_up() {
        let told = told(r#"[{"urls": ["stun:slow.test", "stun:192.0.2.1"]}]"#);
        let (go, wait) = channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let look_up: Arc<Lookup> = Arc::new(move |_: &str| {
            let _ = wait.lock().unwrap().recv();
            Ok(Vec::new())
        });
        let now = Instant::now();
        let mut resolving = Resolving::begin(now, &told, &look_up);
        assert!(resolving.poll(now + PATIENCE - Duration::from_millis(1)).is_none());
        let (servers, faults) = resolving.poll(now + PATIENCE).unwrap();
        assert_eq!(servers.len(), 1);
        assert!(
            faults.len() == 1 && faults[0].contains("stun:slow.test") && faults[0].contains("within 5 s"),
            "{faults:?}"
        );
        drop(go);
    }

    #[test]
    fn uris_are_bounded() {
        let uris: Vec<String> = (0..1000)
            .map(|port| format!("\"stun:192.0.2.1:{}\"", port + 1))
            .collect();
        let told = told(&format!("[{{\"urls\": [{}]}}]", uris.join(",")));
        let look_up: Arc<Lookup> = Arc::new(look_up);
        let now = Instant::now();
        let (servers, faults) = Resolving::begin(now, &told, &look_up).poll(now).unwrap();
        assert_eq!((servers.len(), faults.len()), (MAX_URIS, 0));
    }

    #[test]
    fn addresses_are_bounded() {
        let uris: Vec<String> = (0..20).map(|nth| format!("\"stun:{nth}.test\"")).collect();
        let told = told(&format!("[{{\"urls\": [{}]}}]", uris.join(",")));
        let look_up: Arc<Lookup> = Arc::new(|_: &str| {
            let many = (0..1000_u16).map(|nth| IpAddr::from([192, 0, (nth >> 8) as u8, nth as u8]));
            Ok(many.collect())
        });
        let now = Instant::now();
        let mut resolving = Resolving::begin(now, &told, &look_up);
        let start = Instant::now();
        let (servers, faults) = loop {
            assert!(start.elapsed() < Duration::from_secs(20), "not within 20 s");
            match resolving.poll(now) {
                Some(all) => break all,
                None => std::thread::yield_now(),
            }
        };
        let counts: Vec<usize> = servers.iter().map(|server| server.addresses().count()).collect();
        assert_eq!((counts, faults.len()), (vec![4; 8], 0));
    }
}
