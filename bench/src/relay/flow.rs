use std::io::{ErrorKind, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg, setsockopt, sockopt};
use turn::client::{Client, Config, Credentials, Event, MIN_OUT};
use wire::Seed;

use super::servers::{PASSWORD, USER};

/// Bytes of a relayed packet.
pub(super) const PAYLOAD: usize = 1200;
/// The most packets that leave in one message.
pub(super) const MAX_BURST: usize = 8;

/// Until an allocation has its channel.
const PATIENCE: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(20);
/// What the kernel is asked to hold for a socket that is read now and then.
const BUFFER: usize = 4 << 20;

/// A client with an allocation and a channel, and the peer that it talks to.
pub(super) struct Flow {
    client: UdpSocket,
    peer: UdpSocket,
    /// What the peer gets, as many times as the largest burst has it.
    data: Vec<u8>,
    /// The same, each packet in ChannelData.
    channel_data: Vec<u8>,
}

/// Which way.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    ToPeer,
    ToClient,
}

impl Flow {
    pub(super) fn open(server: SocketAddr, number: usize) -> Result<Self, String> {
        let silent = |problem| format!("cannot be reached over the loopback interface: {problem}.");
        let socket = || UdpSocket::bind("127.0.0.1:0").map_err(silent);
        let (client, peer) = (socket()?, socket()?);
        client.connect(server).map_err(silent)?;
        let (channel_data, relayed) = allocate(&client, &peer, server, number)?;
        peer.connect(relayed).map_err(silent)?;
        for socket in [&client, &peer] {
            // Less is enough where nobody holds the load up.
            let _ = setsockopt(socket, sockopt::RcvBuf, &BUFFER);
            socket.set_nonblocking(true).map_err(silent)?;
        }
        Ok(Self {
            client,
            peer,
            data: payload().repeat(MAX_BURST),
            channel_data: channel_data.repeat(MAX_BURST),
        })
    }

    /// Sends `packets` as one message. Says how many have left.
    pub(super) fn send(&self, direction: Direction, packets: usize) -> u64 {
        let (socket, bytes) = match direction {
            Direction::ToPeer => (&self.client, &self.channel_data),
            Direction::ToClient => (&self.peer, &self.data),
        };
        let segment = bytes.len() / MAX_BURST;
        let message = &bytes[..segment * packets];
        let sent = if packets == 1 {
            socket.send(message).is_ok()
        } else {
            let segment = segment as u16;
            let (parts, control) = ([IoSlice::new(message)], [ControlMessage::UdpGsoSegments(&segment)]);
            sendmsg::<SockaddrIn>(socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), None).is_ok()
        };
        u64::from(sent) * packets as u64
    }

    /// Reads all that is there, and says how many packets came through unchanged.
    pub(super) fn arrived(&self) -> u64 {
        let one = self.data.len() / MAX_BURST;
        let in_channel = self.channel_data.len() / MAX_BURST;
        count(&self.peer, &self.data[..one]) + count(&self.client, &self.channel_data[..in_channel])
    }
}

fn count(socket: &UdpSocket, expected: &[u8]) -> u64 {
    let mut packet = [0; 2048];
    let mut count = 0;
    loop {
        match socket.recv(&mut packet) {
            Ok(len) => count += u64::from(packet[..len] == *expected),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
            Err(_) => {}
        }
    }
}

fn payload() -> Vec<u8> {
    // The first byte is that of an RTP packet.
    (0..PAYLOAD)
        .map(|n| if n == 0 { 0x80 } else { (n * 7) as u8 })
        .collect()
}

/// Makes the allocation and binds a channel to the peer. Gives the payload in ChannelData, and the relayed address.
fn allocate(
    client: &UdpSocket,
    peer: &UdpSocket,
    server: SocketAddr,
    number: usize,
) -> Result<(Vec<u8>, SocketAddr), String> {
    let address = |socket: &UdpSocket| socket.local_addr().map_err(|error| format!("has no address: {error}."));
    let config = Config {
        credentials: Credentials::new(USER, PASSWORD),
        ..Config::default()
    };
    let peer = address(peer)?;
    let seed = Seed::from_run(number as u64);
    let mut turn = Client::new(config, server, address(client)?, seed, Instant::now());
    wait_for(&mut turn, client, |event| matches!(event, Event::Allocated(_)))?;
    let relayed = turn.allocation().and_then(|allocation| allocation.ipv4);
    let relayed = relayed.ok_or("gave no relayed address.")?;
    let failed = |error| format!("gave no channel: {error}.");
    turn.bind(Instant::now(), peer).map_err(failed)?;
    wait_for(&mut turn, client, |event| *event == Event::ChannelBound(peer))?;
    let mut out = [0; MIN_OUT];
    let sent = turn.send(Instant::now(), peer, &payload(), &mut out).map_err(failed)?;
    let len = sent.ok_or("gave no permission.")?.len;
    Ok((out[..len].to_vec(), relayed))
}

/// Lets the client work until it tells what is wanted.
fn wait_for(turn: &mut Client, socket: &UdpSocket, wanted: impl Fn(&Event) -> bool) -> Result<(), String> {
    let failed = |error| format!("cannot be waited for: {error}.");
    socket.set_read_timeout(Some(TICK)).map_err(failed)?;
    let start = Instant::now();
    let mut bytes = [0; MIN_OUT];
    while start.elapsed() < PATIENCE {
        while let Some(event) = turn.poll_event() {
            if wanted(&event) {
                return Ok(());
            }
            if let Event::Closed(reason) = event {
                return Err(format!("refuses an allocation: {reason:?}."));
            }
        }
        turn.handle_timeout(Instant::now());
        while let Some(transmit) = turn.poll_transmit(Instant::now(), &mut bytes) {
            // Nobody may be there yet: it is sent again.
            drop(socket.send(&bytes[..transmit.len]));
        }
        if let Ok(len) = socket.recv(&mut bytes) {
            turn.handle_datagram(Instant::now(), &mut bytes[..len]);
        }
    }
    Err(format!("has not answered for {} seconds.", PATIENCE.as_secs()))
}
