//! Files by signed links.

use std::{fs, os::unix::fs::symlink, sync::Mutex};

use tempfile::TempDir;
use tracing::Level;
use wharf_actors::{MediaFile, NoMedia};
use wharf_domain::{ClientId, EventId, media_link::MediaLink};

use super::{
    Facade,
    client::{Ask, Reply},
    fake::ID,
    log,
    sockets::raw,
};

/// Links of the fake desk are signed with this word.
const SIGNED: &str = "signed";
const EXPIRES: i64 = 4_000_000_000;

/// What links lead to in the fake desk.
pub(super) struct Files {
    dir: TempDir,
    mime_type: Mutex<String>,
    state: Mutex<Option<NoMedia>>,
}

impl Default for Files {
    fn default() -> Self {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("file"), b"0123456789").unwrap();
        Self {
            dir,
            mime_type: Mutex::new("image/png".into()),
            state: Mutex::default(),
        }
    }
}

impl Files {
    /// Makes the file so large.
    pub(super) fn grow(&self, size: usize) {
        self.hold(&vec![b'x'; size]);
    }

    fn hold(&self, bytes: &[u8]) {
        fs::write(self.dir.path().join("file"), bytes).unwrap();
    }

    pub(super) fn get(&self, link: &MediaLink, signature: &str) -> Result<MediaFile, NoMedia> {
        if signature != SIGNED || (link.client_id, link.event_id, link.expires) != (ClientId(1), EventId(ID), EXPIRES) {
            return Err(NoMedia::NotSigned);
        }
        match self.state.lock().unwrap().clone() {
            Some(no) => Err(no),
            None => Ok(MediaFile {
                path: self.dir.path().join("file"),
                size: fs::metadata(self.dir.path().join("file")).map_or(0, |file| file.len()),
                mime_type: self.mime_type.lock().unwrap().clone(),
                sha256: "84d8".into(),
            }),
        }
    }
}

/// The link of a file of client 1.
pub(super) fn path(name: &str) -> String {
    format!("/media/1/{ID}/{name}?expires={EXPIRES}&signature={SIGNED}")
}

fn get(facade: &Facade) -> Ask {
    facade.bare("GET", &path("a%20%C3%A9.png"))
}

fn text(reply: &Reply) -> &str {
    std::str::from_utf8(&reply.body).unwrap()
}

#[tokio::test]
async fn a_link_gives_its_file_without_a_token() {
    let facade = Facade::start().await;
    let reply = get(&facade).send().await;
    assert_eq!((reply.status, text(&reply)), (200, "0123456789"));
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-length", "10"),
        ("accept-ranges", "bytes"),
        ("etag", "\"84d8\""),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "private, max-age=3600"),
        (
            "content-disposition",
            "inline; filename=\"a _.png\"; filename*=UTF-8''a%20%C3%A9%2Epng",
        ),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    assert!(reply.header("content-security-policy").unwrap().starts_with("sandbox"));
    let head = facade.bare("HEAD", &path("a.png")).send().await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("10"));
}

#[tokio::test]
async fn parts_of_a_file_are_given_as_asked() {
    let facade = Facade::start().await;
    for (range, status, body, content_range) in [
        ("bytes=0-3", 206, "0123", Some("bytes 0-3/10")),
        ("bytes=4-", 206, "456789", Some("bytes 4-9/10")),
        ("bytes=-2", 206, "89", Some("bytes 8-9/10")),
        ("bytes=8-100", 206, "89", Some("bytes 8-9/10")),
        ("bytes=0-1,4-5", 200, "0123456789", None),
        ("chapters=1", 200, "0123456789", None),
    ] {
        let reply = get(&facade).header("range", range).send().await;
        assert_eq!((reply.status, text(&reply)), (status, body), "{range}");
        assert_eq!(reply.header("content-range"), content_range, "{range}");
        assert_eq!(reply.header("content-length"), Some(body.len().to_string().as_str()));
    }
    let reply = get(&facade).header("range", "bytes=10-").send().await;
    assert_eq!((reply.status, reply.header("content-range")), (416, Some("bytes */10")));
    let part = |tag: &str| get(&facade).header("range", "bytes=1-1").header("if-range", tag).send();
    assert_eq!(part("\"84d8\"").await.status, 206);
    assert_eq!(part("\"other\"").await.status, 200);
    let known = get(&facade).header("if-none-match", "\"x\", \"84d8\"").send().await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    let head = facade
        .bare("HEAD", &path("a.png"))
        .header("range", "bytes=0-3")
        .send()
        .await;
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, Some("10"), 0),
        "ranges are of `GET` alone"
    );
}

