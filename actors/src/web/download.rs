//! Downloads from WhatsApp's media hosts.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Response, Url};
use wharf_domain::message::MediaError;

use super::way::{Clients, Maker, Way, blocked_way};
use crate::{
    pace::{Coming, LEAST_PACE},
    post::PosterError,
};

/// Without a byte from a media host.
const SILENCE: Duration = Duration::from_secs(30);
/// WhatsApp's media hosts, by turns: `direct_path` is the same on all of them.
const MEDIA_HOSTS: [&str; 2] = ["https://mmg.whatsapp.net", "https://mmg-fallback.whatsapp.net"];

/// WhatsApp's media hosts, or a test network's media store.
#[derive(Debug, Clone)]
pub(crate) struct MediaSource(Clients);

/// A file on its way.
#[derive(Debug)]
pub(crate) struct MediaStream {
    response: Response,
    /// Only of one that comes through a proxy: WhatsApp's hosts do not drip to hold a turn, but a proxy is whose it is.
    coming: Option<Coming>,
}

impl MediaSource {
    /// # Errors
    /// [`PosterError`] when the HTTP client cannot be set up.
    pub(crate) fn new(maker: Maker) -> Result<Self, PosterError> {
        // No deadline for the whole: files take longer than everything else that WhatsApp's hosts are asked for.
        Ok(Self(Clients::new(maker, |builder| builder.read_timeout(SILENCE))?))
    }

    /// Its clients.
    pub(crate) fn clients(&self) -> &Clients {
        &self.0
    }

    /// Begins to fetch the file at a direct path, which a stranger wrote; the first try asks the first host.
    ///
    /// # Errors
    /// `Gone`, `Unreachable` or `ProxyFailed`; `Incomplete` when the path leads away from the host.
    pub(crate) async fn open(&self, way: &Way, direct_path: &str, tries: u32) -> Result<MediaStream, MediaError> {
        let url = self.url(direct_path, tries).ok_or(MediaError::Incomplete)?;
        let client = self.0.by(way).map_err(|error| {
            tracing::warn!(number = %way.key.phone_number, %error, "a file is not fetched");
            MediaError::ProxyFailed
        })?;
        let response = client.get(url).send().await.map_err(|error| {
            if let Some(why) = blocked_way(way.proxy.as_ref(), &error) {
                tracing::warn!(number = %way.key.phone_number, why, "a file cannot be fetched");
                return MediaError::ProxyFailed;
            }
            tracing::debug!(error = %error.without_url(), "a media host cannot be reached");
            MediaError::Unreachable
        })?;
        match response.status().as_u16() {
            200 => Ok(MediaStream {
                response,
                coming: way.proxy.as_ref().map(|_| Coming::at(LEAST_PACE)),
            }),
            // What it signed into the path has expired, or the file has.
            403 | 404 | 410 => Err(MediaError::Gone),
            status => {
                tracing::debug!(status, "a media host gives no file");
                Err(MediaError::Unreachable)
            }
        }
    }

    fn url(&self, direct_path: &str, tries: u32) -> Option<Url> {
        let place = usize::try_from(tries.saturating_sub(1)).unwrap_or_default() % MEDIA_HOSTS.len();
        let base = match self.0.test_network() {
            Some(base) => base.clone(),
            None => Url::parse(MEDIA_HOSTS[place]).ok()?,
        };
        if !direct_path.starts_with('/') {
            return None;
        }
        let url = Url::parse(&format!("{}{direct_path}", base.origin().ascii_serialization())).ok()?;
        (url.origin() == base.origin() && url.username().is_empty()).then_some(url)
    }
}

impl MediaStream {
    /// Its bytes, as the host says.
    pub(crate) fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// What broke off, or comes too slowly, in words.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, String> {
        let begun = Instant::now();
        let piece = self.response.chunk().await;
        let piece = piece.map_err(|error| error.without_url().to_string())?;
        if let (Some(piece), Some(coming)) = (&piece, &mut self.coming)
            && !coming.is_in_time(begun.elapsed(), piece.len())
        {
            return Err("it comes too slowly through the proxy".to_owned());
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use wharf_domain::{ClientId, ConnectionKey, proxy::Proxy};
    use wharf_support::{Receiver, proxy::Proxy as Loopback};

    use super::{super::tests::maker, *};
    use crate::pace::LeastPace;

    #[tokio::test]
    async fn a_proxy_that_drips_holds_no_turn_and_without_one_all_comes() {
        let (receiver, proxy) = (Receiver::start().await, Loopback::start().await);
        let source = MediaSource::new(maker(Some(&receiver.url("/")))).unwrap();
        let way = |proxy: Option<String>| Way {
            key: ConnectionKey::new(ClientId(1), "5511888888888".parse().unwrap()),
            proxy: proxy.and_then(|proxy| Proxy::from_text(&proxy)),
        };
        let pace = LeastPace {
            window: Duration::from_millis(200),
            ..LEAST_PACE
        };
        // A thousand bytes, one at a time.
        let through = way(Some(proxy.url("socks5")));
        let mut dripping = source.open(&through, "/drip/10", 1).await.unwrap();
        dripping.coming = dripping.coming.map(|_| Coming::at(pace));
        let mut bytes = 0;
        let given_up = loop {
            match dripping.next().await {
                Ok(Some(piece)) => bytes += piece.len(),
                other => break other,
            }
        };
        assert!(given_up.is_err() && bytes < 100, "{given_up:?} after {bytes} bytes");
        let mut direct = source.open(&way(None), "/drip/0", 1).await.unwrap();
        assert!(direct.coming.is_none());
        while direct.next().await.unwrap().is_some() {}
    }

    #[test]
    fn a_path_never_leads_to_another_host() {
        let source = MediaSource::new(maker(None)).unwrap();
        let url = |path, tries| source.url(path, tries).map(String::from);
        let path = "/v/t62.7118-24/1_n.enc?ccb=11-4&oh=01&oe=66&_nc_sid=5e03e0";
        assert_eq!(url(path, 1), Some(format!("https://mmg.whatsapp.net{path}")));
        assert_eq!(url(path, 2), Some(format!("https://mmg-fallback.whatsapp.net{path}")));
        for astray in [
            "",
            "v/t",
            "@evil.example/",
            ".evil.example/",
            ":80/",
            "https://evil.example/",
        ] {
            assert_eq!(url(astray, 1), None, "{astray}");
        }
        for strange in ["//evil.example/a", "/\\evil.example", "/../..//evil.example/"] {
            let url = url(strange, 1).unwrap();
            assert!(url.starts_with("https://mmg.whatsapp.net/"), "{strange}: {url}");
        }
    }
}
