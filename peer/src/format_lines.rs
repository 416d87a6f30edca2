//! The lines that offers and answers have in common.

use sdp::{Attribute, Builder, Fmtp, List, Parameters, RtcpFb, RtpMap, Ssrc, SsrcGroup};

use crate::{Codec, Format};

/// A format with its feedback and parameters, and its retransmissions (RFC 4588 §8.6).
pub(crate) fn format_lines<'a>(
    builder: &mut Builder,
    format: &Format,
    feedback: impl Iterator<Item = (&'a str, &'a str)>,
    parameters: &str,
) {
    let (codec, payload_type) = (format.codec, format.payload_type.0);
    builder.attribute(Attribute::RtpMap(RtpMap {
        payload_type,
        encoding: codec.encoding_name(),
        clock_rate: codec.clock_rate(),
        parameters: (codec == Codec::Opus).then_some("2"),
    }));
    for (id, parameter) in feedback {
        builder.attribute(Attribute::RtcpFb(RtcpFb::new(payload_type, id, parameter)));
    }
    fmtp(builder, payload_type, parameters);
    if let Some(rtx) = format.rtx {
        builder.attribute(Attribute::RtpMap(RtpMap {
            payload_type: rtx.0,
            encoding: "rtx",
            clock_rate: codec.clock_rate(),
            parameters: None,
        }));
        fmtp(builder, rtx.0, &format!("apt={payload_type}"));
    }
}

/// What we send with: an SSRC, that of its retransmissions, and the name that ties streams together.
pub(crate) fn ssrc_lines(builder: &mut Builder, cname: &str, media: rtp::Ssrc, rtx: Option<rtp::Ssrc>) {
    if let Some(rtx) = rtx {
        builder.attribute(Attribute::SsrcGroup(SsrcGroup {
            semantics: SsrcGroup::FID,
            ssrcs: List::from(&[media.0, rtx.0]),
        }));
    }
    for ssrc in [Some(media), rtx].into_iter().flatten() {
        builder.attribute(Attribute::Ssrc(Ssrc::with_cname(ssrc.0, cname)));
    }
}

fn fmtp(builder: &mut Builder, payload_type: u8, parameters: &str) {
    if !parameters.is_empty() {
        let format = payload_type.to_string();
        builder.attribute(Attribute::Fmtp(Fmtp {
            format: &format,
            parameters: Parameters::new(parameters),
        }));
    }
}
