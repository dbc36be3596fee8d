//! A large file takes no more memory than a small one, in a process of its own.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use uuid::Uuid;
use wharf_domain::{ClientId, ConnectionKey, EventId, address::TargetPolicy, message::MediaKind};
use wharf_support::{begin_measuring, process_kib, run_alone};
use wharf_whatsapp::media::{MediaDecryptor, encrypt};

use crate::{
    media::files::MediaFiles,
    post::Checked,
    tests::world::number,
    web::{
        download::MediaSource,
        way::{Maker, Way},
    },
};

/// What the file has.
const SIZE: u64 = 64 << 20;
/// What downloading it may take: sockets' buffers, four pieces on their way, one being decrypted, on both sides. 7 MiB were seen.
const MOST_KIB: usize = 16 * 1024;

/// Bytes without end, not all the same.
struct Counting(u8);

impl Read for Counting {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        buf.fill(self.0);
        self.0 = self.0.wrapping_add(1);
        Ok(buf.len())
    }
}

async fn serve(listener: TcpListener, mut file: tokio::fs::File, size: u64) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let mut head = [0; 4096];
        let _request = socket.read(&mut head).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        tokio::io::AsyncSeekExt::rewind(&mut file).await.unwrap();
        tokio::io::copy(&mut file, &mut socket).await.unwrap();
    }
}

/// The test below starts this one alone, so that nobody else's memory is measured.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs inside a_large_file_takes_little_memory"]
async fn inside_a_process_of_its_own() {
    let dir = wharf_support::temp_dir();
    let mut encrypted = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(dir.path().join("encrypted"))
        .unwrap();
    let made = encrypt(MediaKind::Video, Counting(0).take(SIZE), &mut encrypted).unwrap();
    encrypted.seek(SeekFrom::Start(0)).unwrap();
    let length = encrypted.metadata().unwrap().len();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = url::Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(serve(listener, tokio::fs::File::from_std(encrypted), length));
    let reference = made.reference(MediaKind::Video, "/v/film".into());
    let maker = Maker::new(Checked::new(TargetPolicy::default()), "", Some(base)).unwrap();
    let (source, files) = (
        MediaSource::new(maker).unwrap(),
        MediaFiles::new(dir.path().join("media")),
    );
    let Some(before) = begin_measuring() else { return };
    let begun = Instant::now();
    let (client, id) = (ClientId(1), EventId(Uuid::from_u128(1)));
    let way = Way {
        key: ConnectionKey {
            client_id: client,
            phone_number: number(1),
        },
        proxy: None,
    };
    let decryptor = MediaDecryptor::new(&reference).unwrap();
    let writing = files.write(client, id, decryptor, SIZE);
    let mut coming = source.open(&way, &reference.direct_path, 1).await.unwrap();
    while let Some(piece) = coming.next().await.unwrap() {
        assert!(writing.take(piece).await);
    }
    assert_eq!(writing.finish().await.unwrap(), SIZE);
    let (grown, took) = (process_kib("VmHWM").saturating_sub(before), begun.elapsed());
    println!(
        "{} MiB downloaded and decrypted in {took:?}: {grown} KiB more memory",
        SIZE >> 20
    );
    assert!(grown < MOST_KIB, "{grown} KiB");
    assert_eq!(std::fs::metadata(files.path(client, id)).unwrap().len(), SIZE);
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_file_takes_little_memory() {
    run_alone("tests::media::flat::inside_a_process_of_its_own");
}
