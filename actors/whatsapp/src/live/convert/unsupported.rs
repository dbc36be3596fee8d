//! Messages that there is no `type` for: said in words, so that nobody takes them for nothing.

use whatsapp_rust::waproto::whatsapp::{ContextInfo, Message};

use super::part::Content;

/// Names a message of a kind that is known to WhatsApp and has no `type` here.
pub(super) fn read(message: &Message) -> Option<Content<'_>> {
    business(message)
        .or_else(|| invitation(message))
        .or_else(|| act(message))
        .or_else(|| money(message))
        .or_else(|| of_status(message))
        .or_else(|| rare(message))
}

fn told<'a>(
    name: &'static str,
    said: Option<&'a str>,
    words: &'a str,
    context: Option<&'a ContextInfo>,
) -> Content<'a> {
    let said = said.filter(|said| !said.is_empty());
    let mut content = Content::unsupported(Some(name), said.unwrap_or(words));
    content.context = context;
    content
}

/// What businesses write: its words, without the buttons.
fn business(message: &Message) -> Option<Content<'_>> {
    if let Some(template) = message.template_message.as_option() {
        let hydrated = template.hydrated_template.as_option();
        let said = hydrated.and_then(|hydrated| hydrated.hydrated_content_text.as_deref());
        let context = template.context_info.as_option();
        Some(told("templateMessage", said, "A message with buttons", context))
    } else if let Some(buttons) = message.buttons_message.as_option() {
        let context = buttons.context_info.as_option();
        let said = buttons.content_text.as_deref();
        Some(told("buttonsMessage", said, "A message with buttons", context))
    } else if let Some(list) = message.list_message.as_option() {
        let said = list.description.as_deref().or(list.title.as_deref());
        Some(told(
            "listMessage",
            said,
            "A message with a list",
            list.context_info.as_option(),
        ))
    } else if let Some(interactive) = message.interactive_message.as_option() {
        let said = interactive.body.as_option().and_then(|body| body.text.as_deref());
        let context = interactive.context_info.as_option();
        Some(told("interactiveMessage", said, "A message with buttons", context))
    } else if let Some(product) = message.product_message.as_option() {
        let title = product.product.as_option().and_then(|product| product.title.as_deref());
        Some(told(
            "productMessage",
            title,
            "A product",
            product.context_info.as_option(),
        ))
    } else if message.highly_structured_message.is_set() {
        let words = "A message from a template of a business";
        Some(told("highlyStructuredMessage", None, words, None))
    } else {
        None
    }
}

fn invitation(message: &Message) -> Option<Content<'_>> {
    if let Some(invite) = message.group_invite_message.as_option() {
        let said = invite.caption.as_deref().filter(|caption| !caption.is_empty());
        let said = said.or(invite.group_name.as_deref());
        Some(told(
            "groupInviteMessage",
            said,
            "An invitation to a group",
            invite.context_info.as_option(),
        ))
    } else if let Some(event) = message.event_message.as_option() {
        Some(told(
            "eventMessage",
            event.name.as_deref(),
            "An event",
            event.context_info.as_option(),
        ))
    } else if message.event_invite_message.is_set() {
        Some(told("eventInviteMessage", None, "An invitation to an event", None))
    } else if message.enc_event_response_message.is_set() {
        Some(told("encEventResponseMessage", None, "An answer to an event", None))
    } else if message.newsletter_admin_invite_message.is_set() {
        Some(told(
            "newsletterAdminInviteMessage",
            None,
            "An invitation to a channel",
            None,
        ))
    } else if message.scheduled_call_creation_message.is_set() {
        Some(told("scheduledCallCreationMessage", None, "A call was planned", None))
    } else if message.scheduled_call_edit_message.is_set() {
        Some(told(
            "scheduledCallEditMessage",
            None,
            "A planned call was changed",
            None,
        ))
    } else {
        None
    }
}

/// What is done to a message or with a chat.
fn act(message: &Message) -> Option<Content<'_>> {
    if let Some(pin) = message.pin_in_chat_message.as_option() {
        let mut content = told("pinInChatMessage", None, "A message was pinned or unpinned", None);
        content.target = pin.key.as_option();
        Some(content)
    } else if let Some(keep) = message.keep_in_chat_message.as_option() {
        let mut content = told(
            "keepInChatMessage",
            None,
            "A disappearing message was kept or let go",
            None,
        );
        content.target = keep.key.as_option();
        Some(content)
    } else if let Some(album) = message.album_message.as_option() {
        let context = album.context_info.as_option();
        Some(told("albumMessage", None, "An album; what is in it follows", context))
    } else if message.request_phone_number_message.is_set() {
        Some(told(
            "requestPhoneNumberMessage",
            None,
            "The phone number was asked for",
            None,
        ))
    } else if message.call_log_messsage.is_set() {
        Some(told("callLogMessage", None, "A call", None))
    } else if let Some(comment) = message.comment_message.as_option() {
        let mut content = told("commentMessage", None, "A comment", None);
        content.target = comment.target_message_key.as_option();
        Some(content)
    } else {
        None
    }
}

