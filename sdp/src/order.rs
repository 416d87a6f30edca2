use alloc::vec::Vec;

use crate::ParseError;
use crate::attribute::Name;
use crate::document::Grammar;
use crate::line::Kind;
use crate::scan;

/// What no line can tell alone: the order of lines (RFC 8866 §9), what may stand only once, and ids used twice.
pub(crate) struct Order<'a> {
    grammar: Grammar,
    /// The rank of the last line of the session part.
    rank: u8,
    /// The letter of the last line that has a rank.
    last: u8,
    in_section: bool,
    /// Letters of the section, `i` and `k`, that were seen; each may stand once.
    letters: u8,
    /// Attributes seen on this level that may stand only once, by their number.
    singles: u64,
    /// Payload types that have an `a=rtpmap` in this section.
    rtpmaps: u128,
    /// Extension ids in use in this section; those of the session level hold in every section (RFC 8285 §7).
    extmaps: [u128; 2],
    session_extmaps: [u128; 2],
    mids: Vec<(&'a str, usize)>,
}

/// The session part in its order; `t`, `r` and `z` share a place.
const SESSION: &[u8] = b"vosiuepcbtka";

impl<'a> Order<'a> {
    pub(crate) const fn new(grammar: Grammar) -> Self {
        Self {
            grammar,
            rank: 0,
            last: 0,
            in_section: false,
            letters: 0,
            singles: 0,
            rtpmaps: 0,
            extmaps: [0; 2],
            session_extmaps: [0; 2],
            mids: Vec::new(),
        }
    }

    /// Takes note of the next line, which was checked by itself.
    pub(crate) fn next(&mut self, line: usize, kind: Kind, value: &'a str) -> Result<(), ParseError> {
        match kind {
            Kind::Attribute(name) => {
                if !self.in_section && self.last != b'a' {
                    self.letter(line, b'a')?;
                }
                self.attribute(line, name, value)
            }
            Kind::Letter(letter) => self.letter(line, letter),
        }
    }

    /// After the last line; `line` is the number that the next one would have.
    pub(crate) fn finish(mut self, line: usize) -> Result<(), ParseError> {
        if !self.in_section {
            self.session_is_complete(line)?;
        }
        self.mids.sort_unstable();
        let twice = self.mids.windows(2).filter_map(|pair| match pair {
            [(a, _), (b, line)] if a == b => Some(*line),
            _ => None,
        });
        match twice.min() {
            Some(line) => Err(ParseError::new(
                line,
                "another section has this mid already (RFC 5888 §4)",
            )),
            None => Ok(()),
        }
    }

    fn letter(&mut self, line: usize, letter: u8) -> Result<(), ParseError> {
        if letter == b'm' {
            if !self.in_section {
                self.session_is_complete(line)?;
                self.session_extmaps = self.extmaps;
            }
            self.in_section = true;
            self.letters = 0;
            self.singles = 0;
            self.rtpmaps = 0;
            self.extmaps = self.session_extmaps;
            return Ok(());
        }
        if self.grammar == Grammar::Fragment {
            return Ok(());
        }
        if self.in_section {
            return self.section_letter(line, letter);
        }
        self.session_letter(line, letter)
    }

    /// In the session part the order of RFC 8866 §9 holds to the letter.
    fn session_letter(&mut self, line: usize, letter: u8) -> Result<(), ParseError> {
        const ORDER: &str = "the session part has its lines in the order v o s i u e p c b t r z k a (RFC 8866 §5)";
        match letter {
            b'r' if matches!(self.last, b't' | b'r') => {}
            b'z' if self.last == b'r' => {}
            b'r' => return Err(ParseError::new(line, "r= follows a t= line (RFC 8866 §5.10)")),
            b'z' => return Err(ParseError::new(line, "z= follows an r= line (RFC 8866 §5.11)")),
            _ => {
                let Some(rank) = scan::find(SESSION, letter).and_then(|at| u8::try_from(at).ok()) else {
                    // A letter that no standard knows may stand anywhere but before the three that must come first.
                    return if line <= 3 {
                        self.first_three(line, letter)
                    } else {
                        Ok(())
                    };
                };
                self.first_three(line, letter)?;
                if rank < self.rank {
                    return Err(ParseError::new(line, ORDER));
                }
                if rank == self.rank && self.last == letter && !matches!(letter, b'e' | b'p' | b'b' | b't' | b'a') {
                    return Err(ParseError::new(
                        line,
                        "this line may stand only once in the session part (RFC 8866 §9)",
                    ));
                }
                // k= and a= come after the times, of which there is at least one.
                if matches!(letter, b'k' | b'a') && !self.has_timing() {
                    return Err(ParseError::new(line, NO_TIMING));
                }
                self.rank = rank;
            }
        }
        self.last = letter;
        Ok(())
    }

