//! Messages that go out: sent, seen, listed (docs/SENDING.md).

mod file;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use warp::http::StatusCode;
use wharf_actors::{NewContent, NewMessage};
use wharf_domain::{
    EventId, InvalidField, OutgoingMessage, PhoneNumber, Recipient, SendStatus,
    outgoing::{
        self, CONTACTS_MAX, ContactCard, Content, FileType, ForwardSource, LinkPreview, MENTIONS_MAX, Poll, Quote,
        Target, check_emoji, check_latitude, check_line, check_longitude, check_message_id, check_text,
    },
};
use wharf_store::OutgoingFilter;

use super::{
    body::{BODY_MAX_BYTES, too_large},
    call::{Answer, Call, json},
    fields::{self, Fields, Refused},
    idempotency::idempotency_key,
    problem::Problem,
    query::Query,
};

/// Messages on a page when the client does not say.
const DEFAULT_LIMIT: u32 = 50;
/// What may be sent.
const TYPES: &str = "must be one of text, image, video, audio, voice, document, sticker, location, contact, reaction, \
                     poll, edit, revoke, forward";

/// `POST /api/whatsapp/connections/:phone_number/messages`
pub(super) async fn send(mut call: Call) -> Answer {
    let phone = call.phone()?;
    let key = idempotency_key(&call, "")?;
    // A body may be large by its file, which is one long string: of values there are no more than in any other.
    if call.large.is_some() && outside_strings(&call.body) > BODY_MAX_BYTES {
        return Err(too_large(BODY_MAX_BYTES));
    }
    let draft = read(&call)?;
    let brings_file = matches!(&draft.content, Draft::File(file) if file.is_in_base64());
    if call.large.is_some() && !brings_file {
        return Err(too_large(BODY_MAX_BYTES));
    }
    // A large body is in the draft now.
    call.body = Bytes::new();
    let content = match draft.content {
        Draft::Whole(content) => content,
        Draft::File(file) => NewContent::Media(Box::new(file.with_file(&mut call).await?)),
    };
    call.large = None;
    let message = NewMessage {
        to: draft.to,
        content,
        reply_to: draft.reply_to,
        queue: draft.queue,
        wait: draft.wait,
    };
    let sent = call.desk.send(call.client, &phone, message, key).await?;
    let status = match sent.is_queued() {
        true => StatusCode::ACCEPTED,
        false => StatusCode::CREATED,
    };
    json(status, &sent)
}

/// Bytes of JSON that are in none of its strings; each value has at least one.
fn outside_strings(json: &[u8]) -> usize {
    let (mut inside, mut escaped, mut outside) = (false, false, 0);
    for &byte in json {
        if !inside {
            outside += 1;
            inside = byte == b'"';
        } else if escaped {
            escaped = false;
        } else if byte == b'"' {
            inside = false;
        } else {
            escaped = byte == b'\\';
        }
    }
    outside
}

/// `GET /api/whatsapp/connections/:phone_number/messages/:message_id`
pub(super) async fn one(call: Call) -> Answer {
    let phone = call.phone()?;
    let found = call.desk.outgoing_message(call.client, &phone, &call.second).await?;
    json(StatusCode::OK, &found)
}

/// `GET /api/whatsapp/connections/:phone_number/messages`
pub(super) async fn all(call: Call) -> Answer {
    #[derive(Serialize)]
    struct Page {
        data: Vec<OutgoingMessage>,
        next_cursor: Option<String>,
    }
    let phone = call.phone()?;
    let mut query = Query::parse(&call.query);
    let filter = OutgoingFilter {
        status: query.optional("status", |word| {
            SendStatus::from_word(word).ok_or_else(|| {
                let words = SendStatus::ALL.map(SendStatus::as_str);
                format!("must be one of {}", words.join(", "))
            })
        }),
        limit: query
            .optional("limit", |text| match text.parse() {
                Ok(limit @ 1..=200) => Ok(limit),
                _ => Err("must be a whole number from 1 to 200".into()),
            })
            .unwrap_or(DEFAULT_LIMIT),
        cursor: query.optional("cursor", |text| {
            let checked = check_message_id("cursor", text).map_err(|refusal| refusal.message);
            checked.map(|()| text.to_owned())
        }),
    };
    query.finish()?;
    let page = call.desk.outgoing_messages(call.client, &phone, filter).await?;
    json(
        StatusCode::OK,
        &Page {
            data: page.messages,
            next_cursor: page.next_cursor,
        },
    )
}

/// A message as the client wrote it.
struct Written {
    to: Recipient,
    content: Draft,
    reply_to: Option<Quote>,
    queue: bool,
    wait: bool,
}

/// What it is.
enum Draft {
    Whole(NewContent),
    /// Its file is to be looked after first.
    File(Box<file::Draft>),
}

