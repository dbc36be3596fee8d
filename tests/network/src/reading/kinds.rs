//! The kinds of messages that stand by themselves.

use serde_json::json;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::{buttons_response_message, interactive_response_message};

use super::Seen;
use crate::compose::options;

/// What a message is; `None` if it is none that a person would see.
pub(super) fn read(message: &Message) -> Option<Seen> {
    text(message)
        .or_else(|| file(message))
        .or_else(|| place(message))
        .or_else(|| contact(message))
        .or_else(|| answer(message))
        .or_else(|| trade(message))
        .or_else(|| gathering(message))
        .or_else(|| unknown(message))
}

fn text(message: &Message) -> Option<Seen> {
    if let Some(text) = message.conversation.as_deref() {
        return Some(Seen::new("text", Some(text)));
    }
    let extended = message.extended_text_message.as_option()?;
    let seen = Seen::new("text", extended.text.as_deref());
    Some(match &extended.matched_text {
        None => seen,
        Some(url) => seen.with(json!({ "preview": {
            "url": url, "title": extended.title, "description": extended.description,
            "thumbnail": extended.jpeg_thumbnail.is_some() || extended.thumbnail_direct_path.is_some(),
        } })),
    })
}

fn file(message: &Message) -> Option<Seen> {
    if let Some(image) = message.image_message.as_option() {
        return Some(Seen::new("image", image.caption.as_deref()).with(json!({
            "width": image.width, "height": image.height, "thumbnail": image.jpeg_thumbnail.is_some(),
        })));
    }
    for (kind, video) in [("video", &message.video_message), ("video_note", &message.ptv_message)] {
        if let Some(video) = video.as_option() {
            return Some(Seen::new(kind, video.caption.as_deref()).with(json!({
                "seconds": video.seconds, "width": video.width, "height": video.height,
                "gif": video.gif_playback == Some(true), "thumbnail": video.jpeg_thumbnail.is_some(),
            })));
        }
    }
    if let Some(audio) = message.audio_message.as_option() {
        let kind = if audio.ptt == Some(true) { "voice" } else { "audio" };
        return Some(Seen::new(kind, None).with(json!({
            "seconds": audio.seconds, "waveform": audio.waveform.as_ref().map(Vec::len),
        })));
    }
    if let Some(document) = message.document_message.as_option() {
        return Some(Seen::new("document", document.caption.as_deref()).with(json!({
            "title": document.title, "page_count": document.page_count,
            "thumbnail": document.jpeg_thumbnail.is_some(),
        })));
    }
    let sticker = message.sticker_message.as_option()?;
    Some(Seen::new("sticker", None).with(json!({
        "width": sticker.width, "height": sticker.height, "animated": sticker.is_animated == Some(true),
    })))
}

fn place(message: &Message) -> Option<Seen> {
    if let Some(place) = message.location_message.as_option() {
        return Some(Seen::new("location", place.name.as_deref()).with(json!({
            "latitude": place.degrees_latitude, "longitude": place.degrees_longitude,
            "name": place.name, "address": place.address, "url": place.url,
        })));
    }
    let place = message.live_location_message.as_option()?;
    Some(Seen::new("live_location", place.caption.as_deref()).with(json!({
        "latitude": place.degrees_latitude, "longitude": place.degrees_longitude,
        "accuracy": place.accuracy_in_meters, "speed": place.speed_in_mps, "sequence": place.sequence_number,
    })))
}

fn contact(message: &Message) -> Option<Seen> {
    let card = |contact: &waproto::whatsapp::message::ContactMessage| json!({ "name": contact.display_name, "vcard": contact.vcard });
    if let Some(contact) = message.contact_message.as_option() {
        let seen = Seen::new("contact", contact.display_name.as_deref());
        return Some(seen.with(json!({ "contacts": [card(contact)] })));
    }
    let array = message.contacts_array_message.as_option()?;
    let cards: Vec<_> = array.contacts.iter().map(card).collect();
    Some(Seen::new("contact", array.display_name.as_deref()).with(json!({ "contacts": cards })))
}

fn answer(message: &Message) -> Option<Seen> {
    if let Some(reply) = message.buttons_response_message.as_option() {
        let text = reply.response.as_ref().map(|response| match response {
            buttons_response_message::Response::SelectedDisplayText(text) => text.as_str(),
        });
        return Some(Seen::new("buttons_reply", text).with(json!({ "id": reply.selected_button_id })));
    }
    if let Some(reply) = message.template_button_reply_message.as_option() {
        let seen = Seen::new("template_reply", reply.selected_display_text.as_deref());
        return Some(seen.with(json!({ "id": reply.selected_id })));
    }
    if let Some(reply) = message.list_response_message.as_option() {
        let id = reply
            .single_select_reply
            .as_option()
            .and_then(|reply| reply.selected_row_id.clone());
        let seen = Seen::new("list_reply", reply.title.as_deref());
        return Some(seen.with(json!({ "id": id, "description": reply.description })));
    }
    let reply = message.interactive_response_message.as_option()?;
    let text = reply.body.as_option().and_then(|body| body.text.as_deref());
    let flow = reply.interactive_response_message.as_ref().map(|answer| match answer {
        interactive_response_message::InteractiveResponseMessage::NativeFlowResponseMessage(flow) => {
            json!({ "id": flow.name, "description": flow.params_json })
        }
    });
    let seen = Seen::new("interactive_reply", text);
    Some(match flow {
        Some(flow) => seen.with(flow),
        None => seen,
    })
}

fn trade(message: &Message) -> Option<Seen> {
    if let Some(order) = message.order_message.as_option() {
        return Some(Seen::new("order", order.message.as_deref()).with(json!({
            "order_id": order.order_id, "title": order.order_title, "item_count": order.item_count,
            "total_1000": order.total_amount1000, "currency": order.total_currency_code, "token": order.token,
        })));
    }
    let product = message.product_message.as_option()?;
    let snapshot = product.product.as_option();
    Some(Seen::new("product", product.body.as_deref()).with(json!({
        "product_id": snapshot.and_then(|product| product.product_id.as_ref()),
        "title": snapshot.and_then(|product| product.title.as_ref()),
    })))
}

fn gathering(message: &Message) -> Option<Seen> {
    let poll = [
        &message.poll_creation_message,
        &message.poll_creation_message_v2,
        &message.poll_creation_message_v3,
        &message.poll_creation_message_v5,
    ]
    .into_iter()
    .find_map(|poll| poll.as_option());
    if let Some(poll) = poll {
        return Some(Seen::new("poll", poll.name.as_deref()).with(json!({
            "options": options(message), "selectable": poll.selectable_options_count,
        })));
    }
    if let Some(event) = message.event_message.as_option() {
        let content = json!({ "description": event.description, "start": event.start_time });
        return Some(Seen::new("event", event.name.as_deref()).with(content));
    }
    let invite = message.group_invite_message.as_option()?;
    Some(Seen::new("group_invite", invite.caption.as_deref()).with(json!({
        "group": invite.group_jid, "subject": invite.group_name, "code": invite.invite_code,
    })))
}

/// What is left once the parts that are for devices alone are taken away.
fn unknown(message: &Message) -> Option<Seen> {
    let mut rest = message.clone();
    rest.sender_key_distribution_message = Default::default();
    rest.message_context_info = Default::default();
    rest.protocol_message = Default::default();
    (rest != Message::default()).then(|| Seen::new("unknown", None))
}
