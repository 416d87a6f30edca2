use core::fmt;

use crate::attribute::Name;
use crate::document::Document;
use crate::session::words;
use crate::{
    Attribute, Bandwidth, Candidate, Connection, Dcmap, Dcsa, Direction, Extmap, Fingerprint, Fmtp, Key, Line, List,
    MediaLine, Msid, Rid, Rtcp, RtcpFb, RtcpXr, RtpMap, Rule, SctpInit, Setup, Simulcast, Ssrc, SsrcGroup,
};

/// One section of a description: an `m=` line and what follows it. Where RFCs let the session level speak for sections
/// that do not speak themselves, the getters ask there too.
#[derive(Clone, Copy)]
pub struct Media<'a> {
    document: &'a Document,
    index: usize,
}

impl<'a> Media<'a> {
    pub(crate) const fn new(document: &'a Document, index: usize) -> Self {
        Self { document, index }
    }

    /// Its place among the sections, from 0: the `sdpMLineIndex`.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Every line of the section, its `m=` line first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = Line<'a>> + use<'a> {
        self.document.lines(self.document.section_lines(self.index))
    }

    /// `m=`.
    pub fn line(&self) -> MediaLine<'a> {
        let value = self
            .document
            .letters(self.document.section_lines(self.index), b'm')
            .next();
        value
            .and_then(|value| MediaLine::parse(value).ok())
            .unwrap_or(MediaLine {
                kind: "",
                port: 0,
                port_count: None,
                protocol: "",
                formats: List::text(""),
            })
    }

    /// `audio`, `video`, `application`, ...
    pub fn kind(&self) -> &'a str {
        self.line().kind
    }

    /// The port of the `m=` line.
    pub fn port(&self) -> u16 {
        self.line().port
    }

    /// The protocol of the `m=` line.
    pub fn protocol(&self) -> &'a str {
        self.line().protocol
    }

    /// The formats of the `m=` line.
    pub fn formats(&self) -> List<'a, &'a str> {
        self.line().formats
    }

    /// The payload types of the `m=` line; nothing unless it carries RTP.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.line().payload_types()
    }

    /// Whether the section is rejected or stopped: port 0, and not because it lives in its bundle only (RFC 9143 §6).
    pub fn is_rejected(&self) -> bool {
        self.port() == 0 && !self.bundle_only()
    }

    /// `i=` of the section.
    pub fn information(&self) -> Option<&'a str> {
        self.document
            .letters(self.document.section_lines(self.index), b'i')
            .next()
    }

    /// `c=` of the section, else of the session.
    pub fn connection(&self) -> Option<Connection<'a>> {
        let own = self.document.letters(self.document.section_lines(self.index), b'c');
        let session = self.document.letters(self.document.session_lines(), b'c');
        own.chain(session)
            .next()
            .and_then(|value| Connection::parse(value).ok())
    }

    /// `b=` of the section.
    pub fn bandwidths(&self) -> impl Iterator<Item = Bandwidth<'a>> + use<'a> {
        let values = self.document.letters(self.document.section_lines(self.index), b'b');
        values.filter_map(|value| Bandwidth::parse(value).ok())
    }

    /// `k=` of the section.
    pub fn key(&self) -> Option<Key<'a>> {
        let value = self
            .document
            .letters(self.document.section_lines(self.index), b'k')
            .next();
        value.and_then(|value| Key::parse(value).ok())
    }

    /// The attributes of the section itself, typed.
    pub fn attributes(&self) -> impl DoubleEndedIterator<Item = Attribute<'a>> + use<'a> {
        self.document.attributes(self.document.section_lines(self.index))
    }

    /// The values of the attributes of this name; for names that are not known here.
    pub fn other<'b>(&self, name: &'b str) -> impl Iterator<Item = Option<&'a str>> + use<'a, 'b> {
        self.attributes().filter_map(move |attribute| match attribute {
            Attribute::Other { name: own, value } if own == name => Some(value),
            _ => None,
        })
    }

    /// `a=mid`.
    pub fn mid(&self) -> Option<&'a str> {
        self.own(Name::Mid).next()
    }

    /// `a=bundle-only`.
    pub fn bundle_only(&self) -> bool {
        self.has(Name::BundleOnly)
    }

    /// The direction: of the section, else of the session, else `sendrecv` (RFC 8866 §6.7).
    pub fn direction(&self) -> Direction {
        self.resolved(Name::Direction)
            .and_then(|value| Direction::parse(value).ok())
            .unwrap_or_default()
    }

    /// `a=ice-ufrag`, of the section or the session.
    pub fn ice_ufrag(&self) -> Option<&'a str> {
        self.resolved(Name::IceUfrag)
    }

    /// `a=ice-pwd`, of the section or the session.
    pub fn ice_pwd(&self) -> Option<&'a str> {
        self.resolved(Name::IcePwd)
    }

    /// `a=ice-options`, each tag: those of the section, else those of the session.
    pub fn ice_options(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.level_of(Name::IceOptions).flat_map(words)
    }

    /// `a=fingerprint`: those of the section, else those of the session (RFC 8122 §5).
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint<'a>> + use<'a> {
        self.level_of(Name::Fingerprint)
            .filter_map(|value| Fingerprint::parse(value).ok())
    }

    /// `a=setup`, of the section or the session.
    pub fn setup(&self) -> Option<Setup> {
        self.resolved(Name::Setup).and_then(|value| Setup::parse(value).ok())
    }

    /// `a=tls-id`, of the section or the session.
    pub fn tls_id(&self) -> Option<&'a str> {
        self.resolved(Name::TlsId)
    }

    /// `a=candidate`.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate<'a>> + use<'a> {
        self.values(Name::Candidate, Candidate::parse)
    }

    /// `a=end-of-candidates`, of the section or the session.
    pub fn end_of_candidates(&self) -> bool {
        self.has_anywhere(Name::EndOfCandidates)
    }

    /// `a=rtcp`.
    pub fn rtcp(&self) -> Option<Rtcp<'a>> {
        self.values(Name::Rtcp, Rtcp::parse).next()
    }

    /// `a=rtcp-mux`.
    pub fn rtcp_mux(&self) -> bool {
        self.has(Name::RtcpMux)
    }

    /// `a=rtcp-mux-only`.
    pub fn rtcp_mux_only(&self) -> bool {
        self.has(Name::RtcpMuxOnly)
    }

    /// `a=rtcp-rsize`.
    pub fn rtcp_rsize(&self) -> bool {
        self.has(Name::RtcpRsize)
    }

    /// `a=rtcp-xr`: those of the section, else those of the session (RFC 3611 §5.1).
    pub fn rtcp_xrs(&self) -> impl Iterator<Item = RtcpXr<'a>> + use<'a> {
        self.level_of(Name::RtcpXr)
            .filter_map(|value| RtcpXr::parse(value).ok())
    }

    /// `a=rtpmap`, in the order of the lines.
    pub fn rtpmaps(&self) -> impl Iterator<Item = RtpMap<'a>> + use<'a> {
        self.values(Name::RtpMap, RtpMap::parse)
    }

    /// `a=rtpmap` of a payload type. Static payload types may have none (RFC 3551 §6).
    pub fn rtpmap(&self, payload_type: u8) -> Option<RtpMap<'a>> {
        self.rtpmaps().find(|map| map.payload_type == payload_type)
    }

    /// `a=fmtp`, in the order of the lines.
    pub fn fmtps(&self) -> impl Iterator<Item = Fmtp<'a>> + use<'a> {
        self.values(Name::Fmtp, Fmtp::parse)
    }

    /// `a=fmtp` of a payload type.
    pub fn fmtp(&self, payload_type: u8) -> Option<Fmtp<'a>> {
        self.fmtps().find(|fmtp| fmtp.payload_type() == Some(payload_type))
    }

    /// `a=rtcp-fb`, also of payload types that the `m=` line does not list: Firefox leaves some behind.
    pub fn rtcp_fbs(&self) -> impl Iterator<Item = RtcpFb<'a>> + use<'a> {
        self.values(Name::RtcpFb, RtcpFb::parse)
    }

    /// `a=rtcp-fb` that speaks about a payload type, by number or by `*`.
    pub fn rtcp_fbs_of(&self, payload_type: u8) -> impl Iterator<Item = RtcpFb<'a>> + use<'a> {
        self.rtcp_fbs().filter(move |feedback| feedback.covers(payload_type))
    }

    /// `a=extmap`: those of the session level hold in every section, then come those of the section (RFC 8285 §7).
    pub fn extmaps(&self) -> impl Iterator<Item = Extmap<'a>> + use<'a> {
        let session = self.document.values(self.document.session_lines(), Name::Extmap);
        session
            .chain(self.own(Name::Extmap))
            .filter_map(|value| Extmap::parse(value).ok())
    }

    /// `a=extmap-allow-mixed`, of the section or the session (RFC 8285 §6).
    pub fn extmap_allow_mixed(&self) -> bool {
        self.has_anywhere(Name::ExtmapAllowMixed)
    }

    /// `a=cryptex`, of the section or the session (RFC 9335 §4).
    pub fn cryptex(&self) -> bool {
        self.has_anywhere(Name::Cryptex)
    }

    /// `a=msid`; a section may belong to several streams.
    pub fn msids(&self) -> impl Iterator<Item = Msid<'a>> + use<'a> {
        self.values(Name::Msid, Msid::parse)
    }

    /// The first `a=msid`.
    pub fn msid(&self) -> Option<Msid<'a>> {
        self.msids().next()
    }

    /// `a=ssrc`, one for each line.
    pub fn ssrcs(&self) -> impl Iterator<Item = Ssrc<'a>> + use<'a> {
        self.values(Name::Ssrc, Ssrc::parse)
    }

    /// `a=ssrc-group`.
    pub fn ssrc_groups(&self) -> impl Iterator<Item = SsrcGroup<'a>> + use<'a> {
        self.values(Name::SsrcGroup, SsrcGroup::parse)
    }

    /// `a=rid`.
    pub fn rids(&self) -> impl Iterator<Item = Rid<'a>> + use<'a> {
        self.values(Name::Rid, Rid::parse)
    }

    /// `a=simulcast`.
    pub fn simulcast(&self) -> Option<Simulcast<'a>> {
        self.values(Name::Simulcast, Simulcast::parse).next()
    }

    /// `a=sctp-port`, or the port of the older `a=sctpmap`.
    pub fn sctp_port(&self) -> Option<u16> {
        self.attributes().find_map(|attribute| match attribute {
            Attribute::SctpPort(port) => Some(port),
            Attribute::SctpMap(map) => Some(map.port),
            _ => None,
        })
    }

    /// `a=sctp-init`: the INIT chunk with which the writer's SCTP begins (draft-hancke-tsvwg-snap).
    pub fn sctp_init(&self) -> Option<SctpInit<'a>> {
        self.values(Name::SctpInit, SctpInit::parse).next()
    }

    /// `a=max-message-size` in bytes; 0 means any. Without the line it is 64 KiB (RFC 8841 §6.1).
    pub fn max_message_size(&self) -> Option<u64> {
        self.attributes().find_map(|attribute| match attribute {
            Attribute::MaxMessageSize(bytes) => Some(bytes),
            _ => None,
        })
    }

    /// `a=dcmap`.
    pub fn dcmaps(&self) -> impl Iterator<Item = Dcmap<'a>> + use<'a> {
        self.values(Name::Dcmap, Dcmap::parse)
    }

    /// `a=dcsa`.
    pub fn dcsas(&self) -> impl Iterator<Item = Dcsa<'a>> + use<'a> {
        self.values(Name::Dcsa, Dcsa::parse)
    }

    fn has(&self, name: Name) -> bool {
        self.document.has(self.document.section_lines(self.index), name)
    }

    fn has_anywhere(&self, name: Name) -> bool {
        self.has(name) || self.document.has(self.document.session_lines(), name)
    }

    fn own(&self, name: Name) -> impl DoubleEndedIterator<Item = &'a str> + use<'a> {
        self.document.values(self.document.section_lines(self.index), name)
    }

    fn values<T>(
        &self,
        name: Name,
        parse: fn(&'a str) -> Result<T, Rule>,
    ) -> impl DoubleEndedIterator<Item = T> + use<'a, T> {
        self.own(name).filter_map(move |value| parse(value).ok())
    }

    /// The first value on the section's level, else on the session's.
    fn resolved(&self, name: Name) -> Option<&'a str> {
        self.own(name)
            .next()
            .or_else(|| self.document.values(self.document.session_lines(), name).next())
    }

    /// All values of the section's level; when there are none, all of the session's.
    fn level_of(&self, name: Name) -> impl Iterator<Item = &'a str> + use<'a> {
        let range = if self.has(name) {
            self.document.section_lines(self.index)
        } else {
            self.document.session_lines()
        };
        self.document.values(range, name)
    }
}

