//! Links: what happens to a packet between two nodes.

use std::time::Duration;

use wire::Ecn;

use super::{Network, What};
use crate::drops::DropReason;
use crate::link::{Verdict, nanos};
use crate::node::Kind;
use crate::packet::IcmpError;
use crate::trace::Action;

impl Network {
    /// A packet comes to a link, where a hook may be.
    pub(super) fn meet(&mut self, index: u32, packet: u32) {
        let pipe = &mut self.pipes[index as usize];
        if !pipe.up {
            return self.drop_on(index, DropReason::LinkDown, packet);
        }
        let verdict = match &mut pipe.hook {
            Some(hook) => hook(Duration::from_nanos(self.now), &self.packets.get(packet).view()),
            None => Verdict::Pass,
        };
        match verdict {
            Verdict::Pass => self.enter(index, packet),
            Verdict::Drop => self.drop_on(index, DropReason::Hook, packet),
            Verdict::Duplicate => {
                let copy = self.duplicate(index, packet);
                self.enter(index, packet);
                self.enter(index, copy);
            }
            Verdict::Delay(held) => {
                self.trace_pipe(index, Action::Reordered, packet);
                self.schedule(self.now + nanos(held), What::Enters { pipe: index, packet });
            }
        }
    }

    /// A packet comes to the near end of a pipe.
    pub(super) fn enter(&mut self, index: u32, packet: u32) {
        if !self.pipes[index as usize].up {
            return self.drop_on(index, DropReason::LinkDown, packet);
        }
        self.fit(index, packet);
    }

    fn duplicate(&mut self, pipe: u32, packet: u32) -> u32 {
        let copy = self.packets.duplicate(packet);
        self.counters.duplicated += 1;
        self.trace_pipe(pipe, Action::Duplicated, copy);
        copy
    }

    /// Makes it fit the MTU.
    fn fit(&mut self, index: u32, packet: u32) {
        let pipe = &self.pipes[index as usize];
        let (mtu, from) = (pipe.config.mtu, pipe.from);
        let it = self.packets.get_mut(packet);
        let overhead = it.size() - it.payload.len();
        if usize::from(mtu) < it.payload.len() + overhead || it.fragments > 1 {
            let at_source = matches!(self.nodes[from as usize].kind, Kind::Host(_));
            let pieces = it.pieces(mtu);
            let allowed = it.may_fragment && (it.is_ipv4() || at_source);
            match pieces {
                Some(pieces) if pieces <= it.fragments => {}
                Some(pieces) if allowed => {
                    it.fragments = pieces;
                    self.trace_pipe(index, Action::Fragmented, packet);
                }
                _ => {
                    self.complain(from, IcmpError::TooBig { mtu }, packet);
                    return self.drop_on(index, DropReason::TooBig, packet);
                }
            }
        }
        self.queue(index, packet);
    }

    fn queue(&mut self, index: u32, packet: u32) {
        let pipe = &mut self.pipes[index as usize];
        let it = self.packets.get_mut(packet);
        it.queued_at = self.now;
        if pipe.config.rate.is_none() && pipe.busy.is_none() {
            self.trace_pipe(index, Action::Queued, packet);
            return self.propagate(index, packet);
        }
        if pipe.busy.is_none() {
            self.trace_pipe(index, Action::Queued, packet);
            return self.turn(index, packet);
        }
        let size = it.size();
        if !pipe.has_room(size) {
            return self.drop_on(index, DropReason::QueueFull, packet);
        }
        pipe.push(packet, size);
        self.trace_pipe(index, Action::Queued, packet);
    }

    /// It is the packet's turn.
    fn turn(&mut self, index: u32, packet: u32) {
        self.mark(index, packet);
        let pipe = &mut self.pipes[index as usize];
        let size = self.packets.get(packet).size();
        pipe.busy = Some(packet);
        let at = pipe.leaves_at(self.now, size);
        self.schedule(at, What::Leaves(index));
    }

    pub(super) fn leaves(&mut self, index: u32) {
        let Some(packet) = self.pipes[index as usize].busy.take() else {
            return;
        };
        self.propagate(index, packet);
        let pipe = &mut self.pipes[index as usize];
        if let Some(next) = pipe.pop() {
            pipe.popped(self.packets.get(next).size());
            self.turn(index, next);
        }
    }

    fn mark(&mut self, index: u32, packet: u32) {
        let it = self.packets.get_mut(packet);
        let waited = Duration::from_nanos(self.now - it.queued_at);
        if self.pipes[index as usize].marks(waited, it.ecn) {
            it.ecn = Ecn::Ce;
            self.trace_pipe(index, Action::Marked, packet);
        }
    }

    fn propagate(&mut self, index: u32, packet: u32) {
        let pipe = &mut self.pipes[index as usize];
        if !pipe.up {
            return self.drop_on(index, DropReason::LinkDown, packet);
        }
        if pipe.loses(self.packets.get(packet).fragments) {
            return self.drop_on(index, DropReason::Loss, packet);
        }
        let twice = pipe.duplicates();
        self.fly(index, packet);
        if twice {
            let copy = self.duplicate(index, packet);
            self.fly(index, copy);
        }
    }

    fn fly(&mut self, index: u32, packet: u32) {
        let pipe = &mut self.pipes[index as usize];
        let held = pipe.holds_back();
        let at = pipe.arrives_at(self.now, held);
        if held.is_some() {
            self.trace_pipe(index, Action::Reordered, packet);
        }
        self.schedule(at, What::Arrives { pipe: index, packet });
    }

    pub(crate) fn set_up(&mut self, index: u32, up: bool) {
        self.pipes[index as usize].up = up;
        if up {
            return;
        }
        while let Some(packet) = self.pipes[index as usize].pop() {
            let size = self.packets.get(packet).size();
            self.pipes[index as usize].popped(size);
            self.drop_on(index, DropReason::LinkDown, packet);
        }
    }

    pub(super) fn arrives(&mut self, index: u32, packet: u32) {
        let pipe = &self.pipes[index as usize];
        let (node, port) = (pipe.to, pipe.to_port);
        if matches!(self.nodes[node as usize].kind, Kind::Host(_)) {
            return self.host_receives(node, Some(port), packet);
        }
        let outside = self.nodes[node as usize].ports[port as usize].outside;
        let it = self.packets.get_mut(packet);
        it.hop_limit -= 1;
        if it.hop_limit == 0 {
            self.complain(node, IcmpError::HopLimit, packet);
            return self.drop_at(node, DropReason::HopLimit, packet);
        }
        self.transit(node, outside, packet);
    }
}
