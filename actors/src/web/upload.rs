//! Uploads to WhatsApp's media hosts: one `POST` of the encrypted file, streamed from the disk, whose address names its hash.

use std::{io, path::Path, time::Duration};

use reqwest::{Client, Response, StatusCode, Url, header};
use serde::Deserialize;
use thiserror::Error;
use tokio::io::AsyncSeekExt as _;
use wharf_domain::{download, message::MediaReference};
use wharf_whatsapp::{
    MediaHosts,
    media::{upload_path, upload_token},
};

use super::{
    file_body::{FileBody, PATIENCE, Patience},
    way::{Clients, Kind, Maker, Way, blocked_way},
};
use crate::post::PosterError;

/// For data that a media host does not acknowledge.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// For the question how much of a file is there.
const QUESTION: Duration = Duration::from_secs(10);
/// WhatsApp Web's origin, without which its hosts take no uploads.
const ORIGIN: &str = "https://web.whatsapp.com";
/// The largest answer that is read: it holds two addresses.
const ANSWER_BYTES: usize = 64 * 1024;

/// See the module. Clones share their clients.
#[derive(Debug, Clone)]
pub(crate) struct MediaUpload {
    clients: Clients,
    /// With proxies: WhatsApp's hosts do not drip to hold a turn.
    patience: Patience,
}

/// Where an uploaded file lies.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Uploaded {
    /// Its address.
    pub(crate) url: String,
    /// The path of it, the same on all hosts.
    pub(crate) direct_path: String,
}

/// Why an upload failed.
#[derive(Debug, Error)]
pub(crate) enum UploadError {
    /// What lets us upload is not good any more.
    #[error("the media host does not let us upload ({0})")]
    Auth(u16),
    /// The host does not take this file.
    #[error("the media host refused the file ({0})")]
    Refused(u16),
    /// The host was not reached, or gave no whole answer; in words.
    #[error("{0}")]
    Unreachable(String),
    /// The number's own proxy does not lead to the host, or takes the file too slowly; in words.
    #[error("{0}")]
    Proxy(String),
    /// The file cannot be opened here.
    #[error("the file cannot be read: {0}")]
    Disk(#[from] io::Error),
}

/// What a host has of a file.
#[derive(Debug, Default, Deserialize)]
struct Progress {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    direct_path: Option<String>,
    /// `complete`, or how many bytes.
    #[serde(default)]
    resume: Option<String>,
}

impl MediaUpload {
    /// # Errors
    /// [`PosterError`] when the HTTP client cannot be set up.
    pub(crate) fn new(maker: Maker) -> Result<Self, PosterError> {
        // No time without an answer: that is nothing unusual while a file goes up.
        let kind: Kind = |builder| builder.tcp_user_timeout(UNACKNOWLEDGED);
        Ok(Self {
            clients: Clients::new(maker, kind)?,
            patience: PATIENCE,
        })
    }