impl fmt::Debug for Media<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Media")
            .field("index", &self.index)
            .field("line", &self.line())
            .field("mid", &self.mid())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::{vec, vec::Vec};

    use crate::Session;

    #[test]
    fn every_wish_for_extended_reports_is_heard() {
        let session = Session::parse(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=rtcp-xr:voip-metrics\r\na=rtcp-xr:pkt-loss-rle\r\n\
             m=audio 9 RTP/AVP 0\r\nm=audio 9 RTP/AVP 0\r\na=rtcp-xr:rcvr-rtt=all\r\na=rtcp-xr:stat-summary=loss\r\n\
             m=audio 9 RTP/AVP 0\r\na=rtcp-xr:\r\n",
        )
        .unwrap();
        let wishes = |index| {
            let section = session.media_at(index).unwrap();
            section.rtcp_xrs().map(|xr| xr.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(wishes(0), vec!["voip-metrics", "pkt-loss-rle"]);
        // A section that speaks replaces what the session says, even by nothing.
        assert_eq!(wishes(1), vec!["rcvr-rtt=all", "stat-summary=loss"]);
        assert_eq!(wishes(2), vec![""]);
    }

    /// RFC 9335 §4: a property of a section, or of all of them.
    #[test]
    fn cryptex_is_said_by_a_section_or_by_the_session() {
        let start = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
        let audio = "m=audio 9 RTP/SAVPF 0\r\n";
        let flag = "a=cryptex\r\n";
        for (parts, said) in [
            (vec![start, audio, audio], [false, false]),
            (vec![start, audio, audio, flag], [false, true]),
            (vec![start, flag, audio, audio], [true, true]),
        ] {
            let session = Session::parse(&parts.concat()).unwrap();
            assert_eq!([0, 1].map(|index| session.media_at(index).unwrap().cryptex()), said);
        }
    }
}
