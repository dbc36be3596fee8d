//! A media host that takes files: a little HTTP that does to each upload what a test says.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use url::Url;
use wharf_support::wait_until;

use crate::tests::world::WITHIN;

/// What is done with an upload.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// This status, and nothing.
    Status(u16),
    /// So many bytes of it are read, and the connection ends.
    BreakOff(usize),
    /// Nothing, until the test says so.
    Hang,
    /// This status, once the test says so.
    Late(u16),
}

/// An upload as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    /// The path and the query.
    pub(super) target: String,
    pub(super) bytes: usize,
}

#[derive(Default)]
struct Log {
    acts: VecDeque<Act>,
    uploads: Vec<Upload>,
    /// Bytes there are of a file whose upload broke off.
    part: usize,
}

pub(super) struct Host {
    url: Url,
    log: Arc<Mutex<Log>>,
    go_on: watch::Sender<bool>,
}

impl Host {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (go_on, waiting) = watch::channel(false);
        let log: Arc<Mutex<Log>> = Arc::default();
        let shared = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&shared), waiting.clone()));
            }
        });
        Self { url, log, go_on }
    }

    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }

    /// What the next uploads meet; those after them are taken.
    pub(super) fn script(&self, acts: impl IntoIterator<Item = Act>) {
        self.log.lock().unwrap().acts.extend(acts);
    }

    /// Uploads and questions, in their order.
    pub(super) fn uploads(&self) -> Vec<Upload> {
        self.log.lock().unwrap().uploads.clone()
    }

    /// Waits until an upload is there, whatever it met.
    pub(super) async fn has_one(&self) {
        wait_until("an upload is there", WITHIN, || async {
            (!self.uploads().is_empty()).then_some(())
        })
        .await;
    }

    /// What hangs goes on.
    pub(super) fn go_on(&self) {
        self.go_on.send_replace(true);
    }
}

async fn serve(mut socket: TcpStream, log: Arc<Mutex<Log>>, mut waiting: watch::Receiver<bool>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let lines = || head.split("\r\n");
    let length = lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    assert!(lines().any(|line| line == "origin: https://web.whatsapp.com"), "{head}");
    let target = head.split(' ').nth(1).unwrap().to_owned();
    let question = target.contains("resume=1");
    let act = match question {
        true => None,
        false => log.lock().unwrap().acts.pop_front(),
    };
    let most = match act {
        Some(Act::BreakOff(bytes)) => bytes,
        _ => length,
    };
    let (mut bytes, mut buffer) = (0, vec![0; 64 * 1024]);
    while bytes < most {
        let wanted = buffer.len().min(most - bytes);
        match socket.read(&mut buffer[..wanted]).await {
            Ok(0) | Err(_) => break,
            Ok(read) => bytes += read,
        }
    }
    let part = {
        let mut log = log.lock().unwrap();
        log.uploads.push(Upload { target, bytes });
        if let Some(Act::BreakOff(bytes)) = act {
            log.part = bytes;
        }
        log.part
    };
    if matches!(act, Some(Act::Hang | Act::Late(_))) && waiting.wait_for(|go_on| *go_on).await.is_err() {
        return;
    }
    let answer = match act {
        Some(Act::BreakOff(_)) => return,
        Some(Act::Status(status) | Act::Late(status)) => {
            format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
        _ => {
            let body = match question {
                true => format!(r#"{{"resume":"{part}"}}"#),
                false => r#"{"url":"https://mmg.whatsapp.net/v/x","direct_path":"/v/x"}"#.to_owned(),
            };
            let length = body.len();
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
        }
    };
    let _gone = socket.write_all(answer.as_bytes()).await;
}
