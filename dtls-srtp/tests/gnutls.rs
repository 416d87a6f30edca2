//! GnuTLS as a foreign peer, over sockets on the loopback interface of a namespace, because its server listens on every
//! address: our server against `gnutls-cli`, our client against `gnutls-serv`. It speaks DTLS 1.2 at most.

mod certificates;
mod program;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;

use certificates::Files;
use dtls_srtp::{CloseReason, Config, Event, NamedGroup, RingCrypto, Role, SrtpProfile, Version};
use netns::Namespace;
use program::{Ours, Program};

/// GnuTLS with a certificate, buffered by lines.
fn gnutls(program: &str, certificate: Files, more: &[&str]) -> Program {
    let (cert, key) = (certificate.path("der"), certificate.path("key"));
    // A pipe as its output would hold everything back to the end.
    let mut command = Command::new("stdbuf");
    command
        .args(["--output=L", program, "--udp", "--mtu", "1200", "--x509fmtder"])
        .args(["--x509certfile", &cert, "--x509keyfile", &key])
        .args(["--srtp-profiles", "SRTP_AES128_CM_HMAC_SHA1_80"])
        .args(["--keymatexport", "EXTRACTOR-dtls_srtp", "--keymatexportsize", "60"])
        .args(more);
    Program::start(&mut command)
}

/// Our configuration: DTLS 1.2 alone, or both versions.
fn configs(certificate: Files) -> [Config; 2] {
    let both = Config::new(Arc::new(RingCrypto::new()), certificate.ours());
    let only_12 = Config {
        versions: vec![Version::DTLS_1_2],
        ..both.clone()
    };
    [only_12, both]
}

/// What is in all of these meetings.
fn check(ours: &Ours, group: NamedGroup) {
    let (version, _, agreed, profile) = ours.connected();
    assert_eq!((version, agreed), (Version::DTLS_1_2, group));
    assert_eq!(profile, Some(SrtpProfile::Aes128CmHmacSha1_80));
}

fn serve(config: Config, client: Files, priority: &str, group: NamedGroup) {
    let mut ours = Ours::new(config, Role::Server, None);
    ours.dtls.set_remote_fingerprints(vec![client.fingerprint()]);
    let port = ours.socket.local_addr().unwrap().port().to_string();
    let arguments = ["--insecure", "--priority", priority, "--port", &port, "127.0.0.1"];
    let mut peer = gnutls("gnutls-cli", client, &arguments);
    ours.turn_until("connect", &mut peer, |ours, _| ours.dtls.is_connected());
    check(&ours, group);
    ours.turn_until("export", &mut peer, |_, peer| peer.printed("Key material: ").is_some());
    let mut exported = [0; 60];
    ours.dtls.export(b"EXTRACTOR-dtls_srtp", None, &mut exported).unwrap();
    assert_eq!(peer.printed_hex("Key material: ").unwrap(), exported);

    ours.seal_and_send(b"from us to GnuTLS\n");
    ours.turn_until("message to GnuTLS", &mut peer, |_, peer| {
        peer.printed("from us to GnuTLS").is_some()
    });
    peer.type_line("from GnuTLS to us\n");
    ours.turn_until("message from GnuTLS", &mut peer, |ours, _| {
        ours.received == b"from GnuTLS to us\n"
    });
    peer.end_input();
    ours.turn_until("goodbye", &mut peer, |ours, _| ours.dtls.is_closed());
    let reason = CloseReason::Peer;
    assert_eq!(ours.events.last(), Some(&Event::Closed { reason }));
}

fn dial(config: Config, server: Files, more: &[&str], group: NamedGroup) {
    let mut arguments = vec!["--port", "4433", "--echo", "--require-client-cert"];
    arguments.extend(more);
    let mut peer = gnutls("gnutls-serv", server, &arguments);
    peer.wait_for("Waiting for connection...");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 4433));
    let mut ours = Ours::new(config, Role::Client, Some(address));
    ours.dtls.set_remote_fingerprints(vec![server.fingerprint()]);
    ours.turn_until("connect", &mut peer, |ours, _| ours.dtls.is_connected());
    check(&ours, group);
    // It prints no keying material as a server over UDP; that its echo comes back proves the same master secret.
    ours.seal_and_send(b"there and back\n");
    ours.turn_until("echo", &mut peer, |ours, _| ours.received == b"there and back\n");
    ours.dtls.close();
    ours.turn();
}

const GROUPS: [(NamedGroup, &str); 3] = [
    (NamedGroup::X25519, "NORMAL:-GROUP-ALL:+GROUP-X25519"),
    (NamedGroup::SECP256R1, "NORMAL:-GROUP-ALL:+GROUP-SECP256R1"),
    (
        NamedGroup::SECP384R1,
        "NORMAL:-GROUP-ALL:+GROUP-SECP384R1:+GROUP-SECP256R1",
    ),
];

#[test]
fn our_server() {
    let namespace = Namespace::new().unwrap();
    let body = || {
        for (group, priority) in GROUPS {
            for certificate in [Files::P256, Files::RSA] {
                for config in configs(certificate) {
                    // RFC 8422 §5.3 wants the curve of the certificate among the client's groups.
                    let config = Config {
                        groups: vec![group],
                        ..config
                    };
                    let priority = format!("{priority}:+GROUP-SECP256R1");
                    for cookie in [false, true] {
                        let config = Config {
                            cookie,
                            ..config.clone()
                        };
                        serve(config, Files::P256, &priority, group);
                    }
                }
            }
        }
    };
    namespace.run(body).unwrap();
}

#[test]
fn our_client() {
    let namespace = Namespace::new().unwrap();
    let body = || {
        for (group, priority) in GROUPS {
            for certificate in [Files::P256, Files::RSA] {
                for config in configs(Files::P256) {
                    let config = Config {
                        groups: vec![group],
                        ..config
                    };
                    // With its cookie and without.
                    let arguments = ["--priority", priority];
                    dial(config.clone(), certificate, &arguments, group);
                    dial(config, certificate, &["--nocookie", "--priority", priority], group);
                }
            }
        }
    };
    namespace.run(body).unwrap();
}

#[test]
fn a_hello_in_two_datagrams() {
    let namespace = Namespace::new().unwrap();
    let body = || {
        for config in configs(Files::P256) {
            dial(config, Files::P256, &["--nocookie"], NamedGroup::X25519);
        }
    };
    namespace.run(body).unwrap();
}
