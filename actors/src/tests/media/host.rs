//! A media host: a little HTTP that does to each path what a test says.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use url::Url;
use wharf_domain::message::{MediaKind, MediaReference};
use wharf_whatsapp::media::encrypt;

/// What is done with a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// The file.
    Whole,
    /// Another status, and nothing.
    Status(u16),
    /// The file with the byte at this place changed.
    Flip(usize),
    /// So many bytes of it, as if they were all.
    Cut(usize),
    /// Half of it, and the rest when the test says so.
    Hang,
    /// The same, without a word of how long it is.
    HangUnsaid,
}

#[derive(Default)]
struct Shelf {
    files: HashMap<String, Arc<Vec<u8>>>,
    acts: HashMap<String, VecDeque<Act>>,
}

pub(super) struct Host {
    url: Url,
    shelf: Arc<Mutex<Shelf>>,
    requests: Arc<AtomicUsize>,
    go_on: watch::Sender<bool>,
}

/// What the files hold.
pub(super) fn plain(size: usize) -> Vec<u8> {
    (0..size).map(|place| u8::try_from(place * 7 % 253).unwrap()).collect()
}

impl Host {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (go_on, waiting) = watch::channel(false);
        let host = Self {
            url,
            shelf: Arc::default(),
            requests: Arc::default(),
            go_on,
        };
        let (shelf, requests) = (Arc::clone(&host.shelf), Arc::clone(&host.requests));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(
                    socket,
                    Arc::clone(&shelf),
                    Arc::clone(&requests),
                    waiting.clone(),
                ));
            }
        });
        host
    }

    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Lays a file of `size` bytes down.
    pub(super) fn put(&self, size: usize) -> MediaReference {
        let mut file = Vec::new();
        let made = encrypt(MediaKind::Image, &plain(size)[..], &mut file).unwrap();
        let mut shelf = self.shelf.lock().unwrap();
        let direct_path = format!("/v/t62/{}?ccb=1", shelf.files.len());
        shelf.files.insert(direct_path.clone(), Arc::new(file));
        made.reference(MediaKind::Image, direct_path)
    }

    /// What the next requests for a path meet; those after them get the file.
    pub(super) fn script(&self, path: &str, acts: impl IntoIterator<Item = Act>) {
        let mut shelf = self.shelf.lock().unwrap();
        shelf.acts.entry(path.to_owned()).or_default().extend(acts);
    }

    /// What hangs goes on.
    pub(super) fn go_on(&self) {
        self.go_on.send_replace(true);
    }
}

async fn serve(
    mut socket: TcpStream,
    shelf: Arc<Mutex<Shelf>>,
    requests: Arc<AtomicUsize>,
    mut waiting: watch::Receiver<bool>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if socket.read_exact(&mut byte).await.is_err() {
            return;
        }
        head.push(byte[0]);
    }
    requests.fetch_add(1, Ordering::Relaxed);
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap();
    let (file, act) = {
        let mut shelf = shelf.lock().unwrap();
        let act = shelf.acts.get_mut(path).and_then(VecDeque::pop_front);
        (shelf.files.get(path).cloned(), act.unwrap_or(Act::Whole))
    };
    let Some(file) = file else {
        let status = if let Act::Status(status) = act { status } else { 404 };
        return answer(&mut socket, status, &[]).await;
    };
    match act {
        Act::Whole => answer(&mut socket, 200, &file).await,
        Act::Status(status) => answer(&mut socket, status, &[]).await,
        Act::Cut(bytes) => answer(&mut socket, 200, &file[..bytes]).await,
        Act::Flip(place) => {
            let mut file = file.to_vec();
            file[place] ^= 1;
            answer(&mut socket, 200, &file).await;
        }
        Act::Hang | Act::HangUnsaid => {
            let (half, rest) = file.split_at(file.len() / 2);
            let length = matches!(act, Act::Hang).then_some(file.len());
            say(&mut socket, 200, length, half).await;
            if waiting.wait_for(|go_on| *go_on).await.is_ok() {
                let _gone = socket.write_all(rest).await;
            }
        }
    }
}

async fn answer(socket: &mut TcpStream, status: u16, body: &[u8]) {
    say(socket, status, Some(body.len()), body).await;
}

async fn say(socket: &mut TcpStream, status: u16, length: Option<usize>, body: &[u8]) {
    let length = length
        .map(|length| format!("content-length: {length}\r\n"))
        .unwrap_or_default();
    let head = format!("HTTP/1.1 {status} x\r\n{length}connection: close\r\n\r\n");
    let _gone = socket.write_all(head.as_bytes()).await;
    let _gone = socket.write_all(body).await;
}
