//! A lite ICE agent and a browser's checks: connected, silent, gone. Time is virtual, so the 14 seconds take none.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ice::{Agent, Config, Credentials, MIN_OUT, State, host_candidates};
use stun::{Builder, Class, Key, Message, Method, TransactionId, Value};
use wire::{Path, Protocol, Seed};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut now = Instant::now();
    let mut agent = Agent::new(Config::default(), Seed::from_run(1), now);

    // What our answer would say.
    let local: SocketAddr = "192.0.2.1:4000".parse()?;
    for candidate in host_candidates([(local, Protocol::Udp)]) {
        println!("candidate {} priority {}", candidate.address, candidate.priority);
        agent.add_local_candidate(candidate);
    }
    let ours = agent.local_credentials().clone();
    println!("{ours:?}");
    agent.set_remote_credentials(now, Credentials::new("chrm", "the/browsers/own/password")?);

    // The browser's check, which also nominates.
    let mut buffer = [0; 128];
    let mut check = Builder::new(&mut buffer, Class::Request, Method::BINDING, TransactionId([7; 12]))?;
    check.push(&Value::Username(&format!("{}:chrm", ours.ufrag)))?;
    check.push(&Value::IceControlling(1))?;
    check.push(&Value::UseCandidate)?;
    check.push(&Value::Priority(0x6e7e_1eff))?;
    check.integrity(&Key::short_term(&ours.pwd))?;
    check.fingerprint()?;
    let path = Path::udp(local, "198.51.100.7:50000".parse()?);
    agent.handle_datagram(now, &path, check.finish());

    let mut out = [0; MIN_OUT];
    while let Some(transmit) = agent.poll_transmit(now, &mut out) {
        println!("to {}: {}", transmit.path.remote, Message::parse(&out[..transmit.len])?);
    }

    // From here on the browser is silent.
    let start = now;
    loop {
        while let Some(event) = agent.poll_event() {
            println!("{:>6.1?} {event:?}", now - start);
        }
        let Some(deadline) = agent.poll_timeout() else { break };
        now = deadline;
        agent.handle_timeout(now);
    }
    assert_eq!(agent.state(), State::Failed);
    assert_eq!(now - start, Duration::from_secs(14));
    Ok(())
}
