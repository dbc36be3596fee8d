//! The fields by which a webhook's owner says what its deliveries shall be like.

use serde_json::Value;
use wharf_domain::{
    CourtesyPatch, InvalidField, Ordering, OwnHeaders, Recovery,
    courtesy::{self, ClientErrors},
};

use super::fields::{Fields, Refused, integer, unsigned};

/// Reads all of them; the headers only if they are given.
pub(super) fn read(body: &mut Fields) -> Result<(CourtesyPatch, Option<OwnHeaders>), Refused> {
    let max_in_flight = body.optional("max_in_flight", max_in_flight);
    let max_per_second = body.optional("max_per_second", max_per_second);
    let timeout_ms = body.optional("timeout_ms", timeout_ms);
    let ordering = body.optional("ordering", ordering);
    let retry_client_errors = body.optional("retry_client_errors", retry_client_errors);
    let recovery = body.optional("recovery", recovery);
    let headers = body.optional("headers", headers);
    let patch = CourtesyPatch {
        max_in_flight: max_in_flight?,
        max_per_second: max_per_second?,
        timeout_ms: timeout_ms?,
        ordering: ordering?,
        retry_client_errors: retry_client_errors?,
        recovery: recovery?,
    };
    Ok((patch, headers?))
}

/// Null goes back to the configuration's; whether that allows so many is the gateway's to say.
fn max_in_flight(name: &'static str, value: Value) -> Result<Option<u32>, InvalidField> {
    if value.is_null() {
        return Ok(None);
    }
    let number = integer(&value).and_then(|number| u32::try_from(number).ok());
    match number.filter(|number| *number >= 1) {
        None => Err(InvalidField::new(
            name,
            "must be null or a whole number, 1 at the least",
        )),
        some => Ok(some),
    }
}

/// Null takes the pace away.
fn max_per_second(name: &'static str, value: Value) -> Result<Option<u32>, InvalidField> {
    if value.is_null() {
        return Ok(None);
    }
    let refusal = || InvalidField::new(name, "must be null or a whole number from 1 to 1000");
    courtesy::check_max_per_second(integer(&value).ok_or_else(refusal)?).map(Some)
}

fn timeout_ms(name: &'static str, value: Value) -> Result<u32, InvalidField> {
    let refusal = || InvalidField::new(name, "must be a whole number from 1000 to 30000");
    courtesy::check_timeout_ms(integer(&value).ok_or_else(refusal)?)
}

fn ordering(name: &'static str, value: Value) -> Result<Ordering, InvalidField> {
    let word = value.as_str().and_then(Ordering::from_word);
    word.ok_or_else(|| InvalidField::new(name, "must be \"chat\" or \"none\""))
}

fn recovery(name: &'static str, value: Value) -> Result<Recovery, InvalidField> {
    let word = value.as_str().and_then(Recovery::from_word);
    word.ok_or_else(|| InvalidField::new(name, "must be \"manual\" or \"auto\""))
}

fn retry_client_errors(name: &'static str, value: Value) -> Result<ClientErrors, InvalidField> {
    let codes = value
        .as_array()
        .map(|codes| codes.iter().map(|code| unsigned(code).unwrap_or_default()));
    let set = codes.and_then(ClientErrors::of);
    set.ok_or_else(|| InvalidField::new(name, "must be an array of statuses from 400 to 499, without 410"))
}

/// All of them; an empty object or null takes them away.
fn headers(name: &'static str, value: Value) -> Result<OwnHeaders, InvalidField> {
    let refusal = || {
        InvalidField::new(
            name,
            "must be an object of strings, {\"authorization\": \"Bearer …\"} say",
        )
    };
    let object = match value {
        Value::Null => return Ok(OwnHeaders::default()),
        Value::Object(object) => object,
        _ => return Err(refusal()),
    };
    let mut given = Vec::with_capacity(object.len());
    for (name, value) in object {
        match value {
            Value::String(value) => given.push((name, value)),
            _ => return Err(refusal()),
        }
    }
    OwnHeaders::check(given)
}
