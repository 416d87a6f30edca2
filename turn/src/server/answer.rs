use super::request::Proof;
use stun::{BuildError, Builder, Class, ErrorCode, ErrorReason, Message, Method, TransactionId, Value};

/// Room for the longest answer: an Allocate success for two families, or 420, with HMAC-SHA256 and FINGERPRINT.
pub(super) const MAX_ANSWER: usize = 320;

/// What an answer is to.
#[derive(Debug, Clone, Copy)]
pub(super) struct To {
    pub(super) method: Method,
    pub(super) transaction_id: TransactionId,
}

impl From<&Message<'_>> for To {
    fn from(message: &Message<'_>) -> Self {
        Self {
            method: message.method(),
            transaction_id: message.transaction_id(),
        }
    }
}

/// ERROR-CODE with the registered phrase.
pub(super) fn error(code: ErrorCode) -> Value<'static> {
    Value::ErrorCode(ErrorReason::registered(code))
}

/// Writes an answer: protected when its receiver has proven to have the key, with FINGERPRINT when the request had one.
pub(super) fn write<'o, 'v>(
    out: &'o mut [u8],
    class: Class,
    to: impl Into<To>,
    values: impl IntoIterator<Item = &'v Value<'v>>,
    proof: Option<&Proof>,
    fingerprint: bool,
) -> Result<&'o [u8], BuildError> {
    let to = to.into();
    let mut builder = Builder::new(out, class, to.method, to.transaction_id)?;
    for value in values {
        builder.push(value)?;
    }
    if let Some(proof) = proof {
        builder.integrity_like(proof.like, &proof.key)?;
    }
    if fingerprint {
        builder.fingerprint()?;
    }
    Ok(builder.finish())
}
