//! What is shown of a link in a text: fetched from the page, bounded in size and time, under the rules for webhooks'
//! addresses. A page that says nothing, or does not come in time, is no reason not to send.

mod page;

use std::{io::Cursor, time::Duration};

use wharf_domain::{
    ClientId,
    outgoing::{Content, LinkPreview},
};

use crate::{
    media,
    post::{fetch::Fetched, for_client},
    shared::Shared,
};

/// For everything: a person waits for the message.
const DEADLINE: Duration = Duration::from_secs(5);
/// Of a page; what it says of itself stands at its beginning.
const PAGE_BYTES: usize = 512 * 1024;
/// Of its picture.
const PICTURE_BYTES: usize = 2 * 1024 * 1024;

/// A text with what is shown of the first link in it, if that can be had.
pub(crate) async fn with_preview(shared: &Shared, client: ClientId, mut content: Content) -> Content {
    if let Content::Text { text, link_preview, .. } = &mut content
        && link_preview.is_none()
        && let Some(url) = page::first_link(text)
    {
        match tokio::time::timeout(DEADLINE, for_client(client, look(shared, client, url))).await {
            Ok(Some(preview)) => *link_preview = Some(preview),
            Ok(None) => tracing::debug!("a page says nothing for a preview"),
            Err(_) => tracing::debug!("a page did not come in time for a preview"),
        }
    }
    content
}

async fn look(shared: &Shared, client: ClientId, url: &str) -> Option<LinkPreview> {
    let _slot = shared.media.previews.turn(client).await;
    // What stands behind it is for the reader's browser, and is not asked for.
    let page = url.split('#').next().unwrap_or(url);
    let fetched = shared.fetcher.open(page).await;
    let fetched = fetched
        .inspect_err(|error| tracing::debug!(%error, "no preview"))
        .ok()?;
    let said = fetched.mime_type.clone().unwrap_or_default();
    if !said.starts_with("text/html") && !said.starts_with("application/xhtml") {
        return None;
    }
    let address = fetched.address.clone();
    let read = page::read(&beginning(fetched, PAGE_BYTES).await, &said, &address);
    let thumbnail = match &read.picture {
        Some(picture) => picture_of(shared, client, picture).await,
        None => None,
    };
    Some(LinkPreview {
        url: url.to_owned(),
        title: read.title?,
        description: read.description,
        thumbnail,
    })
}

/// A small JPEG of the page's picture; a picture that is too large is none.
async fn picture_of(shared: &Shared, client: ClientId, url: &str) -> Option<Vec<u8>> {
    let fetched = shared.fetcher.open(url).await.ok()?;
    if fetched.length.is_some_and(|length| length > PICTURE_BYTES as u64) {
        return None;
    }
    let bytes = beginning(fetched, PICTURE_BYTES).await;
    let turn = shared.media.preparing.turn(client).await;
    // The thread goes on when the time is up, and has its turn so long.
    let looking = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        media::thumbnail(&mut Cursor::new(bytes))
    });
    looking.await.ok().flatten()
}

/// What comes first, up to so many bytes. What breaks off has a beginning too.
async fn beginning(mut fetched: Fetched, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < most
        && let Ok(Some(piece)) = fetched.next().await
    {
        let room = most - bytes.len();
        bytes.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    bytes
}