    fn first_three(&self, line: usize, letter: u8) -> Result<(), ParseError> {
        match (line, letter) {
            (1, b'v') | (2, b'o') | (3, b's') => Ok(()),
            (1, _) => Err(ParseError::new(line, "a description begins with v=0 (RFC 8866 §5.1)")),
            (2, _) => Err(ParseError::new(
                line,
                "the second line of a description is o= (RFC 8866 §5.2)",
            )),
            (3, _) => Err(ParseError::new(
                line,
                "the third line of a description is s= (RFC 8866 §5.3)",
            )),
            _ => Ok(()),
        }
    }

    /// In a section every order passes: the answers of some servers have `c=` after attributes, and browsers take them.
    fn section_letter(&mut self, line: usize, letter: u8) -> Result<(), ParseError> {
        let bit = match letter {
            b'i' => 1,
            b'k' => 2,
            b'v' | b'o' | b's' | b'u' | b'e' | b'p' | b't' | b'r' | b'z' => {
                return Err(ParseError::new(
                    line,
                    "this line belongs to the session part, before the first m= (RFC 8866 §9)",
                ));
            }
            _ => return Ok(()),
        };
        if self.letters & bit != 0 {
            return Err(ParseError::new(
                line,
                "this line may stand only once in a section (RFC 8866 §9)",
            ));
        }
        self.letters |= bit;
        Ok(())
    }

    fn has_timing(&self) -> bool {
        // Its rank is passed by those after it only when it was there.
        scan::find(SESSION, b't').is_some_and(|at| usize::from(self.rank) >= at)
    }

    fn session_is_complete(&self, line: usize) -> Result<(), ParseError> {
        if self.grammar == Grammar::Fragment || self.has_timing() {
            return Ok(());
        }
        self.first_three(line, 0)?;
        Err(ParseError::new(line, NO_TIMING))
    }

    fn attribute(&mut self, line: usize, name: Name, value: &'a str) -> Result<(), ParseError> {
        if name.is_single() {
            let bit = 1u64.wrapping_shl(u32::from(name as u8));
            if self.singles & bit != 0 {
                return Err(ParseError::new(
                    line,
                    "this attribute stands twice, and it may stand only once on each level",
                ));
            }
            self.singles |= bit;
        }
        match name {
            Name::Mid if self.in_section => self.mids.push((value, line)),
            Name::RtpMap => {
                let number = scan::split_once(value, b' ').and_then(|(number, _)| scan::payload_type(number));
                let bit = 1u128.wrapping_shl(u32::from(number.unwrap_or(0)));
                if self.rtpmaps & bit != 0 {
                    return Err(ParseError::new(
                        line,
                        "this payload type has an a=rtpmap already (RFC 8866 §6.6)",
                    ));
                }
                self.rtpmaps |= bit;
            }
            Name::Extmap => {
                let end = value.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(0);
                let id = value
                    .get(..end)
                    .and_then(scan::decimal_u16)
                    .and_then(|id| u8::try_from(id).ok());
                // The ids from 4096 on are alternatives, and may be shared (RFC 8285 §7).
                let (Some(id), [low, high]) = (id, &mut self.extmaps) else {
                    return Ok(());
                };
                let half = if id < 128 { low } else { high };
                let bit = 1u128.wrapping_shl(u32::from(id & 127));
                if *half & bit != 0 {
                    return Err(ParseError::new(
                        line,
                        "another a=extmap of this section has this id already (RFC 8285 §7)",
                    ));
                }
                *half |= bit;
            }
            _ => {}
        }
        Ok(())
    }
}

