use core::fmt;

use crate::scan::{self, Scanner};
use crate::{RidDirection, Rule};

/// `a=simulcast`: the streams of one source that are sent or received at once (RFC 8853 §5.1).
///
/// ```
/// let simulcast = sdp::Simulcast::parse("recv a;~b,c").unwrap();
/// let recv = simulcast.recv.unwrap();
/// assert_eq!(recv.streams().count(), 2);
/// let second = recv.streams().nth(1).unwrap();
/// assert_eq!(second.alternatives().map(|a| (a.id, a.paused)).collect::<Vec<_>>(), [("b", true), ("c", false)]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simulcast<'a> {
    /// What the writer sends.
    pub send: Option<SimulcastStreams<'a>>,
    /// What the writer receives.
    pub recv: Option<SimulcastStreams<'a>>,
}

impl<'a> Simulcast<'a> {
    /// Streams in one direction.
    pub const fn new(direction: RidDirection, streams: SimulcastStreams<'a>) -> Self {
        match direction {
            RidDirection::Send => Self {
                send: Some(streams),
                recv: None,
            },
            RidDirection::Recv => Self {
                send: None,
                recv: Some(streams),
            },
        }
    }

    /// Reads the value of `a=simulcast`.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(value: &'a str) -> Result<Self, Rule> {
        const RULE: Rule =
            Rule("a=simulcast is send or recv and a list of rids, then perhaps the other way (RFC 8853 §5.1)");
        let mut fields = Scanner::new(value);
        let mut simulcast = Self { send: None, recv: None };
        loop {
            let slot = match fields.word() {
                "send" => &mut simulcast.send,
                "recv" => &mut simulcast.recv,
                "" if simulcast.send.is_some() || simulcast.recv.is_some() => return Ok(simulcast),
                _ => return Err(RULE),
            };
            if slot.is_some() {
                return Err(RULE);
            }
            *slot = Some(SimulcastStreams::parse(fields.word())?);
        }
    }
}

impl fmt::Display for Simulcast<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.send, self.recv) {
            (Some(send), Some(recv)) => write!(f, "send {send} recv {recv}"),
            (Some(send), None) => write!(f, "send {send}"),
            (None, Some(recv)) => write!(f, "recv {recv}"),
            (None, None) => Ok(()),
        }
    }
}

/// Simulcast streams in the order in which the writer prefers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulcastStreams<'a>(&'a str);

impl<'a> SimulcastStreams<'a> {
    /// Reads rids with `;` between streams, `,` between alternatives and `~` before those that start paused.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(text: &'a str) -> Result<Self, Rule> {
        let streams = Self(text);
        if streams
            .streams()
            .flat_map(|stream| stream.alternatives())
            .all(|rid| scan::is_rid(rid.id))
        {
            Ok(streams)
        } else {
            Err(Rule(
                "simulcast streams are rids with ; between them, , between alternatives, ~ for paused (RFC 8853 §5.1)",
            ))
        }
    }

    /// The streams.
    pub fn streams(&self) -> impl Iterator<Item = SimulcastStream<'a>> + use<'a> {
        self.0.split(';').map(SimulcastStream)
    }
}

impl fmt::Display for SimulcastStreams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One simulcast stream: formats of which one is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulcastStream<'a>(&'a str);

impl<'a> SimulcastStream<'a> {
    /// The formats in the order in which the writer prefers them; at least one.
    pub fn alternatives(&self) -> impl Iterator<Item = SimulcastRid<'a>> + use<'a> {
        self.0.split(',').map(|text| {
            let active = text.strip_prefix('~');
            SimulcastRid {
                id: active.unwrap_or(text),
                paused: active.is_some(),
            }
        })
    }
}

/// One format of a simulcast stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulcastRid<'a> {
    /// The id of an `a=rid`.
    pub id: &'a str,
    /// Whether it starts paused.
    pub paused: bool,
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn both_ways() {
        for text in ["send q;h;f", "recv a;~b", "send 1,~4;2;3 recv c"] {
            assert_eq!(Simulcast::parse(text).unwrap().to_string(), text);
        }
        let swapped = Simulcast::parse("recv c send a").unwrap();
        assert_eq!(swapped.to_string(), "send a recv c");
        let built = Simulcast::new(RidDirection::Recv, SimulcastStreams::parse("q;h").unwrap());
        assert_eq!(built.to_string(), "recv q;h");
        for bad in [
            "",
            "send",
            "q;h",
            "send q;",
            "send q;;h",
            "send ~",
            "send a send b",
            "send a recv",
            "send a b",
            "send a/b",
        ] {
            assert!(Simulcast::parse(bad).is_err(), "{bad:?}");
        }
    }
}
