//! Messages that there is no `type` for: said in words, so that nobody takes them for nothing.

use wharf_domain::{
    Timestamp,
    message::{Body, EventDetails, GroupInvite},
};
use whatsapp_rust::waproto::whatsapp::{
    ContextInfo, KeepType, Message,
    message::{EventMessage, GroupInviteMessage, KeepInChatMessage, PinInChatMessage, pin_in_chat_message},
};

use super::{
    content::place_of,
    layers::layers,
    part::{Content, cut, filled, whole},
};

/// Names a message of a kind that is known to WhatsApp and has no `type` here.
pub(super) fn read(message: &Message) -> Option<Content<'_>> {
    invitation(message)
        .or_else(|| act(message))
        .or_else(|| with_words(message))
        .or_else(|| {
            let (name, words) = named(message)?;
            Some(Content::unsupported(Some(name), words))
        })
}

/// `words` are for one that says nothing.
fn told<'a>(
    name: &'static str,
    said: Option<&'a str>,
    words: &'static str,
    context: Option<&'a ContextInfo>,
) -> Content<'a> {
    Content {
        context,
        ..Content::unsupported(Some(name), filled(said).unwrap_or(words))
    }
}

fn invitation(message: &Message) -> Option<Content<'_>> {
    if let Some(invite) = message.group_invite_message.as_option() {
        return Some(of_invite(invite));
    }
    message.event_message.as_option().map(of_event)
}

fn of_invite(invite: &GroupInviteMessage) -> Content<'_> {
    let said = filled(invite.caption.as_deref()).or(invite.group_name.as_deref());
    let body = GroupInvite {
        id: whole(invite.group_jid.as_deref()),
        code: whole(invite.invite_code.as_deref()),
        expires_at: moment(invite.invite_expiration),
        name: cut(invite.group_name.as_deref()),
    };
    let context = invite.context_info.as_option();
    told("groupInviteMessage", said, "An invitation to a group", None).with(Body::GroupInvite(body), context)
}

fn of_event(event: &EventMessage) -> Content<'_> {
    let body = EventDetails {
        description: filled(event.description.as_deref()).map(str::to_owned),
        starts_at: moment(event.start_time),
        ends_at: moment(event.end_time),
        location: event.location.as_option().map(place_of),
        link: whole(event.join_link.as_deref()),
        canceled: event.is_canceled == Some(true),
    };
    let context = event.context_info.as_option();
    told("eventMessage", event.name.as_deref(), "An event", None).with(Body::EventDetails(body), context)
}

/// A moment in Unix seconds; 0 is none.
fn moment(seconds: Option<i64>) -> Option<Timestamp> {
    let seconds = seconds.filter(|&seconds| seconds > 0)?;
    Some(Timestamp::from_seconds(seconds))
}

/// What is done to a message.
fn act(message: &Message) -> Option<Content<'_>> {
    if let Some(pin) = message.pin_in_chat_message.as_option() {
        return Some(of_pin(pin));
    }
    if let Some(added) = message.poll_add_option_message.as_option() {
        let option = added.add_option.as_option();
        let said = option.and_then(|option| option.option_name.as_deref());
        return Some(Content {
            target: added.poll_creation_message_key.as_option(),
            ..told("pollAddOptionMessage", said, "An option was added to a poll", None)
        });
    }
    message.keep_in_chat_message.as_option().map(of_keep)
}

fn of_pin(pin: &PinInChatMessage) -> Content<'_> {
    use pin_in_chat_message::Type;
    let (words, pinned) = match pin.r#type {
        Some(Type::PIN_FOR_ALL) => ("A message was pinned", Some(true)),
        Some(Type::UNPIN_FOR_ALL) => ("A message was unpinned", Some(false)),
        _ => ("A message was pinned or unpinned", None),
    };
    Content {
        body: pinned.map(Body::Pinned),
        target: pin.key.as_option(),
        ..told("pinInChatMessage", None, words, None)
    }
}

fn of_keep(keep: &KeepInChatMessage) -> Content<'_> {
    let (words, kept) = match keep.keep_type {
        Some(KeepType::KEEP_FOR_ALL) => ("A disappearing message was kept", Some(true)),
        Some(KeepType::UNDO_KEEP_FOR_ALL) => ("A disappearing message was let go", Some(false)),
        _ => ("A disappearing message was kept or let go", None),
    };
    Content {
        body: kept.map(Body::Kept),
        target: keep.key.as_option(),
        ..told("keepInChatMessage", None, words, None)
    }
}

/// What says more than its name.
fn with_words(message: &Message) -> Option<Content<'_>> {
    let results = [
        &message.poll_result_snapshot_message,
        &message.poll_result_snapshot_message_v3,
    ];
    if let Some(album) = message.album_message.as_option() {
        let context = album.context_info.as_option();
        Some(told("albumMessage", None, "An album; what is in it follows", context))
    } else if let Some(pack) = message.sticker_pack_message.as_option() {
        let (said, context) = (pack.name.as_deref(), pack.context_info.as_option());
        Some(told("stickerPackMessage", said, "A pack of stickers", context))
    } else if let Some(result) = results.into_iter().find_map(|result| result.as_option()) {
        let (said, context) = (result.name.as_deref(), result.context_info.as_option());
        Some(told("pollResultSnapshotMessage", said, "The result of a poll", context))
    } else if let Some(quoted) = message.status_quoted_message.as_option() {
        let words = "A status update was quoted";
        Some(told("statusQuotedMessage", quoted.text.as_deref(), words, None))
    } else if let Some(call) = message.bcall_message.as_option() {
        Some(told("bcallMessage", call.caption.as_deref(), "A call", None))
    } else {
        payment(message).or_else(|| answer(message))
    }
}

