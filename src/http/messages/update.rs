//! What only a status update has, as a client writes it.

use serde_json::Value;
use wharf_domain::{
    InvalidField, Recipient,
    outgoing::{Color, StatusUpdate, check_font, check_recipients},
};

use super::super::{
    fields::{self, Fields, Refused},
    values::persons,
};

/// What messages have and WhatsApp's apps show of no status update.
const NOT_SHOWN: [&str; 5] = ["mentions", "reply_to", "typing_seconds", "view_once", "note"];

/// Who gets a status update of that `kind`, and how it looks; nothing of any other message. One that is taken back may do without, if
/// it was posted here. `is_status`: whether it is one, if that is known.
pub(super) fn read(body: &mut Fields, kind: &str, is_status: Option<bool>) -> Result<Option<StatusUpdate>, Refused> {
    match is_status {
        Some(true) => NOT_SHOWN
            .into_iter()
            .for_each(|name| leave_out(body, name, "a status update has none")),
        Some(false) => {
            let names: &[&str] = match kind {
                "text" => &["recipients", "background_color", "font"],
                "voice" => &["recipients", "background_color"],
                _ => &["recipients"],
            };
            names
                .iter()
                .for_each(|name| leave_out(body, name, "it is of a status update, whose to is status@broadcast"));
            return Ok(None);
        }
        None => {}
    }
    let recipients = match (kind, is_status) {
        ("revoke", _) | (_, None) => body.optional("recipients", recipients),
        _ => body.required("recipients", recipients).map(Some),
    };
    let background_color = match kind {
        "text" | "voice" => body.optional("background_color", |name, value| {
            Color::parse(name, &fields::string(name, value)?)
        }),
        _ => Ok(None),
    };
    let font = match kind {
        "text" => body.optional("font", |name, value| check_font(name, fields::unsigned(&value))),
        _ => Ok(None),
    };
    let (recipients, background_color, font) = (recipients?, background_color?, font?);
    Ok(recipients.map(|recipients| StatusUpdate {
        recipients,
        background_color,
        font,
    }))
}

fn leave_out(body: &mut Fields, name: &'static str, why: &str) {
    let _refused: Result<Option<()>, Refused> = body.optional(name, |name, _| {
        Err(InvalidField::new(name, format!("is to be left out: {why}")))
    });
}

fn recipients(name: &'static str, value: Value) -> Result<Vec<Recipient>, InvalidField> {
    let people = persons(name, value)?;
    check_recipients(name, people.len()).map(|()| people)
}
