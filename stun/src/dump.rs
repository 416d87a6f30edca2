use crate::attribute::Attribute;
use crate::message::Message;
use crate::value::Value;
use core::fmt;

/// One line: `Binding request 41587030526735517750734c USERNAME=Sfu1:32bK PRIORITY=0x6e7e1eff ...`.
impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.method(), self.class(), self.transaction_id())?;
        for attribute in self.all_attributes() {
            write!(f, " {attribute}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({self})")
    }
}

/// `NAME=value`, or the name alone when there is no value; in parentheses when receivers ignore the attribute.
impl fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ignored() {
            f.write_str("(")?;
        }
        write!(f, "{}", self.kind())?;
        if !self.value().is_empty() {
            f.write_str("=")?;
            write_value(f, self)?;
        }
        if self.is_ignored() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl<'a> Message<'a> {
    /// A field-by-field listing, one line each: offset in the message, name, value.
    pub const fn dump(&self) -> Dump<'a> {
        Dump(*self)
    }
}

/// What [`Message::dump`] prints.
#[derive(Debug, Clone, Copy)]
pub struct Dump<'a>(Message<'a>);

impl fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &self.0;
        writeln!(
            f,
            "{:>5}  {:<26}{} {}",
            0,
            "message type",
            message.method(),
            message.class()
        )?;
        let length = message.as_bytes().len().saturating_sub(crate::HEADER_LEN);
        writeln!(f, "{:>5}  {:<26}{length}", 2, "message length")?;
        writeln!(f, "{:>5}  {:<26}{:#010x}", 4, "magic cookie", crate::MAGIC_COOKIE)?;
        writeln!(f, "{:>5}  {:<26}{}", 8, "transaction id", message.transaction_id())?;
        for attribute in message.all_attributes() {
            write!(f, "{:>5}  ", attribute.offset())?;
            if attribute.value().is_empty() {
                write!(f, "{}", attribute.kind())?;
            } else {
                write!(f, "{:<26}", attribute.kind())?;
                write_value(f, &attribute)?;
            }
            if attribute.is_ignored() {
                f.write_str("  (ignored: not covered by the integrity before it)")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The value in its own form, or as hexadecimal with the rule that it breaks.
fn write_value(f: &mut fmt::Formatter<'_>, attribute: &Attribute<'_>) -> fmt::Result {
    let value = match attribute.decode() {
        Ok(value) => value,
        Err(error) => {
            hex(f, attribute.value())?;
            return write!(f, " ({error})");
        }
    };
    match value {
        Value::MappedAddress(a)
        | Value::XorMappedAddress(a)
        | Value::AlternateServer(a)
        | Value::XorPeerAddress(a)
        | Value::XorRelayedAddress(a) => write!(f, "{a}"),
        // Texts come from the peer: control characters are escaped.
        Value::Username(text)
        | Value::Realm(text)
        | Value::Nonce(text)
        | Value::Software(text)
        | Value::AlternateDomain(text) => write!(f, "{}", text.escape_debug()),
        Value::UserHash(bytes) => hex(f, bytes),
        Value::MessageIntegrity(bytes) => hex(f, bytes),
        Value::MessageIntegritySha256(bytes) | Value::Other(_, bytes) => hex(f, bytes),
        Value::Data(bytes) | Value::MetaDtlsInStun(bytes) => write!(f, "{} bytes", bytes.len()),
        Value::Fingerprint(value) | Value::Priority(value) => write!(f, "{value:#010x}"),
        Value::ErrorCode(error) => write!(f, "{} {}", error.code.0, error.reason.escape_debug()),
        Value::PasswordAlgorithms(list) => separated(f, list.iter().map(|entry| entry.algorithm)),
        Value::PasswordAlgorithm(entry) => write!(f, "{}", entry.algorithm),
        Value::UnknownAttributes(list) => separated(f, list.iter()),
        Value::ChannelNumber(number) => write!(f, "{number:#06x}"),
        Value::Lifetime(seconds) => write!(f, "{seconds}s"),
        Value::RequestedAddressFamily(family) | Value::AdditionalAddressFamily(family) => write!(f, "{family}"),
        Value::EvenPort { reserve_next } => f.write_str(if reserve_next { "reserve-next" } else { "single" }),
        Value::RequestedTransport(protocol) => write!(f, "{protocol}"),
        Value::DontFragment | Value::UseCandidate => Ok(()),
        Value::ReservationToken(token) => hex(f, &token),
        Value::AddressErrorCode { family, error } => {
            write!(f, "{family} {} {}", error.code.0, error.reason.escape_debug())
        }
        Value::Icmp { kind, code, data } => write!(f, "type {kind} code {code} data {data}"),
        Value::IceControlled(tiebreaker) | Value::IceControlling(tiebreaker) => write!(f, "{tiebreaker:#018x}"),
        Value::Nomination(number) => write!(f, "{number}"),
        Value::MetaDtlsInStunAcknowledgement(list) => separated(f, list.iter().map(Crc)),
        Value::GoogNetworkInfo { network_id, cost } => write!(f, "network {network_id} cost {cost}"),
    }
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

struct Crc(u32);

impl fmt::Display for Crc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

fn separated<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = T>) -> fmt::Result {
    for (i, item) in items.enumerate() {
        if i > 0 {
            f.write_str(",")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{AttributeType, Builder, Class, ErrorCode, Key, Message, Method, TransactionId, TypeList, Value};
    use std::string::ToString;

    #[test]
    fn a_message_is_one_line_or_a_listing() {
        let key = Key::short_term("password");
        let mut out = [0; 256];
        let mut b = Builder::new(
            &mut out,
            Class::ErrorResponse,
            Method::BINDING,
            TransactionId([0xab; 12]),
        )
        .unwrap();
        b.error_code(ErrorCode::UNKNOWN_ATTRIBUTE).unwrap();
        b.push(&Value::UnknownAttributes(TypeList::new(&[
            AttributeType(0x7fff),
            AttributeType::CHANGE_REQUEST,
        ])))
        .unwrap();
        b.push(&Value::Software("tab\there")).unwrap();
        b.push(&Value::UseCandidate).unwrap();
        b.push(&Value::Other(AttributeType::XOR_MAPPED_ADDRESS, &[0, 3, 0, 0]))
            .unwrap();
        b.integrity(&key).unwrap();
        let bytes = b.finish().to_vec();
        let message = Message::parse(&bytes).unwrap();
        let line = message.to_string();
        assert!(line.starts_with(
            "Binding error response abababababababababababab ERROR-CODE=420 Unknown Attribute \
             UNKNOWN-ATTRIBUTES=0x7fff,CHANGE-REQUEST SOFTWARE=tab\\there USE-CANDIDATE XOR-MAPPED-ADDRESS=00030000 \
             (rule broken at offset "
        ));
        assert_eq!(line.lines().count(), 1);
        let dump = message.dump().to_string();
        assert_eq!(dump.lines().count(), 4 + message.all_attributes().count());
        assert!(dump.contains("   20  ERROR-CODE                420 Unknown Attribute\n"));
    }
}