/// Money that is sent or asked for, with what is written to it.
fn payment(message: &Message) -> Option<Content<'_>> {
    let (name, note) = if let Some(sent) = message.send_payment_message.as_option() {
        ("sendPaymentMessage", &sent.note_message)
    } else {
        let asked = message.request_payment_message.as_option()?;
        ("requestPaymentMessage", &asked.note_message)
    };
    let note = note.as_option().and_then(|note| layers(note).last());
    let extended = note.and_then(|note| note.extended_text_message.as_option());
    let said = note.and_then(|note| filled(note.conversation.as_deref()));
    let said = said.or(extended.and_then(|extended| extended.text.as_deref()));
    let context = extended.and_then(|extended| extended.context_info.as_option());
    Some(told(name, said, PAYMENT, context))
}

/// What somebody answers to an event, which is encrypted, or writes to a question that was asked of many.
fn answer(message: &Message) -> Option<Content<'_>> {
    if let Some(answer) = message.enc_event_response_message.as_option() {
        Some(Content {
            target: answer.event_creation_message_key.as_option(),
            ..told("encEventResponseMessage", None, "An answer to an event", None)
        })
    } else if let Some(answer) = message.status_question_answer_message.as_option() {
        let words = "An answer to the question of a status update";
        Some(Content {
            target: answer.key.as_option(),
            ..told("statusQuestionAnswerMessage", answer.text.as_deref(), words, None)
        })
    } else {
        let answer = message.question_response_message.as_option()?;
        let words = "An answer to a question";
        Some(Content {
            target: answer.key.as_option(),
            ..told("questionResponseMessage", answer.text.as_deref(), words, None)
        })
    }
}

/// What has nothing to tell but its name: the first of these fields that is there, what WhatsApp calls it, and words for it.
macro_rules! first_named {
    ($message:ident: $($field:ident, $name:literal, $words:expr;)+) => {
        $(if $message.$field.is_set() {
            return Some(($name, $words));
        })+
    };
}

const PAYMENT: &str = "A message about a payment";

#[rustfmt::skip] // A table, a kind a line.
fn named(message: &Message) -> Option<(&'static str, &'static str)> {
    const CHANNEL: &str = "A message about a channel";
    first_named!(message:
        event_invite_message, "eventInviteMessage", "An invitation to an event";
        newsletter_admin_invite_message, "newsletterAdminInviteMessage", "An invitation to a channel";
        newsletter_follower_invite_message_v2, "newsletterFollowerInviteMessageV2", "An invitation to a channel";
        newsletter_admin_profile_message, "newsletterAdminProfileMessage", CHANNEL;
        newsletter_admin_profile_message_v2, "newsletterAdminProfileMessageV2", CHANNEL;
        newsletter_admin_profile_status_message, "newsletterAdminProfileStatusMessage", CHANNEL;
        scheduled_call_creation_message, "scheduledCallCreationMessage", "A call was planned";
        scheduled_call_edit_message, "scheduledCallEditMessage", "A planned call was changed";
        call_log_messsage, "callLogMessage", "A call";
        call, "call", "A call";
        request_phone_number_message, "requestPhoneNumberMessage", "The phone number was asked for";
        comment_message, "commentMessage", "A comment";
        decline_payment_request_message, "declinePaymentRequestMessage", PAYMENT;
        cancel_payment_request_message, "cancelPaymentRequestMessage", PAYMENT;
        payment_invite_message, "paymentInviteMessage", PAYMENT;
        invoice_message, "invoiceMessage", PAYMENT;
        payment_reminder_message, "paymentReminderMessage", PAYMENT;
        split_payment_message, "splitPaymentMessage", PAYMENT;
        status_mention_message, "statusMentionMessage", "A status update mentions this account";
        group_status_mention_message, "groupStatusMentionMessage", "A status update mentions the group";
        status_sticker_interaction_message, "statusStickerInteractionMessage", "A sticker of a status update was touched";
        status_add_yours, "statusAddYours", "A status update that takes up another";
        status_notification_message, "statusNotificationMessage", "Something happened to a status update";
        placeholder_message, "placeholderMessage", "A message that WhatsApp shows on the phone only";
        rich_response_message, "richResponseMessage", "An answer of an assistant";
        chat, "chat", "A chat";
        message_history_bundle, "messageHistoryBundle", "Earlier messages of the group";
        message_history_notice, "messageHistoryNotice", "Earlier messages of the group were given to a new member";
        conditional_reveal_message, "conditionalRevealMessage", "A message that is not shown yet";
    );
    None
}
