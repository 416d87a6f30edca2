//! Reads what the observer writes, with a reader of its own.

use netsim::shapes::{Access, PairConfig, pair};
use netsim::{Direction, Link, Loss, PcapNg};

use crate::probe::{Probe, addr, secs};

#[derive(Debug)]
struct Block {
    kind: u32,
    body: Vec<u8>,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn blocks(mut file: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    while !file.is_empty() {
        let len = u32_at(file, 4) as usize;
        assert_eq!(len % 4, 0);
        assert_eq!(u32_at(file, len - 4) as usize, len, "the length is there twice");
        blocks.push(Block {
            kind: u32_at(file, 0),
            body: file[8..len - 4].to_vec(),
        });
        file = &file[len..];
    }
    blocks
}

/// Code and value of each.
fn options(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut options = Vec::new();
    loop {
        let code = u16::from_le_bytes([bytes[0], bytes[1]]);
        let len = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        if code == 0 {
            assert_eq!((len, bytes.len()), (0, 4));
            return options;
        }
        options.push((code, bytes[4..4 + len].to_vec()));
        bytes = &bytes[4 + len.next_multiple_of(4)..];
    }
}

/// The sum that is 0xffff over a header with a right checksum.
fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Checks lengths and checksums; the protocol.
fn check_ip(packet: &[u8]) -> u8 {
    let (protocol, addresses, above) = if packet[0] >> 4 == 4 {
        assert_eq!(sum(&packet[..20]), 0xffff);
        assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
        (packet[9], &packet[12..20], &packet[20..])
    } else {
        assert_eq!(
            usize::from(u16::from_be_bytes([packet[4], packet[5]])),
            packet.len() - 40
        );
        (packet[6], &packet[8..40], &packet[40..])
    };
    let mut covered = Vec::new();
    if protocol != 1 {
        covered.extend_from_slice(addresses);
        covered.extend_from_slice(&[0, protocol]);
        covered.extend_from_slice(&(above.len() as u16).to_be_bytes());
    }
    covered.extend_from_slice(above);
    assert_eq!(sum(&covered), 0xffff, "protocol {protocol}");
    protocol
}

/// The header is as long as it says, and has an MSS with each SYN.
fn check_tcp(segment: &[u8]) {
    let options = &segment[20..usize::from(segment[12] >> 4) * 4];
    let syn = segment[13] & 2 != 0;
    let mss: &[u8] = if syn {
        &[2, 4, (1460_u16 >> 8) as u8, 1460_u16 as u8]
    } else {
        &[]
    };
    assert_eq!(options, mss);
}

#[test]
fn the_file_has_everything_and_its_checksums_are_right() {
    let config = PairConfig {
        ipv6: true,
        server: Link::symmetric(Direction {
            loss: Loss::Random(0.3),
            ..Direction::default()
        }),
        ..PairConfig::new(Access::EimEif, Access::Open)
    };
    let mut pair = pair(1, config);
    let sim = &mut pair.sim;
    let capture = sim.observe(PcapNg::new());
    let server = Probe::echo(sim, pair.server, addr("198.51.100.1:3478"));
    sim.sockets(server).bind_udp(addr("[2001:db8:0:5::1]:3478")).unwrap();
    sim.sockets(server).listen_tcp(addr("198.51.100.1:80")).unwrap();
    let left = Probe::bound(sim, pair.left.host, addr("192.168.1.2:5000"));
    sim.sockets(left).bind_udp(addr("[2001:db8:0:1::2]:5000")).unwrap();
    for port in [3478, 9] {
        for number in 0..20 {
            let bytes = vec![number; usize::from(number)];
            let to = (pair.server_addresses[0], port).into();
            sim.get_mut(left).send(addr("192.168.1.2:5000"), to, &bytes);
            let to = (pair.server_addresses[2], port).into();
            sim.get_mut(left).send(addr("[2001:db8:0:1::2]:5000"), to, &bytes);
        }
    }
    let path = sim
        .sockets(left)
        .connect_tcp(addr("192.168.1.2:0"), addr("198.51.100.1:80"))
        .unwrap();
    sim.sockets(left).write(&path, b"odd");
    sim.run_for(secs(20)).unwrap();
    sim.observer_mut(capture).add_key_log("CLIENT_RANDOM 00 11");
    let counters = sim.counters();
    let blocks = blocks(&sim.observer(capture).to_bytes());

    assert_eq!((blocks[0].kind, u32_at(&blocks[0].body, 0)), (0x0a0d_0d0a, 0x1a2b_3c4d));
    assert_eq!((blocks[1].kind, u32_at(&blocks[1].body, 0)), (10, 0x544c_534b));
    assert_eq!(&blocks[1].body[8..28], b"CLIENT_RANDOM 00 11\n");
    let (mut names, mut protocols, mut drops, mut last) = (Vec::new(), [0; 256], 0, 0);
    let mut directions = [0; 3];
    for block in &blocks[2..] {
        match block.kind {
            1 => {
                assert_eq!(block.body[0], 101);
                let options = options(&block.body[8..]);
                names.push(String::from_utf8(options[0].1.clone()).unwrap());
                assert_eq!(options[1], (9, vec![9]));
            }
            6 => {
                assert!(
                    (u32_at(&block.body, 0) as usize) < names.len(),
                    "described before it is used"
                );
                let at = u64::from(u32_at(&block.body, 4)) << 32 | u64::from(u32_at(&block.body, 8));
                assert!(at >= last);
                last = at;
                let len = u32_at(&block.body, 12) as usize;
                let packet = &block.body[20..20 + len];
                let protocol = check_ip(packet);
                protocols[usize::from(protocol)] += 1;
                if protocol == 6 {
                    check_tcp(&packet[20..]);
                }
                let options = options(&block.body[20 + len.next_multiple_of(4)..]);
                directions[u32_at(&options[0].1, 0) as usize] += 1;
                let comment = options.iter().find(|(code, _)| *code == 1);
                if let Some((_, comment)) = comment {
                    assert!(comment.starts_with(b"dropped: "));
                    drops += 1;
                }
            }
            other => panic!("block {other}"),
        }
    }
    assert!(
        names.contains(&"left".to_owned()) && names.contains(&"internet>server".to_owned()),
        "{names:?}"
    );
    for protocol in [1, 6, 17, 58] {
        assert!(protocols[protocol] > 0, "protocol {protocol}");
    }
    assert_eq!(drops, counters.dropped());
    assert_eq!(directions, [counters.dropped(), counters.delivered, counters.sent]);
}
