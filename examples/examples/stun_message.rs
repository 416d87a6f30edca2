//! Build a STUN Binding request, read it back, and see what integrity and fingerprint are good for.

use stun::{Builder, Class, Key, Message, Method, TransactionId, Value, is_stun};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The key is made once; it holds the HMAC states, not the password.
    let key = Key::short_term("VOkJxbRl1RmTxUk/WvJxBt");

    let mut buffer = [0; 128];
    let mut builder = Builder::new(
        &mut buffer,
        Class::Request,
        Method::BINDING,
        TransactionId(*b"random bytes"),
    )?;
    builder.push(&Value::Username("evtj:h6vY"))?;
    builder.push(&Value::Priority(0x6e00_01ff))?;
    builder.push(&Value::IceControlling(0x932f_f9b1_5126_3b36))?;
    builder.push(&Value::UseCandidate)?;
    builder.integrity(&key)?;
    builder.fingerprint()?;
    let datagram = builder.finish().to_vec();

    // On a port that also carries DTLS and SRTP, this tells them apart.
    assert!(is_stun(&datagram));
    let message = Message::parse(&datagram)?;
    println!("{message}\n");
    print!("{}", message.dump());

    // FINGERPRINT says that it is STUN, MESSAGE-INTEGRITY that the sender knows the password.
    message.verify_fingerprint()?;
    let proven = message.verify_integrity(&key)?;
    println!(
        "\nsent by {:?}, proven with {:?}",
        proven.message().username()?,
        proven.algorithm()
    );

    let mut forged = datagram.clone();
    forged[24] = b'x';
    let forged = Message::parse(&forged)?;
    println!(
        "forged:  {}",
        forged.verify_integrity(&key).expect_err("a byte was changed")
    );
    println!(
        "         {}",
        forged.verify_fingerprint().expect_err("a byte was changed")
    );
    Ok(())
}
