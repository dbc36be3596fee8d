//! Uploads to WhatsApp's media hosts: one `POST` of the encrypted file, streamed from the disk, whose address names its hash.

use std::{
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use reqwest::{Client, Response, StatusCode, Url, header};
use serde::Deserialize;
use thiserror::Error;
use tokio::io::{AsyncRead as _, AsyncSeekExt as _, ReadBuf};
use wharf_domain::{download, message::MediaReference};
use wharf_whatsapp::{
    MediaHosts,
    media::{upload_path, upload_token},
};

use super::way::{Clients, Kind, Maker, Way, blocked_way};
use crate::post::PosterError;

/// For data that a media host does not acknowledge.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// For the question how much of a file is there.
const QUESTION: Duration = Duration::from_secs(10);
/// WhatsApp Web's origin, without which its hosts take no uploads.
const ORIGIN: &str = "https://web.whatsapp.com";
/// The largest answer that is read: it holds two addresses.
const ANSWER_BYTES: usize = 64 * 1024;
/// What is read of the file in one go.
const PIECE: usize = 64 * 1024;

/// See the module. Clones share their clients.
#[derive(Debug, Clone)]
pub(crate) struct MediaUpload(Clients);

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
    /// The number's own proxy does not lead to the host; in words.
    #[error("{0}")]
    Proxy(String),
    /// The file cannot be read here.
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
        Ok(Self(Clients::new(maker, kind)?))
    }

    /// Its clients.
    pub(crate) fn clients(&self) -> &Clients {
        &self.0
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
        let client = self.0.by(way).map_err(|error| UploadError::Proxy(error.to_string()))?;
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
        let request = client
            .post(url)
            .header(header::ORIGIN, ORIGIN)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .timeout(download::deadline(Some(left)))
            .body(reqwest::Body::wrap(FileBody { file, left }));
        let answer = request.send().await.map_err(|error| {
            let blocked = blocked_way(way.proxy.as_ref(), &error).map(UploadError::Proxy);
            blocked.unwrap_or_else(|| unreachable(error))
        })?;
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
        let mut url = match self.0.test_network() {
            Some(base) => base.clone(),
            None => Url::parse(&format!("https://{host}")).ok()?,
        };
        // The server names a host and nothing else.
        let named = self.0.test_network().is_some() || url.host_str() == Some(host);
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

/// The rest of a file, as a body of known length.
struct FileBody {
    file: tokio::fs::File,
    left: u64,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        let mut piece = vec![0; wanted];
        let mut buffer = ReadBuf::new(&mut piece);
        if let Err(error) = ready!(Pin::new(&mut self.file).poll_read(cx, &mut buffer)) {
            return Poll::Ready(Some(Err(error)));
        }
        let read = buffer.filled().len();
        if read == 0 {
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        piece.truncate(read);
        self.left -= read as u64;
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use wharf_domain::message::{Asked, MediaKind};

    use super::{super::tests::maker, *};

    #[test]
    fn an_upload_goes_to_the_host_that_is_named_and_says_the_hash() {
        let hosts = MediaHosts {
            hosts: vec![],
            auth: "a b&c".into(),
        };
        let reference = MediaReference {
            kind: MediaKind::Sticker,
            direct_path: String::new(),
            media_key: vec![],
            enc_sha256: vec![0xff; 32],
            sha256: vec![],
            size: 1,
            by_proxy: false,
            asked: Asked::No,
        };
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
