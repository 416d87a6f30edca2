use std::net::UdpSocket;

use wire::{Ecn, Path, Transmit};

use super::*;

/// Writes datagrams to each of its peers by turns, each full of its own number.
struct Writer {
    paths: Vec<Path>,
    polled: u8,
    most: u8,
}

const SIZE: usize = 1000;

impl Engine for Writer {
    fn poll_transmit(&mut self, _: Instant, out: &mut [u8]) -> Option<Transmit> {
        let path = self.paths[usize::from(self.polled) % self.paths.len()];
        if self.polled == self.most {
            return None;
        }
        out[..SIZE].fill(self.polled);
        self.polled += 1;
        Some(Transmit::one(path, SIZE))
    }

    fn others(&self, _: ParticipantId) -> Vec<Other> {
        Vec::new()
    }
    fn each_counter(&self, _: &mut dyn FnMut(&'static str, u64)) {}
    fn handshakes(&self) -> Vec<(Handshake, u64)> {
        Vec::new()
    }
    fn participants(&self) -> usize {
        0
    }
    fn speaking(&self) -> usize {
        0
    }
    fn handle_datagram(&mut self, _: Instant, _: &Path, _: Ecn, _: &mut [u8]) {}
    fn is_path_open(&self, _: &Path) -> bool {
        true
    }
    fn handle_path_closed(&mut self, _: Instant, _: &Path) {}
    fn handle_timeout(&mut self, _: Instant) {}
    fn join(&mut self, _: Instant, _: &str, _: Join) -> Result<ParticipantId, Refusal> {
        unreachable!("nobody comes")
    }
    fn offer(&mut self, _: Instant, _: ParticipantId, _: &str) -> Result<String, Refusal> {
        unreachable!("nobody offers")
    }
    fn candidate(&mut self, _: Instant, _: ParticipantId, _: Option<&str>, _: &str) -> Result<(), Refusal> {
        Ok(())
    }
    fn fragment(&mut self, _: Instant, _: ParticipantId, _: &str) -> Result<Option<String>, Refusal> {
        Ok(None)
    }
    fn set_sources(&mut self, _: Instant, _: ParticipantId, _: Vec<SourceInfo>) -> Result<(), Refusal> {
        Ok(())
    }
    fn set_muted(&mut self, _: Instant, _: ParticipantId, _: &str, _: bool) -> Result<(), Refusal> {
        Ok(())
    }
    fn set_view(&mut self, _: Instant, _: ParticipantId, _: View) -> Result<(), Refusal> {
        Ok(())
    }
    fn tell_again(&mut self, _: ParticipantId) -> Result<(), Refusal> {
        Ok(())
    }
    fn leave(&mut self, _: Instant, _: ParticipantId, _: Reason) {}
    fn close(&mut self, _: Instant) {}
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_event(&mut self) -> Option<(ParticipantId, ServerMessage)> {
        None
    }
}

/// A worker with a socket of each address family, and a viewer at the other end of each.
fn worker(most: u8) -> (Worker<Writer>, [UdpSocket; 2]) {
    let addresses = ["127.0.0.1:0", "[::1]:0"];
    let viewers = addresses.map(|address| UdpSocket::bind(address).unwrap());
    let poll = Poll::new().unwrap();
    let (mut ports, mut paths) = (Vec::new(), Vec::new());
    for (index, (address, viewer)) in addresses.iter().zip(&viewers).enumerate() {
        viewer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut socket = Socket::bind(address.parse().unwrap()).unwrap();
        let registry = poll.registry();
        registry
            .register(&mut socket, Token(index), Interest::READABLE)
            .unwrap();
        paths.push(Path::udp(socket.local_addr(), viewer.local_addr().unwrap()));
        ports.push(Port::new(socket));
    }
    let writer = Writer { paths, polled: 0, most };
    let (_, queue) = sync_channel(1);
    let tcp = Connections::new(poll.registry(), Vec::new(), 0).unwrap();
    let worker = Worker::new(poll, ports, tcp, queue, Arc::default(), Arc::default(), writer);
    (worker, viewers)
}

/// The numbers of the next datagrams; each is of one piece.
fn receive(viewer: &UdpSocket, count: usize) -> Vec<u8> {
    let mut data = [0; 2 * SIZE];
    let numbers = (0..count).map(|_| {
        let len = viewer.recv(&mut data).unwrap();
        assert!(len == SIZE && data[..len].iter().all(|byte| *byte == data[0]));
        data[0]
    });
    numbers.collect()
}

/// What waits for one full socket lies in the buffer from which everybody's datagrams are sent.
#[test]
fn what_waits_is_not_written_over() {
    let (mut worker, [first, second]) = worker(6);
    let now = Instant::now();
    worker.engine.most = 4;
    // The first socket is full, which loopback cannot be made to be.
    worker.ports[0].blocked = true;
    assert!(!worker.transmit(now));
    worker.engine.most = 6;
    for _ in 0..3 {
        assert!(!worker.transmit(now));
    }
    // The other one got its own; the engine keeps what came since.
    assert_eq!(receive(&second, 2), [1, 3]);
    assert_eq!((worker.engine.polled, worker.ports[0].batch.len()), (4, 2));
    worker.ports[0].blocked = false;
    assert!(!worker.transmit(now));
    assert_eq!(receive(&first, 3), [0, 2, 4]);
    assert_eq!(receive(&second, 1), [5]);
    assert!(worker.ports.iter().all(|port| port.batch.is_empty()));
}
