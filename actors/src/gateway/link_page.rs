//! Pages on which whoever holds the phone links a number, without the client's token.

use std::time::Duration;

use serde::Serialize;
use wharf_domain::{
    ClientId, PhoneNumber, Timestamp, TokenHash,
    link_page::{self, LinkPage, PageStatus},
};

use super::{Gateway, GatewayError, Qr, ShownPairCode};
use crate::clock;

/// Of a page that was one.
const GONE: GatewayError = GatewayError::Gone(link_page::GONE);

/// What a page is asked for with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLinkPage {
    /// For how long it is good.
    pub lifetime: Duration,
    /// Its heading, as [`link_page::is_title`] takes it; empty for none of its own.
    pub title: String,
}

/// A page that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MadeLinkPage {
    /// Its address.
    pub url: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl Gateway {
    /// Makes a page on which this connection can be linked, for as long as the token that asks is the client's.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when there is nothing that its address could begin with.
    pub async fn make_link_page(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        token: TokenHash,
        new: NewLinkPage,
    ) -> Result<MadeLinkPage, GatewayError> {
        let connection = self.connection(client, number).await?;
        let base = self.shared.settings.media.public_url.as_ref();
        let base = base.ok_or_else(|| GatewayError::Unavailable("http.public_url is not set".to_owned()))?;
        // An address says whole seconds.
        let expires_at = Timestamp::from_seconds((clock::now() + new.lifetime).seconds());
        let page = LinkPage {
            client_id: client,
            phone_number: connection.phone_number,
            created_at: connection.created_at,
            token,
            expires: expires_at.seconds(),
            title: new.title,
        };
        let url = link_page::url(base, &self.shared.vault.pages().seal(&page)?);
        Ok(MadeLinkPage { url, expires_at })
    }

    /// The page of an address, if it is good still. Whether its connection is there is not looked at.
    ///
    /// # Errors
    /// `NotFound` for one that was never given out, which nothing is looked up for; `Gone`; `Unavailable` when the store cannot be
    /// read.
    pub async fn open_link_page(&self, sealed: &str) -> Result<LinkPage, GatewayError> {
        let page = self.shared.vault.pages().open(sealed);
        let page = page.ok_or(GatewayError::NotFound("link"))?;
        let is_good =
            !page.has_expired(clock::now()) && self.client_of_token(&page.token).await? == Some(page.client_id);
        if is_good { Ok(page) } else { Err(GONE) }
    }

    /// Where linking stands, and the code to scan, if there is one.
    ///
    /// # Errors
    /// `Gone` when the page's connection is, also where the number has another one by now.
    pub async fn on_link_page(&self, page: &LinkPage) -> Result<(PageStatus, Option<Qr>), GatewayError> {
        let shown = self.shown(page.client_id, &page.phone_number).await;
        let shown = shown.map_err(|error| match error {
            GatewayError::NotFound(_) => GONE,
            error => error,
        })?;
        if !page.is_of(&shown.connection) {
            return Err(GONE);
        }
        let session = &shown.connection.session;
        let status = PageStatus::of(session.status, session.reason_code);
        // One that is linked has none: what is left of the last one is no use to anybody.
        Ok((status, shown.qr.filter(|_| status == PageStatus::AwaitingScan)))
    }

    /// Has the page's connection linked, as its client's `connect` would, where that is possible and has not begun.
    ///
    /// # Errors
    /// As [`Gateway::on_link_page`] and [`Gateway::connect`].
    pub async fn begin_on_link_page(&self, page: &LinkPage) -> Result<(), GatewayError> {
        let (status, _) = self.on_link_page(page).await?;
        if status.may_begin() {
            self.connect(page.client_id, &page.phone_number).await?;
        }
        Ok(())
    }

    /// A code to type into the phone, beside the one to scan.
    ///
    /// # Errors
    /// As [`Gateway::on_link_page`] and [`Gateway::pair_code`].
    pub async fn pair_on_link_page(&self, page: &LinkPage) -> Result<ShownPairCode, GatewayError> {
        self.on_link_page(page).await?;
        self.pair_code(page.client_id, &page.phone_number).await
    }
}