const NO_TIMING: &str = "a t= line is missing, t=0 0 when the session is always on (RFC 8866 §5.9)";

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;

    use crate::{Limits, ParseError, Session};

    const HEAD: &str = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\n";

    fn error(text: &str) -> (usize, &'static str) {
        let ParseError { line, rule } = Session::parse(text).unwrap_err();
        (line, rule.as_str())
    }

    #[test]
    fn a_description_with_everything_in_its_order() {
        let text = format!(
            "{HEAD}i=x\nx=early\nu=a:b\ne=a@b\ne=c@d\np=1\np=2\nc=IN IP4 1.2.3.4\nb=AS:1\nb=CT:2\nt=1 2\nr=7d 1h 0\nr=1d 1h 0\n\
             z=1 -1h\nt=3 4\nk=prompt\na=x\na=y\nm=audio 9 RTP/AVP 0\ni=x\nc=IN IP4 1.2.3.4\nc=IN IP4 1.2.3.5\nb=AS:1\nk=prompt\na=mid:0\n\
             m=video 9 RTP/AVP 31\na=mid:1\nc=IN IP4 0.0.0.0\ny=late\n"
        );
        let session = Session::parse(&text).unwrap();
        assert_eq!(session.as_str(), text);
        assert_eq!(
            (
                session.emails().count(),
                session.phones().count(),
                session.bandwidths().count()
            ),
            (2, 2, 2)
        );
        assert_eq!(
            (
                session.timings().count(),
                session.repeats().count(),
                session.zones().count()
            ),
            (2, 2, 1)
        );
        assert!(session.key().is_some() && session.uri().is_some() && session.information().is_some());
        assert_eq!(
            session.media_at(1).unwrap().connection().unwrap().address.ip(),
            Some([0, 0, 0, 0].into())
        );
    }

    #[test]
    fn the_session_part_keeps_its_order() {
        assert_eq!(error("").0, 1);
        assert_eq!(error("o=- 1 1 IN IP4 0.0.0.0\n").0, 1);
        assert_eq!(error("v=0\n").0, 2);
        assert_eq!(error("v=0\ns=-\n").0, 2);
        assert_eq!(error("v=0\nx=1\n").0, 2);
        assert_eq!(error("v=0\no=- 1 1 IN IP4 0.0.0.0\nt=0 0\n").0, 3);
        assert_eq!(error(&format!("{HEAD}m=audio 9 RTP/AVP 0\n")).0, 4);
        assert_eq!(error(HEAD).0, 4);
        for (tail, line) in [
            ("a=x\n", 4),
            ("k=prompt\n", 4),
            ("t=0 0\na=x\nt=0 0\n", 6),
            ("t=0 0\nv=0\n", 5),
            ("t=0 0\ni=x\n", 5),
            ("i=x\ni=y\nt=0 0\n", 5),
            ("c=IN IP4 1.2.3.4\nc=IN IP4 1.2.3.4\nt=0 0\n", 5),
            ("r=1 1 1\nt=0 0\n", 4),
            ("t=0 0\nz=1 1\n", 5),
            ("t=0 0\nk=prompt\nr=1 1 1\n", 6),
            ("t=0 0\nk=prompt\nk=prompt\n", 6),
        ] {
            assert_eq!(error(&format!("{HEAD}{tail}")).0, line, "{tail:?}");
        }
    }

    #[test]
    fn sections_take_only_their_own_lines() {
        for letter in [
            "v=0",
            "o=- 1 1 IN IP4 0.0.0.0",
            "s=-",
            "u=a:b",
            "e=a@b",
            "p=1",
            "t=0 0",
            "r=1 1 1",
            "z=1 1",
        ] {
            assert_eq!(
                error(&format!("{HEAD}t=0 0\nm=audio 9 RTP/AVP 0\n{letter}\n")).0,
                6,
                "{letter}"
            );
        }
        assert_eq!(error(&format!("{HEAD}t=0 0\nm=audio 9 RTP/AVP 0\ni=x\ni=x\n")).0, 7);
    }

    #[test]
    fn what_must_not_stand_twice() {
        for attribute in [
            "a=mid:0",
            "a=ice-ufrag:abcd",
            "a=ice-pwd:abcdabcdabcdabcdabcdab",
            "a=setup:active",
            "a=sctp-port:5000",
            "a=sctp-init:AQAA",
            "a=simulcast:send a",
            "a=rtpmap:0 PCMU/8000",
            "a=extmap:1 a:b",
            "a=extmap:255 a:b",
            "a=rtcp:9",
        ] {
            assert_eq!(
                error(&format!("{HEAD}t=0 0\nm=audio 9 RTP/AVP 0\n{attribute}\n{attribute}\n")).0,
                7,
                "{attribute}"
            );
            let apart = attribute.replace("mid:0", "label:x");
            let text = format!("{HEAD}t=0 0\nm=audio 9 RTP/AVP 0\n{apart}\nm=audio 9 RTP/AVP 0\n{apart}\n");
            assert!(Session::parse(&text).is_ok(), "{attribute}");
        }
        assert_eq!(
            error(&format!("{HEAD}t=0 0\nm=audio 9 RTP/AVP 0\na=sendonly\na=recvonly\n")).0,
            7
        );
        // Session and section are two levels.
        let text = format!("{HEAD}t=0 0\na=sendrecv\nm=audio 9 RTP/AVP 0\na=recvonly\nm=audio 9 RTP/AVP 0\n");
        let session = Session::parse(&text).unwrap();
        assert_eq!(
            session
                .media()
                .map(|media| media.direction().as_str())
                .collect::<std::vec::Vec<_>>(),
            ["recvonly", "sendrecv"]
        );
        // Ids of the session level hold in every section; those above 4096 are alternatives.
        assert_eq!(
            error(&format!(
                "{HEAD}t=0 0\na=extmap:1 a:b\nm=audio 9 RTP/AVP 0\na=extmap:1 a:c\n"
            ))
            .0,
            7
        );
        let text = format!("{HEAD}t=0 0\nm=audio 9 RTP/AVP 0\na=extmap:4096 a:b\na=extmap:4096 a:c\n");
        assert!(Session::parse(&text).is_ok());
        assert_eq!(
            error(&format!(
                "{HEAD}t=0 0\nm=audio 9 RTP/AVP 0\na=mid:x\nm=audio 9 RTP/AVP 0\na=mid:x\n"
            ))
            .0,
            8
        );
    }

    #[test]
    fn lines_end_with_a_line_feed_and_hold_no_control_characters() {
        assert_eq!(error("v=0\r\no=- 1 1 IN IP4 127.0.0.1\rs=-\r\nt=0 0\r\n").0, 2);
        assert_eq!(error("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=\0\r\n").0, 3);
        assert_eq!(error(&format!("{HEAD}t=0 0\r")).0, 4);
        assert_eq!(error(&format!("{HEAD}\nt=0 0\n")).0, 4);
        assert!(Session::parse(&format!("{HEAD}t=0 0\n\r\n \n")).is_ok());
        assert_eq!(
            Session::parse_bytes(b"v=0\n\xff", &Limits::default()).unwrap_err().line,
            2
        );
    }

    #[test]
    fn limits() {
        let mut text = format!("{HEAD}t=0 0\n");
        text.push_str(&"m=audio 9 RTP/AVP 0\n".repeat(3));
        let limits = Limits {
            max_bytes: text.len(),
            max_lines: 7,
            max_sections: 3,
        };
        assert!(Session::parse_with(&text, &limits).is_ok());
        let bytes = Limits {
            max_bytes: text.len() - 1,
            ..limits
        };
        assert_eq!(Session::parse_with(&text, &bytes).unwrap_err().line, 1);
        let lines = Limits { max_lines: 6, ..limits };
        assert_eq!(Session::parse_with(&text, &lines).unwrap_err().line, 7);
        let sections = Limits {
            max_sections: 2,
            ..limits
        };
        assert_eq!(Session::parse_with(&text, &sections).unwrap_err().line, 7);
        let large = String::from("v=0\n").repeat(100_000);
        assert_eq!(error(&large).0, 1);
    }
}
