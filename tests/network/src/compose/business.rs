//! What people answer to businesses, and what they buy.

use waproto::buffa::MessageField;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::{
    ButtonsResponseMessage, InteractiveResponseMessage, ListResponseMessage, OrderMessage, ProductMessage,
    TemplateButtonReplyMessage, buttons_response_message, interactive_response_message, list_response_message,
    order_message, product_message,
};

use super::Scene;
use super::content::{OrderContent, ProductContent, ReplyContent};

/// A tap on a button.
pub(super) fn buttons_reply(reply: &ReplyContent) -> Message {
    let response = ButtonsResponseMessage {
        selected_button_id: Some(reply.id.clone()),
        r#type: Some(buttons_response_message::Type::DISPLAY_TEXT),
        response: Some(buttons_response_message::Response::SelectedDisplayText(
            reply.text.clone(),
        )),
        ..Default::default()
    };
    Message {
        buttons_response_message: MessageField::some(response),
        ..Default::default()
    }
}

/// A tap on a button of a template.
pub(super) fn template_reply(reply: &ReplyContent) -> Message {
    let response = TemplateButtonReplyMessage {
        selected_id: Some(reply.id.clone()),
        selected_display_text: Some(reply.text.clone()),
        selected_index: Some(0),
        ..Default::default()
    };
    Message {
        template_button_reply_message: MessageField::some(response),
        ..Default::default()
    }
}

/// A choice from a list.
pub(super) fn list_reply(reply: &ReplyContent) -> Message {
    let response = ListResponseMessage {
        title: Some(reply.text.clone()),
        list_type: Some(list_response_message::ListType::SINGLE_SELECT),
        single_select_reply: MessageField::some(list_response_message::SingleSelectReply {
            selected_row_id: Some(reply.id.clone()),
        }),
        description: reply.description.clone(),
        ..Default::default()
    };
    Message {
        list_response_message: MessageField::some(response),
        ..Default::default()
    }
}

/// An answer of a native flow; its parameters name the choice unless they are given.
pub(super) fn interactive_reply(reply: &ReplyContent) -> Message {
    use interactive_response_message::{Body, InteractiveResponseMessage as Answer, NativeFlowResponseMessage};
    let params = reply
        .description
        .clone()
        .unwrap_or_else(|| serde_json::json!({ "id": reply.id }).to_string());
    let flow = NativeFlowResponseMessage {
        name: Some(reply.id.clone()),
        params_json: Some(params),
        version: Some(3),
    };
    let response = InteractiveResponseMessage {
        body: MessageField::some(Body {
            text: Some(reply.text.clone()),
            ..Default::default()
        }),
        interactive_response_message: Some(Answer::NativeFlowResponseMessage(Box::new(flow))),
        ..Default::default()
    };
    Message {
        interactive_response_message: MessageField::some(response),
        ..Default::default()
    }
}

/// An order.
pub(super) fn order(scene: &Scene<'_>, order: &OrderContent) -> Message {
    let message = OrderMessage {
        order_id: Some(order.order_id.clone()),
        order_title: order.title.clone(),
        message: order.text.clone(),
        item_count: Some(order.item_count),
        status: Some(order_message::OrderStatus::INQUIRY),
        surface: Some(order_message::OrderSurface::CATALOG),
        seller_jid: Some(scene.chat.jid().to_string()),
        token: order.token.clone(),
        total_amount1000: order.total_1000,
        total_currency_code: order.currency.clone(),
        ..Default::default()
    };
    Message {
        order_message: MessageField::some(message),
        ..Default::default()
    }
}

/// A product.
pub(super) fn product(scene: &Scene<'_>, product: &ProductContent) -> Message {
    let snapshot = product_message::ProductSnapshot {
        product_id: Some(product.product_id.clone()),
        title: Some(product.title.clone()),
        description: product.description.clone(),
        price_amount1000: product.price_1000,
        currency_code: product.currency.clone(),
        ..Default::default()
    };
    let message = ProductMessage {
        product: MessageField::some(snapshot),
        business_owner_jid: Some(scene.chat.jid().to_string()),
        body: product.text.clone(),
        ..Default::default()
    };
    Message {
        product_message: MessageField::some(message),
        ..Default::default()
    }
}