fn read(call: &Call) -> Result<Written, Problem> {
    let mut body = Fields::parse(&call.body)?;
    let to = body.required("to", |name, value| {
        Recipient::parse(name, &fields::string(name, value)?)
    });
    let queue = body.optional("queue", fields::boolean);
    let kind = body.required("type", fields::string);
    let content = match &kind {
        Ok(kind) => draft(&mut body, kind, call.upload.is_some()),
        Err(_) => Err(Refused),
    };
    let in_group = matches!(&to, Ok(Recipient::Group(_)));
    let reply_to = match kind.as_deref() {
        Ok("text" | "location" | "contact" | "poll") => quote(&mut body, in_group),
        Ok(kind) if FileType::from_word(kind).is_some() => quote(&mut body, in_group),
        _ => Ok(None),
    };
    if let Ok(Draft::Whole(content)) = &content {
        needs_writer(&mut body, in_group, content);
    }
    let mut query = Query::parse(&call.query);
    let wait = query.optional("wait", |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".into()),
    });
    body.finish()?;
    query.finish()?;
    Ok(Written {
        to: to?,
        content: content?,
        reply_to: reply_to?,
        queue: queue?.unwrap_or(false),
        wait: wait.unwrap_or(true),
    })
}

fn draft(body: &mut Fields, kind: &str, is_part: bool) -> Result<Draft, Refused> {
    match FileType::from_word(kind) {
        Some(kind) => file::read(body, kind, is_part).map(|file| Draft::File(Box::new(file))),
        None if is_part => {
            let text = "must be one that has a file: image, video, audio, voice, document, sticker";
            body.refuse(InvalidField::new("type", text))
        }
        None => content(body, kind).map(Draft::Whole),
    }
}

fn content(body: &mut Fields, kind: &str) -> Result<NewContent, Refused> {
    Ok(NewContent::Own(match kind {
        "text" => return words(body),
        "location" => place(body)?,
        "contact" => Content::Contact {
            contacts: body.objects("contacts", CONTACTS_MAX, card)?,
        },
        "reaction" => {
            let (target, emoji) = (target(body), body.required("emoji", emoji));
            Content::Reaction {
                target: target?,
                emoji: emoji?,
            }
        }
        "poll" => Content::Poll { poll: poll(body)? },
        "edit" => {
            let (target, text) = (target(body), body.required("text", text));
            Content::Edit {
                target: target?,
                text: text?,
            }
        }
        "revoke" => Content::Revoke { target: target(body)? },
        "forward" => return forward(body).map(NewContent::Forward),
        _ => return body.refuse(InvalidField::new("type", TYPES)),
    }))
}

fn words(body: &mut Fields) -> Result<NewContent, Refused> {
    let text = body.required("text", text);
    let mentions = body.optional("mentions", mentions);
    let look = body.yes_or_no("link_preview", "auto") == Some(true);
    let link_preview = body.object("link_preview", |fields| {
        let url = fields.required("url", line);
        let title = fields.required("title", line);
        let description = fields.optional("description", line);
        Ok(LinkPreview {
            url: url?,
            title: title?,
            description: description?,
            thumbnail: None,
        })
    });
    if let (Ok(text), Ok(Some(preview))) = (&text, &link_preview)
        && !text.contains(&preview.url)
    {
        return body.refuse(InvalidField::new("link_preview", "must have a url that stands in text"));
    }
    let content = Content::Text {
        text: text?,
        mentions: mentions?.unwrap_or_default(),
        link_preview: link_preview?,
    };
    Ok(match look {
        true => NewContent::Previewed(content),
        false => NewContent::Own(content),
    })
}

fn place(body: &mut Fields) -> Result<Content, Refused> {
    let latitude = body.required("latitude", |name, value| degrees(name, &value, check_latitude));
    let longitude = body.required("longitude", |name, value| degrees(name, &value, check_longitude));
    let (name, address) = (body.optional("name", line), body.optional("address", line));
    Ok(Content::Location {
        latitude: latitude?,
        longitude: longitude?,
        name: name?,
        address: address?,
    })
}

fn card(fields: &mut Fields) -> Result<ContactCard, Refused> {
    let name = fields.required("name", line);
    let phone_number = fields.required("phone_number", fields::phone);
    let organization = fields.optional("organization", line);
    Ok(ContactCard {
        name: name?,
        phone_number: phone_number?,
        organization: organization?,
    })
}

fn poll(body: &mut Fields) -> Result<Poll, Refused> {
    let poll = body.object("poll", |fields| {
        let question = fields.required("question", line);
        let options = fields.required("options", |name, value| {
            let options = texts(name, value)?;
            Poll::check_options(name, &options).map(|()| options)
        });
        let count = fields.optional("selectable_count", |name, value| {
            let count = value.as_u64();
            count.ok_or_else(|| InvalidField::new(name, "must be a whole number"))
        });
        let (question, options) = (question?, options?);
        // One answer, as WhatsApp's own apps ask when several are not allowed.
        match outgoing::check_selectable("selectable_count", count?.unwrap_or(1), options.len()) {
            Ok(selectable_count) => Ok(Poll {
                question,
                options,
                selectable_count,
            }),
            Err(refusal) => fields.refuse(refusal),
        }
    });
    match poll? {
        Some(poll) => Ok(poll),
        None => body.refuse(InvalidField::new("poll", "is missing")),
    }
}

