//! The `Idempotency-Key` of requests that act on WhatsApp.

use sha2::{Digest, Sha256};
use wharf_actors::IdempotencyKey;

use super::{
    call::{Call, Upload},
    problem::{FieldError, Problem},
};

/// The header under which a client marks a repetition of a request as such.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The key that a request names.
pub(super) fn given_key(call: &Call) -> Result<Option<&str>, Problem> {
    let mut given = call.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = given.next() else { return Ok(None) };
    match (first.to_str(), given.next()) {
        (Ok(key), None) if (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) => Ok(Some(key)),
        _ => {
            let message = "must be given once, as 1 to 255 visible ASCII characters";
            Err(Problem::invalid(vec![FieldError::new("Idempotency-Key", message)]))
        }
    }
}

/// The key of a request that may be repeated, with the hash of the body as it came: the same meaning written in other
/// bytes is another body. So is the same body for something else, which `what` names; a message names nothing. Of a
/// message in parts the JSON counts and what the file holds, not how the parts were put together.
pub(super) fn idempotency_key(call: &Call, what: &str) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(key) = given_key(call)? else { return Ok(None) };
    let hash = Sha256::new()
        .chain_update(what)
        .chain_update(&call.second)
        .chain_update(&call.body);
    let hash = match &call.upload {
        None => hash,
        Some(Upload {
            file,
            mime_type,
            file_name,
        }) => hash
            .chain_update(file.sha256)
            .chain_update(mime_type.as_deref().unwrap_or_default())
            .chain_update([0])
            .chain_update(file_name.as_deref().unwrap_or_default()),
    };
    Ok(Some(IdempotencyKey {
        key: key.to_owned(),
        body_hash: hash.finalize().into(),
    }))
}
