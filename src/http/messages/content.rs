//! What a message without a file says, as a client writes it.

use wharf_actors::NewContent;
use wharf_domain::{
    EventId, InvalidField, PhoneNumber, Recipient,
    outgoing::{
        self, CONTACTS_MAX, ContactCard, Content, ForwardSource, LinkPreview, Mentions, Poll, Quote, Target,
        check_emoji, check_latitude, check_line, check_longitude, check_message_id, check_text,
    },
};

use super::super::{
    fields::{self, Fields, Refused},
    values::{checked, degrees, mentions, person, texts},
};

/// What may be sent.
pub(super) const TYPES: &str = "must be one of text, image, video, audio, voice, document, sticker, location, contact, reaction, \
                     poll, edit, revoke, forward";

/// What `link_preview` may be.
const PREVIEWS: &str = "must be true, false, \"auto\" or an object {url, title, description?}";

pub(super) fn content(body: &mut Fields, kind: &str) -> Result<NewContent, Refused> {
    Ok(NewContent::Own(match kind {
        "text" => return words(body),
        "location" => place(body)?,
        "contact" => Content::Contact {
            contacts: body.objects("contacts", CONTACTS_MAX, card)?,
        },
        "reaction" => {
            let (target, emoji) = (target(body), body.required("emoji", checked(check_emoji)));
            Content::Reaction {
                target: target?,
                emoji: emoji?,
            }
        }
        "poll" => Content::Poll { poll: poll(body)? },
        "edit" => {
            let (target, text) = (target(body), body.required("text", checked(check_text)));
            let mentions = body.optional("mentions", mentions);
            Content::Edit {
                target: target?,
                text: text?,
                mentions: mentions?.unwrap_or_default(),
                caption_of: None,
            }
        }
        "revoke" => Content::Revoke { target: target(body)? },
        "forward" => return forward(body).map(NewContent::Forward),
        _ => {
            body.leave_rest();
            return body.refuse(InvalidField::new("type", TYPES));
        }
    }))
}

fn words(body: &mut Fields) -> Result<NewContent, Refused> {
    let text = body.required("text", checked(check_text));
    let mentions = body.optional("mentions", mentions);
    let look = body.yes_or_no("link_preview", "auto") == Some(true);
    let link_preview = body.object_or("link_preview", PREVIEWS, |fields| {
        let url = fields.required("url", checked(check_line));
        let title = fields.required("title", checked(check_line));
        let description = fields.optional("description", checked(check_line));
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
    let (name, address) = (
        body.optional("name", checked(check_line)),
        body.optional("address", checked(check_line)),
    );
    Ok(Content::Location {
        latitude: latitude?,
        longitude: longitude?,
        name: name?,
        address: address?,
    })
}

fn card(fields: &mut Fields) -> Result<ContactCard, Refused> {
    let name = fields.required("name", checked(check_line));
    let phone_number = fields.required("phone_number", fields::phone);
    let organization = fields.optional("organization", checked(check_line));
    Ok(ContactCard {
        name: name?,
        phone_number: phone_number?,
        organization: organization?,
    })
}

fn poll(body: &mut Fields) -> Result<Poll, Refused> {
    body.required_object("poll", "is missing", |fields| {
        let question = fields.required("question", checked(check_line));
        let options = fields.required("options", |name, value| {
            let options = texts(name, value)?;
            Poll::check_options(name, &options).map(|()| options)
        });
        let count = fields.optional("selectable_count", |name, value| {
            let count = fields::unsigned(&value);
            count.ok_or_else(|| {
                InvalidField::new(
                    name,
                    "must be a whole number: how many options one may choose, 0 for any number",
                )
            })
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
    })
}

fn target(body: &mut Fields) -> Result<Target, Refused> {
    body.required_object("target", "is missing", |fields| {
        let message_id = fields.required("message_id", checked(check_message_id));
        let from = fields.optional("from", person);
        Ok(Target {
            message_id: message_id?,
            from: from?,
        })
    })
}

pub(super) fn quote(body: &mut Fields, in_group: bool) -> Result<Option<Quote>, Refused> {
    body.object("reply_to", |fields| {
        let message_id = fields.required("message_id", checked(check_message_id));
        let from = match in_group {
            true => fields.required("from", person).map(Some),
            false => fields.optional("from", person),
        };
        let text = fields.optional("text", checked(check_text));
        Ok(Quote {
            message_id: message_id?,
            from: from?,
            text: text?,
        })
    })
}

/// Refuses to mention everybody in a chat of two.
pub(super) fn check_mentions(body: &mut Fields, to: &Recipient, mentions: &Mentions) {
    if *mentions == Mentions::All && !to.is_group() {
        let wrong = "can be all in a group only; else it is a list of numbers or hidden ids (@lid)";
        let _refused: Result<(), Refused> = body.refuse(InvalidField::new("mentions", wrong));
    }
}

/// Whose the message is that another one is about: in a group only the client knows who wrote one that gets a reaction, and
/// what WhatsApp lets nobody do would be taken by it and change nothing.
pub(super) fn check_writer(body: &mut Fields, own: &PhoneNumber, in_group: bool, content: &NewContent) {
    let NewContent::Own(content) = content else { return };
    let others = |from: &Option<Recipient>| match from {
        None => false,
        Some(Recipient::Number(number)) => !own.is_account(number.as_str()),
        Some(_) => true,
    };
    let wrong = match content {
        Content::Reaction { target, .. } if in_group && target.from.is_none() => {
            "is missing: in a group it says who wrote the message"
        }
        Content::Edit { target, .. } if others(&target.from) => {
            "must be this number, or be left out: nobody can edit the messages of others"
        }
        Content::Revoke { target } if !in_group && others(&target.from) => {
            "must be this number, or be left out: the messages of others can be deleted in groups only"
        }
        _ => return,
    };
    body.note(InvalidField::new("target.from", wrong));
}

fn forward(body: &mut Fields) -> Result<ForwardSource, Refused> {
    let event = body.optional("event_id", |name, value| {
        let id = fields::string(name, value)?.parse::<EventId>();
        id.map_err(|_| InvalidField::new(name, "must be the id of an event"))
    });
    let sent = body.optional("message_id", checked(check_message_id));
    match (event?, sent?) {
        (Some(event), None) => Ok(ForwardSource::Event(event)),
        (None, Some(sent)) => Ok(ForwardSource::Sent(sent)),
        (given, _) => {
            let wrong = match given {
                Some(_) => "is to be left out where message_id is given: one of the two says what is forwarded",
                None => "must be given, or else message_id of a message that this number sent",
            };
            body.refuse(InvalidField::new("event_id", wrong))
        }
    }
}