fn target(body: &mut Fields) -> Result<Target, Refused> {
    let target = body.object("target", |fields| {
        let message_id = fields.required("message_id", message_id);
        let from = fields.optional("from", person);
        Ok(Target {
            message_id: message_id?,
            from: from?,
        })
    });
    match target? {
        Some(target) => Ok(target),
        None => body.refuse(InvalidField::new("target", "is missing")),
    }
}

fn quote(body: &mut Fields, in_group: bool) -> Result<Option<Quote>, Refused> {
    body.object("reply_to", |fields| {
        let message_id = fields.required("message_id", message_id);
        let from = match in_group {
            true => fields.required("from", person).map(Some),
            false => fields.optional("from", person),
        };
        let text = fields.optional("text", text);
        Ok(Quote {
            message_id: message_id?,
            from: from?,
            text: text?,
        })
    })
}

/// In a group only the client knows who wrote the message that a reaction is about.
fn needs_writer(body: &mut Fields, in_group: bool, content: &NewContent) {
    if let NewContent::Own(Content::Reaction { target, .. }) = content
        && in_group
        && target.from.is_none()
    {
        let missing = InvalidField::new("target.from", "is missing: in a group it says who wrote the message");
        let _refused: Result<(), Refused> = body.refuse(missing);
    }
}

fn forward(body: &mut Fields) -> Result<ForwardSource, Refused> {
    let event = body.optional("event_id", |name, value| {
        let id = fields::string(name, value)?.parse::<EventId>();
        id.map_err(|_| InvalidField::new(name, "must be the id of an event"))
    });
    let sent = body.optional("message_id", message_id);
    match (event?, sent?) {
        (Some(event), None) => Ok(ForwardSource::Event(event)),
        (None, Some(sent)) => Ok(ForwardSource::Sent(sent)),
        _ => body.refuse(InvalidField::new(
            "event_id",
            "must be given, or else message_id of a message that this number sent",
        )),
    }
}

fn text(name: &'static str, value: Value) -> Result<String, InvalidField> {
    let text = fields::string(name, value)?;
    check_text(name, &text).map(|()| text)
}

fn line(name: &'static str, value: Value) -> Result<String, InvalidField> {
    let text = fields::string(name, value)?;
    check_line(name, &text).map(|()| text)
}

fn emoji(name: &'static str, value: Value) -> Result<String, InvalidField> {
    let emoji = fields::string(name, value)?;
    check_emoji(name, &emoji).map(|()| emoji)
}

/// WhatsApp's id of a message.
pub(super) fn message_id(name: &'static str, value: Value) -> Result<String, InvalidField> {
    let id = fields::string(name, value)?;
    check_message_id(name, &id).map(|()| id)
}

/// Somebody.
pub(super) fn person(name: &'static str, value: Value) -> Result<Recipient, InvalidField> {
    Recipient::parse_person(name, &fields::string(name, value)?)
}

fn degrees(
    name: &'static str,
    value: &Value,
    check: fn(&'static str, f64) -> Result<(), InvalidField>,
) -> Result<f64, InvalidField> {
    let degrees = value.as_f64().unwrap_or(f64::NAN);
    check(name, degrees).map(|()| degrees)
}

/// A list of texts.
pub(super) fn texts(name: &'static str, value: Value) -> Result<Vec<String>, InvalidField> {
    let wanted = || InvalidField::new(name, "must be a list of strings");
    let Value::Array(list) = value else {
        return Err(wanted());
    };
    let texts = list.into_iter().map(|value| match value {
        Value::String(text) => Ok(text),
        _ => Err(wanted()),
    });
    texts.collect()
}

/// A list of numbers, each once.
pub(super) fn phones(name: &'static str, value: Value) -> Result<Vec<PhoneNumber>, InvalidField> {
    let mut phones: Vec<PhoneNumber> = Vec::new();
    for text in texts(name, value)? {
        let phone = PhoneNumber::parse(name, &text)?;
        if !phones.contains(&phone) {
            phones.push(phone);
        }
    }
    Ok(phones)
}

fn mentions(name: &'static str, value: Value) -> Result<Vec<PhoneNumber>, InvalidField> {
    let phones = phones(name, value)?;
    match phones.len() {
        0..=MENTIONS_MAX => Ok(phones),
        _ => Err(InvalidField::new(
            name,
            format!("must be at most {MENTIONS_MAX} numbers"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::outside_strings;

    #[test]
    fn what_lies_in_strings_costs_no_values() {
        assert_eq!(
            outside_strings(br#"{"a":"x\"y\\"}"#),
            5,
            "braces, colon, and the quotes that open"
        );
        assert_eq!(outside_strings(br#""\\",1"#), 3);
        assert_eq!(outside_strings(b"[[0],[0]]"), 9);
        assert_eq!(outside_strings(b"\"never ends"), 1);
    }
}
