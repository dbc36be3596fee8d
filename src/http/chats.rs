//! How chats are shown in the account's apps (docs/SENDING.md).

use wharf_domain::{
    InvalidField, Recipient,
    action::{Action, Arrangement},
};

use super::{
    actions::{act, answer},
    call::{Answer, Call},
    fields::{self, Fields},
};

/// `POST /api/whatsapp/connections/:phone_number/chats/:chat/archive`
pub(super) async fn archive(call: Call) -> Answer {
    let mut body = Fields::parse(&call.body)?;
    let archived = body.required("archived", fields::boolean);
    body.finish()?;
    arrange(&call, Arrangement::Archived(archived?), "archive").await
}

/// `POST /api/whatsapp/connections/:phone_number/chats/:chat/pin`
pub(super) async fn pin(call: Call) -> Answer {
    let mut body = Fields::parse(&call.body)?;
    let pinned = body.required("pinned", fields::boolean);
    body.finish()?;
    arrange(&call, Arrangement::Pinned(pinned?), "pin").await
}

/// `POST /api/whatsapp/connections/:phone_number/chats/:chat/mute`
pub(super) async fn mute(call: Call) -> Answer {
    let mut body = Fields::parse(&call.body)?;
    let muted = body.required("muted", fields::boolean);
    let until = body.optional("until", fields::time);
    if let (Ok(false), Ok(Some(_))) = (&muted, &until) {
        let pointless = InvalidField::new("until", "is to be left out: the chat is muted no more");
        body.note(pointless);
    }
    body.finish()?;
    let how = match until? {
        Some(until) => Arrangement::MutedUntil(until),
        None => Arrangement::Muted(muted?),
    };
    arrange(&call, how, "mute").await
}

async fn arrange(call: &Call, how: Arrangement, what: &str) -> Answer {
    let chat = Recipient::parse_chat("chat", &call.second)?;
    answer(act(call, Action::ArrangeChat { chat, how }, what).await?)
}