    /// Its clients.
    pub(crate) fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Uploads the file at `path` to one host. After a try that failed it goes on where that broke off (`again`).
    ///
    /// # Errors
    /// See [`UploadError`].
    pub(crate) async fn upload(
        &self,
        way: &Way,
        (host, hosts): (&str, &MediaHosts),
        reference: &MediaReference,
        path: &Path,
        again: bool,
    ) -> Result<Uploaded, UploadError> {
        let client = self
            .clients
            .by(way)
            .map_err(|error| UploadError::Proxy(error.to_string()))?;
        let mut file = tokio::fs::File::open(path).await?;
        let size = file.metadata().await?.len();
        let mut url = self
            .url(host, hosts, reference)
            .ok_or_else(|| UploadError::Unreachable(format!("{host:?} is no media host")))?;
        let mut offset = 0;
        if again {
            match progress(&client, &url).await {
                Progress {
                    url: Some(url),
                    direct_path: Some(direct_path),
                    ..
                } => return Ok(Uploaded { url, direct_path }),
                Progress { resume, .. } => {
                    let there = resume.and_then(|resume| resume.parse::<u64>().ok());
                    offset = there.filter(|there| *there < size).unwrap_or(0);
                }
            }
        }
        if offset > 0 {
            url.query_pairs_mut().append_pair("file_offset", &offset.to_string());
            file.seek(io::SeekFrom::Start(offset)).await?;
        }
        let left = size - offset;
        let (body, progress) = FileBody::new(file, left);
        let request = client
            .post(url)
            .header(header::ORIGIN, ORIGIN)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .timeout(download::deadline(Some(left)))
            .body(reqwest::Body::wrap(body));
        let patience = way.proxy.as_ref().map(|_| self.patience);
        let answer = tokio::select! {
            answer = request.send() => answer.map_err(|error| failed(way, error))?,
            () = progress.too_slow_for(patience) => return Err(slow(way)),
        };
        match answer.status() {
            status if status.is_success() => read(answer).await,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(UploadError::Auth(answer.status().as_u16())),
            status if status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT => {
                Err(UploadError::Refused(status.as_u16()))
            }
            status => Err(UploadError::Unreachable(format!(
                "the media host answered {}",
                status.as_u16()
            ))),
        }
    }

