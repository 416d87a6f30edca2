//! How channels end (RFC 8831 §6.7): by a reset of both directions of the stream.

use super::channel::{ChannelEvent, ChannelId, Closure, State};
use super::table::Entry;
use super::{Channels, Todo, count};

impl Channels {
    /// The peer broke a rule on this stream: it is reset, whether there is a channel or not.
    pub(super) fn violation(&mut self, stream: u16) {
        match self.table.entry(stream) {
            Entry::Unused => {
                self.table.set_entry(stream, Entry::Refused(Closure::default()));
                self.closing.insert(stream);
                self.todo.push_front(Todo::Reset(stream));
            }
            _ => self.close_by_peer(stream),
        }
        count(&mut self.counters.sctp_channel_violations);
    }

    pub(super) fn reset_by_peer(&mut self, stream: u16) {
        self.close_by_peer(stream);
        self.closing.remove(&stream);
        self.progress(stream, |closure| closure.peers = true);
    }

    /// A channel closes without our doing.
    pub(super) fn close_by_peer(&mut self, stream: u16) {
        if let Some(id) = self.begin_closing(stream) {
            self.events.push_back(ChannelEvent::Closing(id));
        }
    }

    /// A channel closes, unless it does so already.
    pub(super) fn begin_closing(&mut self, stream: u16) -> Option<ChannelId> {
        let channel = self.table.on_stream(stream)?;
        if matches!(channel.state, State::Closing(_)) {
            return None;
        }
        channel.state = State::Closing(Closure::default());
        self.live.remove(&stream);
        self.closing.insert(stream);
        self.todo.push_front(Todo::Reset(stream));
        Some(channel.id)
    }

    /// A stream that is being closed comes nearer to it.
    pub(super) fn progress(&mut self, stream: u16, step: impl FnOnce(&mut Closure)) {
        if let Entry::Refused(mut closure) = self.table.entry(stream) {
            step(&mut closure);
            let entry = if closure.is_complete() {
                Entry::Unused
            } else {
                Entry::Refused(closure)
            };
            self.table.set_entry(stream, entry);
            return;
        }
        if let Some(channel) = self.table.on_stream(stream)
            && let State::Closing(closure) = &mut channel.state
        {
            step(closure);
            if closure.is_complete() {
                let id = channel.id;
                self.forget(id, Entry::Unused);
            }
        }
    }

    /// The peer refuses to have our direction of a stream reset: it must not be used again.
    pub(super) fn retire(&mut self, stream: u16) {
        match self.table.entry(stream) {
            Entry::Refused(_) => self.table.set_entry(stream, Entry::Retired),
            _ => {
                let Some(channel) = self.table.on_stream(stream) else {
                    return;
                };
                if !matches!(channel.state, State::Closing(_)) {
                    return;
                }
                let id = channel.id;
                self.forget(id, Entry::Retired);
            }
        }
        self.closing.remove(&stream);
    }

    /// A channel is closed.
    pub(super) fn forget(&mut self, id: ChannelId, entry: Entry) {
        let Some(channel) = self.table.remove(id, entry) else {
            return;
        };
        if let Some(stream) = channel.stream {
            self.live.remove(&stream);
        }
        if channel.by_peer {
            self.peer_channels = self.peer_channels.saturating_sub(1);
            self.peer_text = self.peer_text.saturating_sub(channel.text_len());
        }
        self.events.push_back(ChannelEvent::Closed(id));
    }
}
