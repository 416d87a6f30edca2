use rand::SeedableRng;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn table(max_mappings: usize) -> Table {
    let nat = Nat {
        max_mappings,
        ..Nat::default()
    };
    let external = "203.0.113.1".parse().unwrap();
    Table::new(Rules::nat(&nat), vec![external], StdRng::from_seed([1; 32]))
}

fn inside(port: u16) -> SocketAddr {
    ([192, 168, 1, 2], port).into()
}

fn remote() -> SocketAddr {
    ([198, 51, 100, 1], 80).into()
}

#[test]
fn a_new_connection_on_old_ports_is_not_open_yet() {
    let mut table = table(10);
    let fin = TcpFlags {
        fin: true,
        ..TcpFlags::ACK
    };
    let syn_ack = TcpFlags {
        ack: true,
        ..TcpFlags::SYN
    };
    let out = |table: &mut Table, now, flags| table.outbound(now, Some(flags), inside(5000), remote()).unwrap();
    let external = out(&mut table, 0, TcpFlags::SYN);
    table.inbound(0, Some(syn_ack), remote(), external).unwrap();
    assert_eq!(table.len(3600 * SECOND), 1, "it is open");
    out(&mut table, 3600 * SECOND, fin);
    // Another one, that nobody answers.
    out(&mut table, 3700 * SECOND, TcpFlags::SYN);
    assert_eq!(table.len(3939 * SECOND), 1);
    assert_eq!(table.len(3940 * SECOND), 0);
}

#[test]
fn a_full_table_has_room_as_soon_as_one_mapping_has_ended() {
    let mut table = table(100);
    let opens = |table: &mut Table, now, port| table.outbound(now, None, inside(port), remote()).is_ok();
    // One each second, of which the even ones are refreshed.
    for port in 0..100 {
        assert!(opens(&mut table, u64::from(port) * SECOND, port));
    }
    for port in (0..100).step_by(2) {
        assert!(opens(&mut table, 200 * SECOND, port));
    }
    assert!(!opens(&mut table, 301 * SECOND - 1, 1000));
    assert!(opens(&mut table, 301 * SECOND, 1000));
    assert!(!opens(&mut table, 303 * SECOND - 1, 1001));
    assert_eq!(table.len(399 * SECOND), 51);
    assert_eq!(table.len(500 * SECOND), 1);
    assert_eq!(table.len(601 * SECOND), 0);
    assert!(table.looks.is_empty());
}

#[test]
fn what_is_closed_makes_room_before_what_is_open() {
    let mut table = table(2);
    let syn_ack = TcpFlags {
        ack: true,
        ..TcpFlags::SYN
    };
    for port in [1, 2] {
        let external = table.outbound(0, Some(TcpFlags::SYN), inside(port), remote()).unwrap();
        table.inbound(0, Some(syn_ack), remote(), external).unwrap();
    }
    let full = |table: &mut Table, now| table.outbound(now, None, inside(3), remote()) == Err(DropReason::NatFull);
    assert!(full(&mut table, 1000 * SECOND));
    table
        .outbound(1000 * SECOND, Some(TcpFlags::RST), inside(2), remote())
        .unwrap();
    assert!(full(&mut table, 1240 * SECOND - 1));
    assert!(!full(&mut table, 1240 * SECOND));
}
