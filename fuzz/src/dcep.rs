use sctp::dcep::{ChannelType, Message, MessageType, Open, Priority};
use wire::{Reader, Writer};

/// Any bytes as a message that opens a channel, or confirms that. What it says is written again to the same bytes. Whatever
/// else they say, as type, priority, parameter, label and protocol, is read as it was written.
pub fn dcep(data: &[u8]) {
    if let Ok(message) = Message::parse(data) {
        assert_eq!(message.to_string().lines().count(), 1);
        assert_eq!(written(&message), data);
    }
    let _ = again(data);
}

fn again(data: &[u8]) -> Result<(), wire::Error> {
    let mut r = Reader::new(data);
    let (kind, channel_type, priority) = (r.u8()?, ChannelType(r.u8()?), Priority(r.u16()?));
    let reliability_parameter = r.u32()?;
    let split = usize::from(r.u8()?);
    // An OPEN cannot have more.
    let text = String::from_utf8_lossy(r.all());
    let (label, protocol) = text.split_at((0..=split).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
    let open = Open {
        channel_type,
        priority,
        reliability_parameter,
        label,
        protocol,
    };
    assert_eq!(open.is_unordered().is_some(), open.reliability().is_some());
    let message = match MessageType(kind) {
        MessageType::ACK => Message::Ack,
        MessageType::OPEN => Message::Open(open),
        other => Message::Unknown(other, text.as_bytes()),
    };
    if label.len().max(protocol.len()) <= usize::from(u16::MAX) {
        let bytes = written(&message);
        assert_eq!(Message::parse(&bytes), Ok(message));
        if matches!(message, Message::Ack | Message::Open(_)) {
            let mut longer = bytes.clone();
            longer.push(0);
            assert!(Message::parse(&longer).is_err(), "a byte is left over");
            assert!(Message::parse(&bytes[..bytes.len() - 1]).is_err(), "a byte is missing");
        }
    }
    Ok(())
}

fn written(message: &Message<'_>) -> Vec<u8> {
    let mut out = vec![0xee; message.wire_len()];
    let mut w = Writer::new(&mut out);
    message.write(&mut w).expect("it has as many bytes as it says");
    assert_eq!(w.remaining(), 0);
    // One byte less is too little, and nothing is written then.
    let mut short = vec![0xee; out.len() - 1];
    let mut w = Writer::new(&mut short);
    assert!(message.write(&mut w).is_err());
    assert_eq!(w.position(), 0);
    out
}
