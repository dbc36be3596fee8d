//! Orders and products, with anything in them.

use proptest::{option, prelude::*};
use whatsapp_rust::waproto::{
    buffa::MessageField,
    whatsapp::{
        Message,
        message::{OrderMessage, ProductMessage, order_message::OrderStatus, product_message::ProductSnapshot},
    },
};

use super::{name, number, said};

pub(super) fn catalogue() -> BoxedStrategy<Message> {
    let status = prop_oneof![Just(OrderStatus::INQUIRY), Just(OrderStatus::DECLINED)];
    let order = (
        (said(), said(), said()),
        (option::of(any::<i64>()), option::of(any::<i32>())),
        (said(), option::of(name()), option::of(status)),
    );
    let order = order.prop_map(
        |((order_id, order_title, token), (total, item_count), (currency, seller_jid, status))| Message {
            order_message: MessageField::some(OrderMessage {
                order_id,
                order_title,
                token,
                total_amount1000: total,
                item_count,
                total_currency_code: currency,
                seller_jid,
                status,
                ..OrderMessage::default()
            }),
            ..Message::default()
        },
    );
    let snapshot = (
        (said(), said(), said()),
        (option::of(any::<i64>()), number()),
        (said(), said(), said()),
    );
    let snapshot = snapshot.prop_map(
        |((product_id, title, description), (price, count), (currency, retailer_id, url))| ProductSnapshot {
            product_id,
            title,
            description,
            price_amount1000: price,
            product_image_count: count,
            currency_code: currency,
            retailer_id,
            url,
            ..ProductSnapshot::default()
        },
    );
    let product = (option::of(snapshot), option::of(name()), said(), said());
    let product = product.prop_map(|(product, business_owner_jid, body, footer)| Message {
        product_message: MessageField::some(ProductMessage {
            product: MessageField::from(product),
            business_owner_jid,
            body,
            footer,
            ..ProductMessage::default()
        }),
        ..Message::default()
    });
    prop_oneof![order, product].boxed()
}
