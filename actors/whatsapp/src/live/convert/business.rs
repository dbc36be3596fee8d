//! What is answered to businesses: buttons, rows of lists, orders. And the products that are ordered.

use std::borrow::Cow;

use serde::Deserialize;
use wharf_domain::{
    MessageKind,
    message::{Body, ButtonsReply, ListReply, Order, OrderStatus, Product},
};
use whatsapp_rust::waproto::whatsapp::{
    ContextInfo, Message,
    message::{
        ButtonsResponseMessage, InteractiveResponseMessage, ListResponseMessage, OrderMessage, ProductMessage,
        buttons_response_message::Response, interactive_response_message::InteractiveResponseMessage as Interactive,
        order_message::OrderStatus as Status, product_message::ProductSnapshot,
    },
};

use super::{
    part::{Content, cut, filled, whole},
    who::People,
};

/// The answer in a message, if it is one to a business.
pub(super) fn choice(message: &Message) -> Option<Content<'_>> {
    if let Some(pressed) = message.buttons_response_message.as_option() {
        Some(of_button(pressed))
    } else if let Some(pressed) = message.template_button_reply_message.as_option() {
        let (id, text) = (pressed.selected_id.as_deref(), pressed.selected_display_text.as_deref());
        Some(pressed_button(id, text, pressed.context_info.as_option()))
    } else if let Some(answer) = message.interactive_response_message.as_option() {
        Some(of_interactive(answer))
    } else {
        message.list_response_message.as_option().map(of_row)
    }
}

fn of_button(pressed: &ButtonsResponseMessage) -> Content<'_> {
    let text = pressed
        .response
        .as_ref()
        .map(|Response::SelectedDisplayText(text)| text.as_str());
    pressed_button(
        pressed.selected_button_id.as_deref(),
        text,
        pressed.context_info.as_option(),
    )
}

fn pressed_button<'a>(id: Option<&str>, text: Option<&'a str>, context: Option<&'a ContextInfo>) -> Content<'a> {
    let reply = ButtonsReply {
        id: id.unwrap_or_default().to_owned(),
        text: text.unwrap_or_default().to_owned(),
    };
    let words = filled(text).map_or_else(|| Cow::Owned(reply.id.clone()), Cow::Borrowed);
    Content::new(MessageKind::ButtonsReply, words).with(Body::ButtonsReply(reply), context)
}

/// What is read of a button's parameters; the rest may be as long as a message.
#[derive(Deserialize)]
struct Flow {
    id: Option<String>,
}

fn of_interactive(answer: &InteractiveResponseMessage) -> Content<'_> {
    let text = answer.body.as_option().and_then(|body| body.text.as_deref());
    let parameters = answer.interactive_response_message.as_ref();
    let parameters = parameters.and_then(|Interactive::NativeFlowResponseMessage(flow)| flow.params_json.as_deref());
    // What the business gave the button comes as JSON; without an `id` in it, all of it is the id.
    let id = parameters.map(|parameters| {
        let read = serde_json::from_str::<Flow>(parameters).ok();
        read.and_then(|flow| flow.id).unwrap_or_else(|| parameters.to_owned())
    });
    pressed_button(id.as_deref(), text, answer.context_info.as_option())
}

fn of_row(answer: &ListResponseMessage) -> Content<'_> {
    let row = answer.single_select_reply.as_option();
    let title = answer.title.as_deref().unwrap_or_default();
    let reply = ListReply {
        id: row.and_then(|row| row.selected_row_id.clone()).unwrap_or_default(),
        title: title.to_owned(),
        description: filled(answer.description.as_deref()).map(str::to_owned),
    };
    let words = filled(Some(title)).map_or_else(|| Cow::Owned(reply.id.clone()), Cow::Borrowed);
    Content::new(MessageKind::ListReply, words).with(Body::ListReply(reply), answer.context_info.as_option())
}

/// An order from a catalogue.
pub(super) fn of_order(order: &OrderMessage) -> Content<'_> {
    let title = filled(order.order_title.as_deref());
    let words = filled(order.message.as_deref()).or(title).unwrap_or("Order");
    let body = Order {
        id: order.order_id.clone().unwrap_or_default(),
        title: title.map(str::to_owned),
        item_count: order.item_count,
        total: order.total_amount1000.map(decimal),
        currency: filled(order.total_currency_code.as_deref()).map(str::to_owned),
        seller: None,
        status: order.status.map(|status| match status {
            Status::INQUIRY => OrderStatus::Inquiry,
            Status::ACCEPTED => OrderStatus::Accepted,
            Status::DECLINED => OrderStatus::Declined,
        }),
        token: whole(order.token.as_deref()),
    };
    Content {
        seller: order.seller_jid.as_deref(),
        ..Content::new(MessageKind::Order, words).with(Body::Order(body), order.context_info.as_option())
    }
}

/// A product of a catalogue.
pub(super) fn of_product(message: &ProductMessage) -> Content<'_> {
    let product = message.product.as_option();
    let said = |field: fn(&ProductSnapshot) -> &Option<String>| product.and_then(|product| field(product).as_deref());
    let title = filled(said(|product| &product.title));
    let caption = filled(message.body.as_deref());
    let words = caption.or(title).or(filled(message.footer.as_deref()));
    let body = Product {
        id: whole(said(|product| &product.product_id)).unwrap_or_default(),
        retailer_id: whole(said(|product| &product.retailer_id)),
        title: cut(title).unwrap_or_default(),
        description: filled(said(|product| &product.description)).map(str::to_owned),
        price: product.and_then(|product| product.price_amount1000).map(decimal),
        currency: whole(said(|product| &product.currency_code)),
        url: whole(said(|product| &product.url)),
        image_count: product.and_then(|product| product.product_image_count),
        seller: None,
    };
    Content {
        caption,
        seller: message.business_owner_jid.as_deref(),
        ..Content::new(MessageKind::Product, words.unwrap_or("A product"))
            .with(Body::Product(body), message.context_info.as_option())
    }
}

/// The same, and in what is from a catalogue whose that is, as the receiver is shown them.
pub(super) fn sold_by(body: Body, seller: Option<&str>, people: &People<'_>) -> Body {
    let seller = seller.and_then(|jid| Some(people.shown(&jid.parse().ok()?)));
    match body {
        Body::Order(order) => Body::Order(Order { seller, ..order }),
        Body::Product(product) => Body::Product(Product { seller, ..product }),
        other => other,
    }
}

/// Thousandths as a decimal number with two places, or three where it has a third.
fn decimal(thousandths: i64) -> String {
    let sign = if thousandths < 0 { "-" } else { "" };
    let amount = thousandths.unsigned_abs();
    let (whole, rest) = (amount / 1000, amount % 1000);
    if rest.is_multiple_of(10) {
        format!("{sign}{whole}.{:02}", rest / 10)
    } else {
        format!("{sign}{whole}.{rest:03}")
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn money_is_written_in_decimals() {
        for (thousandths, written) in [
            (0, "0.00"),
            (12_500, "12.50"),
            (1_005, "1.005"),
            (-990, "-0.99"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            assert_eq!(super::decimal(thousandths), written);
        }
    }
}
