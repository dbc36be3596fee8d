//! WhatsApp connections: pairing and link.

use std::time::Duration;

use warp::http::{HeaderValue, StatusCode, header};
use wharf_actors::{ConnectionPatch, Deletion};
use wharf_domain::outgoing::Pace;

use super::{
    call::{Answer, Call, json, no_content},
    fields::{self, Fields, Refused},
    numbers::Asked,
    qr::{self, Format},
    query::Query,
    watch,
};

/// `POST /api/whatsapp/connections`
pub(super) async fn create(call: Call) -> Answer {
    let mut body = Fields::parse(&call.body)?;
    let phone_number = body.required("phone_number", fields::phone);
    let settings = settings(&mut body);
    body.finish()?;
    let created = call.desk.create_connection_with(call.client, phone_number?, settings?);
    json(StatusCode::CREATED, &created.await?)
}

/// `PATCH /api/whatsapp/connections/:phone_number`
pub(super) async fn update(call: Call) -> Answer {
    let phone = call.phone()?;
    let mut body = Fields::parse(&call.body)?;
    let settings = settings(&mut body);
    body.finish()?;
    json(
        StatusCode::OK,
        &call.desk.update_connection(call.client, &phone, settings?).await?,
    )
}

/// What a client sets of a connection; null is what the configuration has.
fn settings(body: &mut Fields) -> Result<ConnectionPatch, Refused> {
    let device_name = body.optional("device_name", fields::device_name_or_null);
    let proxy = body.optional("proxy", fields::text_or_null);
    let sending = body.object_or_null("sending", |pace| {
        let per_second = pace.required("per_second", fields::whole_number);
        let burst = pace.required("burst", fields::whole_number);
        Ok(Pace {
            per_second: per_second?,
            burst: burst?,
        })
    });
    let reject_calls = body.optional("reject_calls", fields::boolean);
    let mark_read = body.optional("mark_read", fields::boolean);
    Ok(ConnectionPatch {
        device_name: device_name?,
        proxy: proxy?,
        sending: sending?,
        reject_calls: reject_calls?,
        mark_read: mark_read?,
    })
}

/// `POST /api/whatsapp/connections/:phone_number/pair-code`
pub(super) async fn pair_code(call: Call) -> Answer {
    Fields::parse(&call.body)?.finish()?;
    json(StatusCode::OK, &call.desk.pair_code(call.client, &call.phone()?).await?)
}

/// `GET /api/whatsapp/connections`
pub(super) async fn all(call: Call) -> Answer {
    let asked = Asked::read(&call.query)?;
    let found = call.desk.connections(call.client, &asked.wanted()).await?;
    asked.answer(found, |connection| &connection.phone_number)
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
    let wait = query.optional("wait", wait);
    let after = query.optional("after", |text| Ok(text.to_owned()));
    query.finish()?;
    let format = asked.unwrap_or_else(|| qr::negotiate(&call.headers));
    let code = match wait {
        Some(wait) => watch::qr(&call, &phone, wait, after.as_deref()).await?,
        None => call.desk.qr(call.client, &phone).await?,
    };
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

/// Seconds to wait for another QR code than `after`.
pub(super) fn wait(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= watch::LONGEST_WAIT_S);
    let seconds = seconds.ok_or_else(|| format!("must be a number of seconds from 0 to {}", watch::LONGEST_WAIT_S))?;
    Ok(Duration::from_secs(seconds))
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

/// `DELETE /api/whatsapp/connections/:phone_number`: 202 when it goes on by itself.
pub(super) async fn delete(call: Call) -> Answer {
    match call.desk.delete_connection(call.client, &call.phone()?).await? {
        Deletion::Done => Ok(no_content()),
        Deletion::GoesOn(connection) => json(StatusCode::ACCEPTED, &connection),
    }
}
