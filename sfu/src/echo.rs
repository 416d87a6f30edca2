//! What is said on data channels to an echo, and comes back.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use peer::{ChannelId, ChannelSendError, MessageKind, Peer};

/// The longest message that comes back: enough for each message of a browser's at its defaults.
const MAX_MESSAGE: usize = 4 << 20;
/// What has not come whole or waits to go back, and what is on its way back: two of the longest messages each. (Who does not keep
/// to the window may have as much again kept until its messages are whole.)
const MAX_KEPT: usize = 2 * MAX_MESSAGE;

/// What an echo agrees to.
pub(crate) fn echo_config(config: &peer::Config) -> peer::Config {
    let mut echo = config.clone();
    echo.application = true;
    echo.sctp.max_receive_message = echo.sctp.max_receive_message.min(MAX_MESSAGE);
    echo.sctp.receive_window = echo.sctp.receive_window.min(MAX_KEPT as u32);
    echo.sctp.send_buffer = echo.sctp.send_buffer.min(MAX_KEPT);
    echo
}

/// Messages that wait to be sent back.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    messages: VecDeque<(ChannelId, MessageKind, Bytes)>,
    bytes: usize,
}

/// What a message costs beside its bytes: many small ones must not take more memory than few long ones.
const COST: usize = 128;

impl Echo {
    /// Keeps a message.
    pub(crate) fn push(&mut self, channel: ChannelId, kind: MessageKind, payload: &[u8]) {
        self.bytes += payload.len() + COST;
        self.messages
            .push_back((channel, kind, Bytes::copy_from_slice(payload)));
    }

    /// Sends back what the connection takes, and lets the other end send as much less as still waits.
    pub(crate) fn flush(&mut self, now: Instant, peer: &mut Peer) {
        if self.messages.is_empty() {
            return;
        }
        while let Some((channel, kind, payload)) = self.messages.front() {
            let sent = peer.send_message(now, *channel, *kind, payload.clone());
            if sent == Err(ChannelSendError::Blocked) {
                break;
            }
            // On a channel that is closing nothing comes back.
            self.bytes -= payload.len() + COST;
            self.messages.pop_front();
        }
        peer.set_retained(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dtls_srtp::fake::{self, FakeCrypto};
    use peer::ChannelInit;
    use std::sync::Arc;
    use wire::Seed;

    #[test]
    fn messages_without_bytes_take_room_too() {
        let now = Instant::now();
        let dtls = dtls_srtp::Config::new(Arc::new(FakeCrypto::new()), fake::certificate(1));
        let mut config = peer::Config::full(Arc::new(dtls));
        config.application = true;
        let mut peer = Peer::new(Arc::new(config), Seed::from_run(1), now);
        peer.add_section(peer::Kind::Application, peer::Direction::SendRecv)
            .unwrap();
        let channel = peer.open_channel(now, ChannelInit::new("x")).unwrap();
        let mut echo = Echo::default();
        for _ in 0..1000 {
            echo.push(channel, MessageKind::Text, &[]);
        }
        // Else who takes nothing back could send them for ever.
        assert!(echo.bytes >= 1000 * size_of::<(ChannelId, MessageKind, Bytes)>());
        // What cannot be sent any more is not kept.
        echo.flush(now, &mut peer);
        assert_eq!((echo.bytes, echo.messages.len()), (0, 0));
    }
}
