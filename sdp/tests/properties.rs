//! What holds for every text: what parses is printed back as it was, and what is written is read back as it was meant.

use std::net::{IpAddr, SocketAddr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sdp::{
    Attribute, Builder, Candidate, Direction, Extmap, Line, List, MediaLine, Msid, Origin, RtcpFb, RtpMap, SdpFragment,
    Session, Ssrc, SsrcGroup,
};

/// Lines of fields: between these, and behind the last, any number of spaces may stand.
const FIELDS: &[&str] = &[
    "o=- 1 1 IN IP4 127.0.0.1",
    "c=IN IP4 0.0.0.0",
    "t=0 0",
    "r=7d 1h 0",
    "z=1 -1h",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "a=group:BUNDLE 0 1",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 a=b;c",
    "a=fmtp:111 a=b; c ;",
    "a=rtcp-fb:* nack pli",
    "a=rtcp-fb:96 nack",
    "a=rtcp-fb:96 trr-int 100",
    "a=extmap:3/recvonly a:b",
    "a=extmap:4 a:b c",
    "a=candidate:1 1 udp 5 192.0.2.1 5 typ host a b",
    "a=candidate:1 1 tcp 5 192.0.2.1 9 typ srflx raddr 10.0.0.1 rport 9 generation 0 tcptype active ufrag x",
    "a=remote-candidates:1 192.0.2.3 45664 2 192.0.2.3 45665",
    "a=msid:s t",
    "a=msid-semantic: WMS *",
    "a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB",
    "a=ice-options:trickle ice2",
    "a=rtcp:9 IN IP4 0.0.0.0",
    "a=rtcp-xr:rcvr-rtt=all stat-summary=loss",
    "a=simulcast:send a;~b,c",
    "a=simulcast:send a recv b",
    "a=rid:a send pt=111",
    "a=rid:b recv ;",
    "a=rid:c send ; pt=111 ;",
    "a=ssrc-group:FID 1 2",
    "a=sctpmap:5000 webrtc-datachannel 1024",
    "a=dcmap:1 label=\"x\";ordered=false",
];

/// Lines whose last field is a text, to which spaces behind it belong.
const TEXT_LAST: &[&str] = &["a=ssrc:5 cname:x", "a=dcsa:1 accept-types:text/plain"];

/// Lines in which no space separates anything.
const OTHERS: &[&str] = &[
    "v=0",
    "s=-",
    "i=x",
    "k=prompt",
    "b=AS:5",
    "e=a@b",
    "p=1",
    "a=mid:0",
    "a=mid:1",
    "a=imageattr:96 send * recv [x=1,y=2]",
    "a=maxptime:60",
    "a=ice-ufrag:abcd",
    "a=setup:actpass",
    "a=sendonly",
    "a=new:thing",
    "a=flag",
    "x=unknown",
    "a=sctp-port:5000",
    "a=sctp-init:AQAAHols3R0AUAAA/////+B5ZR3AAAAEgAgABoLA",
    "a=bundle-only",
];

/// A line of fields as it is usually written, and one with more spaces.
fn spaced() -> impl Strategy<Value = (&'static str, String)> {
    let lines = [FIELDS, TEXT_LAST].concat();
    (prop::sample::select(lines), vec(0..3usize, 20)).prop_map(|(line, more)| {
        let mut text = String::new();
        let mut more = more.into_iter();
        for (index, word) in line.split(' ').enumerate() {
            if index != 0 {
                text += &" ".repeat(1 + more.next().unwrap_or(0));
            }
            text += word;
        }
        if FIELDS.contains(&line) {
            text += &" ".repeat(more.next().unwrap_or(0));
        }
        (line, text)
    })
}

/// A line that is right, a line that is nearly right, or any line.
fn line() -> impl Strategy<Value = String> {
    let right = prop::sample::select([FIELDS, TEXT_LAST, OTHERS].concat()).prop_map(str::to_owned);
    let nearly = (right.clone(), any::<prop::sample::Index>(), any::<char>()).prop_map(|(line, at, with)| {
        let mut characters = line.chars().collect::<Vec<_>>();
        let at = at.index(characters.len());
        characters[at] = with;
        characters.into_iter().collect()
    });
    let spaced = spaced().prop_map(|(_, text)| text);
    prop_oneof![8 => right, 2 => nearly, 2 => spaced, 1 => "[a-z]=.{0,30}", 1 => ".{0,30}"]
}

fn text() -> impl Strategy<Value = String> {
    let ending = prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\n", "", "\r"]);
    let lines = vec((line(), ending), 0..30)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect::<String>());
    (any::<bool>(), lines).prop_map(|(head, lines)| {
        let head = if head {
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
        } else {
            ""
        };
        head.to_owned() + &lines
    })
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,20}"
}