    fn url(&self, host: &str, hosts: &MediaHosts, reference: &MediaReference) -> Option<Url> {
        let mut url = match self.clients.test_network() {
            Some(base) => base.clone(),
            None => Url::parse(&format!("https://{host}")).ok()?,
        };
        // The server names a host and nothing else.
        let named = self.clients.test_network().is_some() || url.host_str() == Some(host);
        let token = upload_token(&reference.enc_sha256);
        url.set_path(&format!("{}/{token}", upload_path(reference.kind)));
        let pairs = [("auth", hosts.auth.as_str()), ("token", &token)];
        url.query_pairs_mut().clear().extend_pairs(pairs);
        named.then_some(url)
    }
}

/// What the host has of it; nothing, when that cannot be learned.
async fn progress(client: &Client, url: &Url) -> Progress {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair("resume", "1");
    let question = client.post(url).header(header::ORIGIN, ORIGIN).timeout(QUESTION);
    match question.send().await {
        Ok(answer) if answer.status().is_success() => {
            let body = whole(answer).await.unwrap_or_default();
            serde_json::from_slice(&body).unwrap_or_default()
        }
        _ => Progress::default(),
    }
}

async fn read(answer: Response) -> Result<Uploaded, UploadError> {
    let body = whole(answer).await?;
    let uploaded: Result<Uploaded, _> = serde_json::from_slice(&body);
    uploaded
        .ok()
        .filter(|uploaded| uploaded.direct_path.starts_with('/'))
        .ok_or_else(|| UploadError::Unreachable("the media host does not say where the file lies".to_owned()))
}

async fn whole(mut answer: Response) -> Result<Vec<u8>, UploadError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + piece.len() > ANSWER_BYTES {
            return Err(UploadError::Unreachable(
                "the media host's answer does not end".to_owned(),
            ));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// A proxy that holds a file up holds it up on the way to each host.
fn failed(way: &Way, error: reqwest::Error) -> UploadError {
    match blocked_way(way.proxy.as_ref(), &error) {
        Some(why) => UploadError::Proxy(why),
        None if way.proxy.is_some() && error.is_timeout() => slow(way),
        None => unreachable(error),
    }
}

fn slow(way: &Way) -> UploadError {
    let place = way.proxy.as_ref().map(|proxy| format!(" {}", proxy.place()));
    UploadError::Proxy(format!(
        "the file goes too slowly through the proxy{}",
        place.unwrap_or_default()
    ))
}

/// Without the address: it holds what lets us upload.
fn unreachable(error: reqwest::Error) -> UploadError {
    let error = error.without_url();
    tracing::debug!(%error, "an upload broke off");
    let words = match &error {
        error if error.is_timeout() => "the media host did not answer in time",
        error if error.is_connect() => "the media host cannot be reached",
        _ => "the connection to the media host broke off",
    };
    UploadError::Unreachable(words.to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use wharf_domain::{
        ClientId, ConnectionKey,
        message::{Asked, MediaKind},
        proxy::Proxy,
    };

    use super::{super::tests::maker, *};
    use crate::pace::LeastPace;

    /// A proxy that takes some megabytes, which is more than sockets hold, a little at a time, and answers then.
    async fn upload_to_one_that_takes(bytes: usize, every: Duration) -> Result<Uploaded, UploadError> {
        const SIZE: usize = 24 << 20;
        let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = proxy.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut socket, _) = proxy.accept().await.unwrap();
            let (mut piece, mut all) = (vec![0; bytes], 0);
            while all < SIZE {
                match socket.read(&mut piece).await {
                    Ok(read) if read > 0 => all += read,
                    _ => return,
                }
                tokio::time::sleep(every).await;
            }
            let answer = r#"{"url":"u","direct_path":"/d"}"#;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
            socket.write_all(head.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(10)).await;
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(SIZE as u64).unwrap();
        let mut upload = MediaUpload::new(maker(Some("http://127.0.0.1:9/"))).unwrap();
        upload.patience = Patience {
            pace: LeastPace {
                window: Duration::from_millis(500),
                ..PATIENCE.pace
            },
            stall: Duration::from_secs(2),
            ..PATIENCE
        };
        let way = Way {
            key: ConnectionKey {
                client_id: ClientId(1),
                phone_number: "5511888888888".parse().unwrap(),
            },
            proxy: Proxy::from_text(&format!("http://a:b@{address}")),
        };
        let hosts = MediaHosts {
            hosts: vec![],
            auth: "a".into(),
        };
        let done = upload
            .upload(&way, ("mmg.whatsapp.net", &hosts), &reference(), file.path(), false)
            .await;
        serving.abort();
        done
    }

    #[tokio::test]
    async fn a_proxy_that_takes_a_file_in_drips_holds_no_turn() {
        let taken = upload_to_one_that_takes(1 << 20, Duration::from_millis(1)).await;
        assert_eq!(taken.unwrap().direct_path, "/d");
        for (bytes, every) in [(1, 1), (64, 20)] {
            let dripping = upload_to_one_that_takes(bytes, Duration::from_millis(every));
            let given_up = tokio::time::timeout(Duration::from_secs(20), dripping).await;
            let given_up = given_up.expect("it is given up");
            assert!(matches!(given_up, Err(UploadError::Proxy(_))), "{given_up:?}");
        }
    }

    fn reference() -> MediaReference {
        MediaReference {
            kind: MediaKind::Sticker,
            direct_path: String::new(),
            media_key: vec![],
            enc_sha256: vec![0xff; 32],
            sha256: vec![],
            size: 1,
            by_proxy: false,
            asked: Asked::No,
        }
    }

    #[test]
    fn an_upload_goes_to_the_host_that_is_named_and_says_the_hash() {
        let hosts = MediaHosts {
            hosts: vec![],
            auth: "a b&c".into(),
        };
        let reference = reference();
        let upload = MediaUpload::new(maker(None)).unwrap();
        let url = |host: &str| upload.url(host, &hosts, &reference).map(String::from);
        let token = "__________________________________________8";
        assert_eq!(
            url("media-gru1-1.cdn.whatsapp.net").unwrap(),
            format!("https://media-gru1-1.cdn.whatsapp.net/mms/image/{token}?auth=a+b%26c&token={token}")
        );
        for astray in ["", "a@b.example", "a.example/x", "a.example:8", "a b"] {
            assert_eq!(url(astray), None, "{astray}");
        }
        let test = MediaUpload::new(maker(Some("http://127.0.0.1:9/x?y"))).unwrap();
        let url = test.url("anything", &hosts, &reference).unwrap();
        assert!(url.as_str().starts_with("http://127.0.0.1:9/mms/image/"), "{url}");
        assert!(!format!("{hosts:?}").contains("a b"));
    }
}
