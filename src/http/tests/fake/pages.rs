//! Pages of the desk's connection; their addresses are words.

use super::*;

/// The page of client 1.
pub(in super::super) const PAGE: &str = "page-token";
/// One that has expired.
pub(in super::super) const EXPIRED: &str = "expired-token";
/// One of a connection that had the number before.
pub(in super::super) const FORMER: &str = "former-token";
/// What the page is called.
pub(in super::super) const TITLE: &str = "Porto </h1>";

const GONE: GatewayError = GatewayError::Gone(link_page::GONE);

pub(super) fn open(desk: &FakeDesk, sealed: &str) -> Result<LinkPage, GatewayError> {
    let created_at = match sealed {
        PAGE => Timestamp(0),
        FORMER => Timestamp(-1),
        EXPIRED => return Err(GONE),
        _ => return Err(GatewayError::NotFound("link")),
    };
    if desk.rotated.load(Ordering::Relaxed) {
        return Err(GONE);
    }
    Ok(LinkPage {
        client_id: ClientId(1),
        phone_number: NUMBER.parse().unwrap(),
        created_at,
        token: TokenHash::of(ALPHA),
        expires: 4_000_000_000,
        title: TITLE.to_owned(),
    })
}

pub(super) fn on(desk: &FakeDesk, page: &LinkPage) -> Result<(PageStatus, Option<Qr>), GatewayError> {
    let connection = desk
        .own_connection(page.client_id, &page.phone_number)
        .map_err(|_| GONE)?;
    if !page.is_of(&connection) {
        return Err(GONE);
    }
    let status = PageStatus::of(connection.session.status, connection.session.reason_code);
    let qr = desk.qr.lock().unwrap().clone();
    Ok((status, qr.filter(|_| status == PageStatus::AwaitingScan)))
}

/// From now on it is on its way.
pub(super) fn begin(desk: &FakeDesk, page: &LinkPage) -> Result<(), GatewayError> {
    on(desk, page)?;
    desk.note(format!("begin {}", page.phone_number));
    let mut connection = desk.connection.lock().unwrap();
    if let Some(connection) = connection.as_mut() {
        connection.session.status = ConnectionStatus::Connecting;
        connection.session.reason_code = ReasonCode::Starting;
    }
    Ok(())
}

/// Says more than whoever has the page should hear where there is none.
pub(super) fn pair(desk: &FakeDesk, page: &LinkPage) -> Result<ShownPairCode, GatewayError> {
    let (status, _) = on(desk, page)?;
    match status {
        PageStatus::AwaitingScan => Ok(ShownPairCode {
            code: "ABCD1234".into(),
            expires_at: Timestamp(180_000),
        }),
        PageStatus::Linked => Err(GatewayError::Conflict(format!("{NUMBER} is connected"))),
        PageStatus::Unavailable => Err(GatewayError::Refused(format!("WhatsApp bans {NUMBER}"))),
        _ => Err(GatewayError::Unavailable("/var/lib/wharf is full".into())),
    }
}
