//! Two full ICE agents meet over real UDP sockets of this machine: `ice_pair`. Prints each check, each answer and each
//! change.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use ice::{Agent, Candidate, Config, Event, GatheringState, MIN_OUT, Role, State};
use stun::Message;
use wire::{Path, Protocol, Seed};

/// An agent and the socket that is its only candidate.
struct End {
    name: &'static str,
    agent: Agent,
    socket: UdpSocket,
}

impl End {
    fn new(name: &'static str, run: u64, now: Instant) -> std::io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(5)))?;
        // Both begin in the same role, on purpose: their tiebreakers decide. A program takes its seed from the system.
        let mut agent = Agent::new(Config::full(Role::Controlling), Seed::from_run(run), now);
        agent.add_local_candidate(Candidate::host(socket.local_addr()?, Protocol::Udp, 65_535));
        agent.end_of_local_candidates();
        Ok(Self { name, agent, socket })
    }

    /// Does what is due, sends what there is, and gives what the other is to be told.
    fn drive(&mut self, start: Instant) -> std::io::Result<Vec<Event>> {
        let now = Instant::now();
        if self.agent.poll_timeout().is_some_and(|due| due <= now) {
            self.agent.handle_timeout(now);
        }
        let mut out = [0; MIN_OUT];
        while let Some(transmit) = self.agent.poll_transmit(now, &mut out) {
            let datagram = &out[..transmit.len];
            self.say(start, &format!("sends {} to {}", what(datagram), transmit.path.remote));
            self.socket.send_to(datagram, transmit.path.remote)?;
        }
        let events: Vec<Event> = std::iter::from_fn(|| self.agent.poll_event()).collect();
        for event in &events {
            self.say(start, &format!("{event:?}"));
        }
        Ok(events)
    }

    fn receive(&mut self) -> std::io::Result<()> {
        let mut datagram = [0; 1500];
        match self.socket.recv_from(&mut datagram) {
            Ok((len, from)) => {
                let path = Path::udp(self.socket.local_addr()?, from);
                self.agent.handle_datagram(Instant::now(), &path, &datagram[..len]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn say(&self, start: Instant, text: &str) {
        println!(
            "{:7.1} ms  {:5}  {text}",
            start.elapsed().as_secs_f64() * 1000.0,
            self.name
        );
    }
}

/// A check or an answer in a few words.
fn what(datagram: &[u8]) -> String {
    let Ok(message) = Message::parse(datagram) else {
        return "what is not STUN".to_owned();
    };
    let nominates = if message.use_candidate() {
        " with USE-CANDIDATE"
    } else {
        ""
    };
    format!("a Binding {}{nominates}", message.class())
}

fn main() -> std::io::Result<()> {
    let start = Instant::now();
    let mut ends = [End::new("left", 1, start)?, End::new("right", 2, start)?];
    // Signalling: each is told the other's credentials now, and its candidates as they come.
    let credentials = ends.each_ref().map(|end| end.agent.local_credentials().clone());
    let [left, right] = credentials;
    ends[0].agent.set_remote_credentials(start, right);
    ends[1].agent.set_remote_credentials(start, left);
    while start.elapsed() < Duration::from_secs(10) {
        for end in 0..2 {
            for event in ends[end].drive(start)? {
                let other = &mut ends[1 - end].agent;
                match event {
                    Event::CandidateGathered(candidate) => other.add_remote_candidate(candidate),
                    Event::GatheringChanged(GatheringState::Complete) => other.end_of_remote_candidates(),
                    _ => {}
                }
            }
            ends[end].receive()?;
        }
        let done = |end: &End| {
            let concluded = end.agent.pairs().any(|pair| pair.selected && pair.nominated);
            concluded && end.agent.state() == State::Connected
        };
        if ends.iter().all(done) {
            break;
        }
    }
    for end in &mut ends {
        end.drive(start)?;
        end.say(
            start,
            &format!("is {:?} and uses {:?}", end.agent.role(), end.agent.selected()),
        );
    }
    Ok(())
}
