use std::net::SocketAddr;

use crate::drops::DropReason;
use crate::firewall::Firewall;
use crate::packet::Transport;
use crate::table::Table;

/// A firewall at work, or what a NAT has for IPv6.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) config: Firewall,
    pub(crate) table: Table,
}

impl Filter {
    pub(crate) fn check(
        &mut self,
        now: u64,
        inbound: bool,
        source: SocketAddr,
        destination: SocketAddr,
        transport: &Transport,
        fragments: u16,
    ) -> Result<(), DropReason> {
        if fragments > 1 && !self.config.fragments {
            return Err(DropReason::Fragment);
        }
        let tcp = match transport {
            Transport::Icmp(_) if !inbound => return Ok(()),
            Transport::Icmp(icmp) => {
                let known = self
                    .table
                    .behind(now, icmp.about_tcp, icmp.about_source, icmp.about_destination);
                let taken = self.config.icmp && known.is_some();
                return if taken { Ok(()) } else { Err(DropReason::Icmp) };
            }
            Transport::Tcp(tcp) => Some(tcp.flags),
            Transport::Udp => None,
        };
        if inbound {
            let admitted = self.table.inbound(now, tcp, source, destination);
            return admitted.map(|_| ()).map_err(|_| DropReason::FirewallInbound);
        }
        if !self.config.allow.permits(tcp.is_some(), destination.port()) {
            return Err(DropReason::FirewallOutbound);
        }
        let passed = self.table.outbound(now, tcp, source, destination);
        passed.map(|_| ()).map_err(|reason| match reason {
            DropReason::NatFull => DropReason::FirewallFull,
            _ => DropReason::FirewallOutbound,
        })
    }
}