fn candidate_parts() -> impl Strategy<Value = (String, u16, u32, SocketAddr, Option<SocketAddr>)> {
    let address = || (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from);
    (
        "[A-Za-z0-9+/]{1,32}",
        1u16..=256,
        any::<u32>(),
        address(),
        option::of(address()),
    )
}

#[test]
fn the_right_lines_are_right() {
    for line in [FIELDS, TEXT_LAST, OTHERS].concat() {
        assert!(Line::parse(line).is_ok(), "{line}");
    }
}

proptest! {
    #[test]
    fn what_parses_is_printed_back(text in text()) {
        if let Ok(session) = Session::parse(&text) {
            prop_assert_eq!(session.as_str(), &text);
            let again = Session::parse(&session.to_string()).unwrap();
            prop_assert!(again == session);
            // Every line can be read as its type; printed and read again it is the same.
            prop_assert_eq!(session.lines().count(), session.raw_lines().count());
            for line in session.lines() {
                let printed = line.to_string();
                prop_assert_eq!(Line::parse(&printed), Ok(line));
            }
            let _ = sdp::explain(&session).to_string();
        }
        if let Ok(fragment) = SdpFragment::parse(&text) {
            prop_assert_eq!(fragment.as_str(), &text);
        }
    }

    #[test]
    fn bytes_of_any_kind_do_not_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Session::parse_bytes(&bytes, &sdp::Limits::default());
    }

    #[test]
    fn lines_of_any_kind_are_read_as_they_print(text in line()) {
        if let Ok(line) = Line::parse(&text) {
            let printed = line.to_string();
            prop_assert_eq!(Line::parse(&printed), Ok(line));
        }
    }

    #[test]
    fn a_run_of_spaces_between_fields_counts_as_one((line, spaced) in spaced()) {
        let line = Line::parse(line).unwrap();
        prop_assert_eq!(Line::parse(&spaced), Ok(line));
    }

    #[test]
    fn candidates(parts in candidate_parts()) {
        let (foundation, component, priority, addr, related) = parts;
        let candidate = Candidate {
            component,
            related: related.map(|related| (related.ip().into(), related.port())),
            ..Candidate::host(&foundation, priority, addr)
        };
        let text = candidate.to_string();
        let parsed = Candidate::parse(&text).unwrap();
        prop_assert_eq!(parsed, candidate);
        prop_assert_eq!(parsed.socket_addr(), Some(addr));
    }

    #[test]
    fn what_is_built_is_read_back(
        id in any::<u64>(), version in any::<u64>(), mid in token(), stream in token(), track in option::of(token()),
        formats in prop::collection::btree_set(0u8..128, 1..8), port in any::<u16>(), ssrcs in vec(any::<u32>(), 0..4),
        extension in 1u16..256, sends in any::<bool>(), receives in any::<bool>(),
    ) {
        let words = formats.iter().map(u8::to_string).collect::<Vec<_>>();
        let words = words.iter().map(String::as_str).collect::<Vec<_>>();
        let media = MediaLine { kind: "video", port, port_count: None, protocol: "UDP/TLS/RTP/SAVPF", formats: List::from(&words[..]) };
        let direction = Direction::new(sends, receives);
        let mut attributes = vec![
            Attribute::Mid(&mid),
            Attribute::Msid(Msid { stream: &stream, track: track.as_deref() }),
            Attribute::Direction(direction),
            Attribute::Extmap(Extmap { direction: Some(direction), ..Extmap::new(extension, "urn:a") }),
            Attribute::SsrcGroup(SsrcGroup { semantics: "FID", ssrcs: List::from(&ssrcs[..]) }),
        ];
        for format in &formats {
            attributes.push(Attribute::RtpMap(RtpMap { payload_type: *format, encoding: "VP8", clock_rate: 90_000, parameters: None }));
            attributes.push(Attribute::RtcpFb(RtcpFb::new(*format, "nack", "pli")));
        }
        attributes.extend(ssrcs.iter().map(|ssrc| Attribute::Ssrc(Ssrc::with_cname(*ssrc, "c"))));

        let mut builder = Builder::session(&Origin::new(id, version));
        builder.media(&media);
        for attribute in &attributes {
            builder.attribute(*attribute);
        }
        let session = builder.finish().unwrap();
        prop_assert_eq!(session.origin(), Some(Origin::new(id, version)));
        let section = session.media_by_mid(&mid).unwrap();
        prop_assert_eq!(section.line(), media);
        prop_assert_eq!(section.attributes().collect::<Vec<_>>(), attributes);
        prop_assert!(section.payload_types().eq(formats.iter().copied()));
        prop_assert_eq!(section.direction(), direction);
    }
}
