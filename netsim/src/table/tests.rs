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
