use stun::{Attribute, AttributeType, Builder, Key, Message, Value, is_stun};

/// Any bytes as a STUN message. What parses is printed back attribute by attribute and parses to the same; each value
/// that can be decoded is written anew and decodes to the same; signed with a key of ours, integrity and fingerprint
/// verify and what they do not cover does not count.
pub fn stun(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    // RFC 7983 leaves 0 to 3 to STUN, which holds all methods that are registered; the format has room for more.
    assert_eq!(is_stun(data), data[0] <= 3);
    assert_eq!(message.to_string().lines().count().max(1), 1);
    let attributes: Vec<_> = message.all_attributes().collect();
    assert_eq!(message.dump().to_string().lines().count(), attributes.len() + 4);
    assert!(message.attributes().count() <= attributes.len());

    print_back(&message, &attributes);
    for attribute in &attributes {
        write_anew(&message, attribute);
    }
    sign(&message);
}

fn builder<'a>(message: &Message<'_>, out: &'a mut [u8]) -> Builder<'a> {
    Builder::new(out, message.class(), message.method(), message.transaction_id()).expect("there is room for a header")
}

fn print_back(message: &Message<'_>, attributes: &[Attribute<'_>]) {
    let mut out = vec![0xff; message.as_bytes().len()];
    let mut b = builder(message, &mut out);
    for attribute in attributes {
        b.copy(attribute).expect("the same needs the same room");
    }
    let printed = b.finish();
    assert_eq!(printed.len(), message.as_bytes().len());
    let again = Message::parse(printed).expect("what was printed parses");
    assert_eq!(
        (again.class(), again.method(), again.transaction_id()),
        (message.class(), message.method(), message.transaction_id())
    );
    assert!(again.all_attributes().eq(attributes.iter().copied()));
    // When the padding was zero, every byte is the same, and so is what was computed over them.
    if printed == message.as_bytes() {
        assert_eq!(again.verify_fingerprint(), message.verify_fingerprint());
    }
}

fn write_anew(message: &Message<'_>, attribute: &Attribute<'_>) {
    let Ok(value) = attribute.decode() else { return };
    assert_eq!(value.kind(), attribute.kind());
    assert_eq!(matches!(value, Value::Other(..)), !Value::understands(attribute.kind()));
    let mut out = vec![0; attribute.value().len() + 64];
    let mut b = builder(message, &mut out);
    // Computed values are not taken, and the limits for writing are below those for reading.
    if b.push(&value).is_err() {
        return;
    }
    let again = Message::parse(b.finish()).expect("what was built parses");
    let attribute = again.all_attributes().next().expect("it was pushed");
    assert_eq!(attribute.decode(), Ok(value));
}

fn sign(message: &Message<'_>) {
    let key = Key::short_term("a password of ours");
    let mut out = vec![0; message.as_bytes().len() + 128];
    let mut b = builder(message, &mut out);
    let mut signed = 0;
    for attribute in message.attributes() {
        match attribute.kind() {
            AttributeType::MESSAGE_INTEGRITY | AttributeType::MESSAGE_INTEGRITY_SHA256 | AttributeType::FINGERPRINT => {
            }
            _ => {
                b.copy(&attribute).expect("there is room");
                signed += 1;
            }
        }
    }
    // A message of 65535 bytes has no room for more.
    if b.integrity(&key).is_err() || b.integrity_sha256(&key, 32).is_err() || b.fingerprint().is_err() {
        return;
    }
    let bytes = b.finish().to_vec();
    let signed_message = Message::parse(&bytes).expect("what was built parses");
    assert_eq!(signed_message.attributes().count(), signed + 3);
    assert_eq!(signed_message.verify_fingerprint(), Ok(()));
    let proven = signed_message
        .verify_integrity(&key)
        .expect("it was signed with this key");
    assert_eq!(proven.message().as_bytes(), bytes);
    assert!(signed_message.verify_integrity(&Key::short_term("another")).is_err());
}