fn money(message: &Message) -> Option<Content<'_>> {
    let name = if message.send_payment_message.is_set() {
        "sendPaymentMessage"
    } else if message.request_payment_message.is_set() {
        "requestPaymentMessage"
    } else if message.decline_payment_request_message.is_set() {
        "declinePaymentRequestMessage"
    } else if message.cancel_payment_request_message.is_set() {
        "cancelPaymentRequestMessage"
    } else if message.payment_invite_message.is_set() {
        "paymentInviteMessage"
    } else if message.invoice_message.is_set() {
        "invoiceMessage"
    } else if message.payment_reminder_message.is_set() {
        "paymentReminderMessage"
    } else if message.split_payment_message.is_set() {
        "splitPaymentMessage"
    } else {
        return None;
    };
    Some(told(name, None, "A message about a payment", None))
}

/// What is written to somebody because of a status update.
fn of_status(message: &Message) -> Option<Content<'_>> {
    if message.status_mention_message.is_set() {
        let words = "A status update mentions this account";
        Some(told("statusMentionMessage", None, words, None))
    } else if message.group_status_mention_message.is_set() {
        let words = "A status update mentions the group";
        Some(told("groupStatusMentionMessage", None, words, None))
    } else if let Some(answer) = message.status_question_answer_message.as_option() {
        let words = "An answer to the question of a status update";
        let mut content = told("statusQuestionAnswerMessage", answer.text.as_deref(), words, None);
        content.target = answer.key.as_option();
        Some(content)
    } else if let Some(answer) = message.question_response_message.as_option() {
        let mut content = told(
            "questionResponseMessage",
            answer.text.as_deref(),
            "An answer to a question",
            None,
        );
        content.target = answer.key.as_option();
        Some(content)
    } else if let Some(quoted) = message.status_quoted_message.as_option() {
        let words = "A status update was quoted";
        Some(told("statusQuotedMessage", quoted.text.as_deref(), words, None))
    } else if message.status_sticker_interaction_message.is_set() {
        let words = "A sticker of a status update was touched";
        Some(told("statusStickerInteractionMessage", None, words, None))
    } else if message.status_add_yours.is_set() {
        let words = "A status update that takes up another";
        Some(told("statusAddYours", None, words, None))
    } else if message.status_notification_message.is_set() {
        let words = "Something happened to a status update";
        Some(told("statusNotificationMessage", None, words, None))
    } else {
        None
    }
}

fn rare(message: &Message) -> Option<Content<'_>> {
    if message.placeholder_message.is_set() {
        let words = "A message that WhatsApp shows on the phone only";
        Some(told("placeholderMessage", None, words, None))
    } else if let Some(pack) = message.sticker_pack_message.as_option() {
        let context = pack.context_info.as_option();
        Some(told(
            "stickerPackMessage",
            pack.name.as_deref(),
            "A pack of stickers",
            context,
        ))
    } else if let Some(result) = [
        &message.poll_result_snapshot_message,
        &message.poll_result_snapshot_message_v3,
    ]
    .into_iter()
    .find_map(|result| result.as_option())
    {
        let context = result.context_info.as_option();
        Some(told(
            "pollResultSnapshotMessage",
            result.name.as_deref(),
            "The result of a poll",
            context,
        ))
    } else if message.rich_response_message.is_set() {
        Some(told("richResponseMessage", None, "An answer of an assistant", None))
    } else if let Some(call) = message.bcall_message.as_option() {
        Some(told("bcallMessage", call.caption.as_deref(), "A call", None))
    } else {
        let (name, words) = seldom(message)?;
        Some(told(name, None, words, None))
    }
}

/// What is hardly ever written to anybody: its name, and words for it.
fn seldom(message: &Message) -> Option<(&'static str, &'static str)> {
    let about_a_channel = "A message about a channel";
    [
        (message.call.is_set(), ("call", "A call")),
        (message.chat.is_set(), ("chat", "A chat")),
        (
            message.poll_add_option_message.is_set(),
            ("pollAddOptionMessage", "An option was added to a poll"),
        ),
        (
            message.event_cover_image.is_set(),
            ("eventCoverImage", "The picture of an event"),
        ),
        (
            message.message_history_bundle.is_set(),
            ("messageHistoryBundle", "Earlier messages of the group"),
        ),
        (
            message.message_history_notice.is_set(),
            (
                "messageHistoryNotice",
                "Earlier messages of the group were given to a new member",
            ),
        ),
        (
            message.conditional_reveal_message.is_set(),
            ("conditionalRevealMessage", "A message that is not shown yet"),
        ),
        (
            message.newsletter_follower_invite_message_v2.is_set(),
            ("newsletterFollowerInviteMessageV2", "An invitation to a channel"),
        ),
        (
            message.newsletter_admin_profile_message.is_set(),
            ("newsletterAdminProfileMessage", about_a_channel),
        ),
        (
            message.newsletter_admin_profile_message_v2.is_set(),
            ("newsletterAdminProfileMessageV2", about_a_channel),
        ),
        (
            message.newsletter_admin_profile_status_message.is_set(),
            ("newsletterAdminProfileStatusMessage", about_a_channel),
        ),
    ]
    .into_iter()
    .find_map(|(is_set, named)| is_set.then_some(named))
}
