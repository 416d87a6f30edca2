use std::net::UdpSocket;

use wire::Path;

use super::*;
use crate::engine::Notes;

const SIZE: usize = 1000;

/// A worker with a socket of each address family, the paths to a viewer of each, and the viewers.
fn worker() -> (Worker<Notes>, [Path; 2], [UdpSocket; 2]) {
    let addresses = ["127.0.0.1:0", "[::1]:0"];
    let viewers = addresses.map(|address| UdpSocket::bind(address).unwrap());
    let poll = Poll::new().unwrap();
    let mut ports = Vec::new();
    let paths = [0, 1].map(|index| {
        let (address, viewer) = (addresses[index], &viewers[index]);
        viewer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut socket = Socket::bind(address.parse().unwrap()).unwrap();
        let registry = poll.registry();
        registry
            .register(&mut socket, Token(index), Interest::READABLE)
            .unwrap();
        let path = Path::udp(socket.local_addr(), viewer.local_addr().unwrap());
        ports.push(Port::new(socket));
        path
    });
    let (_, queue) = sync_channel(1);
    let tcp = Connections::new(poll.registry(), Vec::new(), 0).unwrap();
    let notes = Notes::default();
    let worker = Worker::new(poll, ports, tcp, queue, Arc::default(), Arc::default(), notes);
    (worker, paths, viewers)
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
    let (mut worker, paths, [first, second]) = worker();
    let now = Instant::now();
    // To each of them by turns, each datagram full of its own number.
    let numbered = |number: u8| (paths[usize::from(number % 2)], vec![number; SIZE]);
    worker.engine.to_send.extend((0..4).map(numbered));
    // The first socket is full, which loopback cannot be made to be.
    worker.ports[0].blocked = true;
    assert!(!worker.transmit(now));
    worker.engine.to_send.extend((4..6).map(numbered));
    for _ in 0..3 {
        assert!(!worker.transmit(now));
    }
    // The other one got its own; the engine keeps what came since.
    assert_eq!(receive(&second, 2), [1, 3]);
    assert_eq!((worker.engine.to_send.len(), worker.ports[0].batch.len()), (2, 2));
    worker.ports[0].blocked = false;
    assert!(!worker.transmit(now));
    assert_eq!(receive(&first, 3), [0, 2, 4]);
    assert_eq!(receive(&second, 1), [5]);
    assert!(worker.ports.iter().all(|port| port.batch.is_empty()));
}