/// Files are read in pieces of 64 KiB, and each is with the kernel before the next one is there.
#[tokio::test]
async fn a_file_that_looks_like_an_answer_of_the_server_goes_out_as_it_is() {
    let facade = Facade::start().await;
    let answer = b"HTTP/1.1 400 X\r\ncontent-length: 0\r\nx: y\r\n\r\n";
    for pieces in [1, 2] {
        let file = [vec![b'x'; pieces * 65_536], answer.to_vec()].concat();
        facade.desk.files.hold(&file);
        let asked = format!(
            "GET {} HTTP/1.1\r\nhost: x\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            path("a.png")
        );
        let mut first = Reply::parse(&raw(&facade, asked.as_bytes()).await);
        assert!(first.body.len() > file.len(), "{pieces}: {}", first.body.len());
        let second = first.body.split_off(file.len());
        assert!(first.body == file, "{pieces}: another file");
        assert_eq!((first.status, Reply::parse(&second).status), (200, 200), "{pieces}");
    }
}

#[tokio::test]
async fn a_link_that_was_made_up_tells_nothing() {
    let facade = Facade::start().await;
    let refused = |path: String| facade.bare("GET", &path).send();
    let mut answers = Vec::new();
    for path in [
        format!("/media/1/{ID}/a?expires={EXPIRES}&signature=other"),
        format!("/media/2/{ID}/a?expires={EXPIRES}&signature={SIGNED}"),
        format!("/media/1/{ID}/a?expires={}&signature={SIGNED}", EXPIRES + 1),
        format!("/media/1/{ID}/a?signature={SIGNED}"),
        format!("/media/1/{ID}/a"),
        format!("/media/x/{ID}/a?expires=1&signature={SIGNED}"),
        "/media/1/nothing/a?expires=1&signature=x".to_owned(),
    ] {
        let reply = refused(path.clone()).await;
        assert_eq!(reply.status, 403, "{path}");
        answers.push(text(&reply).to_owned());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "all alike: {answers:?}");
    for path in ["/media", "/media/1", "/media/1/2/3/4"] {
        assert_eq!(refused(path.to_owned()).await.status, 404, "{path}");
    }
    let reply = facade.bare("POST", &path("a")).send().await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
}

#[tokio::test]
async fn a_good_link_says_why_there_is_no_file() {
    let facade = Facade::start().await;
    for (no, status) in [
        (NoMedia::Expired, 410),
        (NoMedia::Missing, 404),
        (NoMedia::NotYet, 503),
        (NoMedia::Unavailable("the store is away".into()), 503),
    ] {
        *facade.desk.files.state.lock().unwrap() = Some(no.clone());
        let reply = get(&facade).send().await;
        assert_eq!(reply.status, status, "{no:?}");
        assert_eq!(reply.header("retry-after").is_some(), status == 503);
    }
    *facade.desk.files.state.lock().unwrap() = None;
    let place = facade.desk.files.dir.path().join("file");
    fs::remove_file(&place).unwrap();
    assert_eq!(get(&facade).send().await.status, 404, "somebody removed it");
    // What leads to itself is there, and cannot be opened.
    symlink(&place, &place).unwrap();
    let reply = get(&facade).send().await;
    assert_eq!((reply.status, reply.header("retry-after").is_some()), (503, true));
}

#[tokio::test]
async fn what_a_sender_calls_a_page_is_no_page_here() {
    let facade = Facade::start().await;
    for (mime_type, sent, shown) in [
        ("text/html", "text/html", "attachment"),
        ("image/svg+xml", "image/svg+xml", "attachment"),
        ("audio/ogg; codecs=opus", "audio/ogg; codecs=opus", "inline"),
        ("text/html\r\nx: y", "application/octet-stream", "attachment"),
        ("image/png;, text/html", "image/png", "inline"),
        ("image/png, text/html", "application/octet-stream", "attachment"),
        ("image/png\r\nx: y", "application/octet-stream", "attachment"),
        ("", "application/octet-stream", "attachment"),
    ] {
        *facade.desk.files.mime_type.lock().unwrap() = mime_type.into();
        let reply = get(&facade).send().await;
        assert_eq!(reply.header("content-type"), Some(sent), "{mime_type}");
        let disposition = reply.header("content-disposition").unwrap();
        assert!(disposition.starts_with(shown), "{mime_type}: {disposition}");
    }
}

/// Whoever was given a link may ask for its file over and over until it is here.
#[tokio::test]
async fn a_file_that_is_not_here_yet_is_nothing_to_warn_of() {
    let (lines, _here) = log::listen(Level::WARN);
    let facade = Facade::start().await;
    for (state, warns) in [
        (NoMedia::NotYet, false),
        (NoMedia::Unavailable("the disk is broken".to_owned()), true),
    ] {
        *facade.desk.files.state.lock().unwrap() = Some(state);
        let reply = get(&facade).send().await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
        let logged = lines.text();
        assert_eq!(logged.contains("request failed"), warns, "{logged}");
    }
}
