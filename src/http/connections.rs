//! WhatsApp connections: pairing and link.

use warp::http::{HeaderValue, StatusCode, header};

use super::{
    call::{Answer, Call, json, list, no_content},
    fields::{self, Fields},
    qr::{self, Format},
    query::Query,
};

/// `POST /api/whatsapp/connections`
pub(super) async fn create(call: Call) -> Answer {
    let mut body = Fields::parse(&call.body)?;
    let phone_number = body.required("phone_number", fields::phone);
    body.finish()?;
    json(
        StatusCode::CREATED,
        &call.desk.create_connection(call.client, phone_number?).await?,
    )
}

/// `GET /api/whatsapp/connections`
pub(super) async fn all(call: Call) -> Answer {
    list(&call.desk.connections(call.client).await?)
}

/// `GET /api/whatsapp/connections/:phone_number`
pub(super) async fn one(call: Call) -> Answer {
    json(
        StatusCode::OK,
        &call.desk.connection(call.client, &call.phone()?).await?,
    )
}

/// `GET /api/whatsapp/connections/:phone_number/qr`
pub(super) async fn qr(call: Call) -> Answer {
    let phone = call.phone()?;
    let mut query = Query::parse(&call.query);
    let asked = query.optional("format", |text| Format::from_word(text).ok_or_else(Format::words));
    query.finish()?;
    let format = asked.unwrap_or_else(|| qr::negotiate(&call.headers));
    let code = call.desk.qr(call.client, &phone).await?;
    let mut response = match format {
        Format::Json => json(StatusCode::OK, &code)?,
        Format::Png => qr::reply("image/png", qr::png(&code.qr)?),
        Format::Svg => qr::reply("image/svg+xml", qr::svg(&code.qr)?),
    };
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// `POST /api/whatsapp/connections/:phone_number/connect`
pub(super) async fn connect(call: Call) -> Answer {
    Fields::parse(&call.body)?.finish()?;
    json(
        StatusCode::ACCEPTED,
        &call.desk.connect(call.client, &call.phone()?).await?,
    )
}

/// `POST /api/whatsapp/connections/:phone_number/disconnect`
pub(super) async fn disconnect(call: Call) -> Answer {
    Fields::parse(&call.body)?.finish()?;
    json(
        StatusCode::ACCEPTED,
        &call.desk.disconnect(call.client, &call.phone()?).await?,
    )
}

/// `DELETE /api/whatsapp/connections/:phone_number`
pub(super) async fn delete(call: Call) -> Answer {
    call.desk.delete_connection(call.client, &call.phone()?).await?;
    Ok(no_content())
}
