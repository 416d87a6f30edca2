#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use stun::{Authenticated, Builder, Class, Value};

/// What travels in checks and in their answers, and is no business of ICE's: attributes of another protocol
/// ([`Agent::poll_transmit_with`](crate::Agent::poll_transmit_with),
/// [`Agent::handle_datagram_with`](crate::Agent::handle_datagram_with)). Nobody rides with `()`.
pub trait Rider {
    /// A Binding request ([`Class::Request`]) or a success response ([`Class::SuccessResponse`]) is being written: what
    /// is pushed goes with it. Called each time that a request is sent, again for one that is sent again. Beyond the seventh
    /// request on a pair since the last one that was answered there is room for 24 bytes.
    ///
    /// What was pushed leaves, as far as that is for the agent to say: nothing after it can fail.
    fn attach(&mut self, class: Class, attachments: &mut Attachments<'_, '_>);

    /// A Binding request of the peer's, or its success response to one of ours, has come, by a way on which it counts.
    /// Called for a request that is sent again, too, but not for one that somebody repeats from another address.
    fn deliver(&mut self, message: &Authenticated<'_>);
}

impl Rider for () {
    fn attach(&mut self, _: Class, _: &mut Attachments<'_, '_>) {}

    fn deliver(&mut self, _: &Authenticated<'_>) {}
}

/// Where a [`Rider`] puts its attributes.
#[derive(Debug)]
pub struct Attachments<'b, 'a> {
    builder: &'b mut Builder<'a>,
    room: usize,
    on_selected: bool,
}

/// What the agent itself still writes behind them, in bytes: MESSAGE-INTEGRITY-SHA256 at most, and FINGERPRINT.
const RESERVED: usize = (4 + 32) + (4 + 4);
/// What a rider has in a check that is not to be laden, in bytes: an attribute of four words, and one without a value.
const LIGHT: usize = 24;
/// Type and length of an attribute.
const HEADER: usize = 4;

impl<'b, 'a> Attachments<'b, 'a> {
    /// At the end of a message that still lacks its integrity: the agent makes them; others try a rider without one.
    pub fn new(builder: &'b mut Builder<'a>) -> Self {
        Self::within(builder, usize::MAX)
    }

    /// The same where no more than `bytes` may follow, the integrity included.
    pub(crate) fn within(builder: &'b mut Builder<'a>, bytes: usize) -> Self {
        Self {
            room: builder.room().min(bytes).saturating_sub(RESERVED),
            builder,
            on_selected: true,
        }
    }

    /// The same where nothing of weight may follow: words about what came, and no more.
    pub(crate) fn light(builder: &'b mut Builder<'a>) -> Self {
        Self::within(builder, RESERVED.saturating_add(LIGHT))
    }

    /// Of a message that leaves by another path than the selected one.
    #[must_use]
    pub const fn aside(self, is_aside: bool) -> Self {
        Self {
            on_selected: !is_aside,
            ..self
        }
    }

    /// Whether the message leaves by the path that is selected now, by which all else leaves, too.
    pub const fn is_on_selected(&self) -> bool {
        self.on_selected
    }

    /// The longest value that an attribute pushed now may have, in bytes; `None` when not even an empty one fits.
    pub fn room(&self) -> Option<usize> {
        // Values are padded to words.
        Some(self.room.checked_sub(HEADER)? & !3)
    }

    /// Adds an attribute. `false` when there is no room, or its value breaks a rule; nothing has changed then.
    pub fn push(&mut self, value: &Value<'_>) -> bool {
        let before = self.builder.room();
        let pushed = self.builder.push_within(value, self.room);
        self.room = self.room.saturating_sub(before.saturating_sub(self.builder.room()));
        pushed.is_ok()
    }
}
