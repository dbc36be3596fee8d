//! Bodies that bring a file along.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use wharf_support::wait_until;

use super::{
    super::ServerLimits,
    ALPHA, Facade, LIMITS, NUMBER,
    client::{Ask, Reply},
    fake::FILE_MAX,
    sockets::raw,
};

const BOUNDARY: &str = "b-o-u-n-d";

fn path() -> String {
    format!("/api/whatsapp/connections/{NUMBER}/messages")
}

fn part(headers: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; {headers}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn message() -> Vec<u8> {
    let message = json!({"to": NUMBER, "type": "document"}).to_string();
    part("name=\"message\"", message.as_bytes())
}

fn file(content: &[u8]) -> Vec<u8> {
    part(
        "name=\"file\"; filename=\"/tmp/a b.pdf\"\r\ncontent-type: application/pdf",
        content,
    )
}

fn end() -> Vec<u8> {
    format!("--{BOUNDARY}--\r\n").into_bytes()
}

fn ask(facade: &Facade, parts: &[Vec<u8>]) -> Ask {
    facade
        .ask("POST", &path())
        .header("content-type", &format!("multipart/form-data; boundary={BOUNDARY}"))
        .bytes(parts.concat())
}

fn with_base64(content: &str) -> Value {
    json!({"to": NUMBER, "type": "document", "media": {"base64": content, "file_name": "a.bin"}})
}

/// Files that are received and not yet gone.
fn lying(facade: &Facade) -> usize {
    std::fs::read_dir(facade.desk.received.path()).unwrap().count()
}

#[tokio::test]
async fn the_parts_may_come_in_any_order_and_a_name_in_either_form() {
    let facade = Facade::start().await;
    let content: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    for parts in [[message(), file(&content), end()], [file(&content), message(), end()]] {
        let reply = ask(&facade, &parts).send().await;
        assert_eq!(reply.status, 201, "{reply:?}");
        assert!(
            *facade.desk.file.lock().unwrap() == content,
            "what arrived is what was sent"
        );
        let asked = facade.desk.asked();
        assert!(
            asked.contains("application/pdf") && asked.contains("\"a b.pdf\""),
            "{asked}"
        );
    }
    // As .NET writes one that is not ASCII.
    let both = "name=\"file\"; filename=\"=?utf-8?B?4oKsLnBkZg==?=\"; filename*=utf-8''%E2%82%AC.pdf";
    ask(&facade, &[message(), part(both, b"x"), end()]).send().await;
    assert!(facade.desk.asked().contains("\"€.pdf\""));
    assert_eq!(lying(&facade), 0);
}

#[tokio::test]
async fn what_would_be_refused_is_refused_before_its_file_comes() {
    let facade = Facade::start().await;
    let wrong = json!({"to": NUMBER, "type": "document", "colour": "red"}).to_string();
    let wrong = part("name=\"message\"", wrong.as_bytes());
    for (key, parts, status, said) in [
        ("k", vec![wrong], 400, "colour"),
        ("in-use", vec![message()], 409, "in use"),
        ("full", vec![message()], 429, "Some(false)"),
        ("full", vec![], 429, "None"),
    ] {
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\nidempotency-key: {key}\r\nconnection: close\r\n\
             content-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: 100000000\r\n\r\n",
            path()
        );
        // The beginning of the file, and no more.
        let sent = [head.into_bytes(), parts.concat(), file(&[b'x'; 100_000])].concat();
        let reply = Reply::parse(&raw(&facade, &sent).await);
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(reply.json().to_string().contains(said), "{reply:?}");
        assert_eq!(lying(&facade), 0);
    }
}

#[tokio::test]
async fn bad_parts_are_refused_with_what_is_wrong() {
    let facade = Facade::start().await;
    let other = part("name=\"other\"", b"x");
    for (parts, field) in [
        (vec![file(b"x"), end()], "message"),
        (vec![message(), end()], "file"),
        (vec![message(), file(b"x"), file(b"y"), end()], "file"),
        (vec![message(), other, end()], "other"),
    ] {
        let reply = ask(&facade, &parts).send().await;
        reply.is_refused_for(&[field], field);
    }
    for (headers, field, said) in [
        ("name=\"media\"", "media", "send the file as the part file"),
        ("filename=\"a.pdf\"", "(a part without a name)", "name=\"file\""),
        (
            "name=\"other\"",
            "other",
            "the parts are message (the message in JSON) and file",
        ),
        ("name=\"message\"", "message", "comes twice"),
    ] {
        let reply = ask(&facade, &[message(), part(headers, b"x"), end()]).send().await;
        reply.is_refused_for(&[field], said);
        let message = reply.json()["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(said), "{message}");
    }
    let media = part(
        "name=\"message\"",
        json!({"to": NUMBER, "type": "image", "media": {"url": "https://a.b"}})
            .to_string()
            .as_bytes(),
    );
    let reply = ask(&facade, &[media, file(b"x"), end()]).send().await;
    reply.is_refused_for(&["media"], "media beside a part");
    let long = part("name=\"message\"", &[b' '; 70_000]);
    assert_eq!(ask(&facade, &[long, file(b"x"), end()]).send().await.status, 413);
    // Cut off before its last boundary, and no parts at all.
    assert_eq!(ask(&facade, &[message(), file(b"x")]).send().await.status, 400);
    assert_eq!(ask(&facade, &[vec![b'x'; 1_000_000]]).send().await.status, 400);
    let endless = [format!("--{BOUNDARY}\r\n").into_bytes(), vec![b'h'; 2_000_000]];
    assert_eq!(ask(&facade, &endless).send().await.status, 400);
    let no_boundary = facade
        .ask("POST", &path())
        .header("content-type", "multipart/form-data")
        .bytes("x");
    assert_eq!(no_boundary.send().await.status, 400);
    assert_eq!(lying(&facade), 0);
}

#[tokio::test]
async fn a_file_has_a_limit_and_a_connection_is_looked_for_first() {
    let facade = Facade::start().await;
    let large = vec![7; usize::try_from(FILE_MAX).unwrap() + 1];
    let reply = ask(&facade, &[message(), file(&large), end()]).send().await;
    assert_eq!(reply.status, 413, "{reply:?}");
    let elsewhere = facade
        .ask("POST", "/api/whatsapp/connections/5500000000000/messages")
        .header("content-type", &format!("multipart/form-data; boundary={BOUNDARY}"))
        .bytes([message(), file(&[7; 100_000]), end()].concat());
    assert_eq!(elsewhere.send().await.status, 404);
    let nobody = facade
        .bare("POST", &path())
        .bytes([message(), file(b"x"), end()].concat());
    assert_eq!(nobody.send().await.status, 401);
    let other_route = facade
        .ask("POST", "/api/webhooks/register")
        .header("content-type", &format!("multipart/form-data; boundary={BOUNDARY}"))
        .bytes([message(), end()].concat());
    assert_eq!(other_route.send().await.status, 415);
    assert_eq!(lying(&facade), 0);
}

#[tokio::test]
async fn a_large_message_in_json_has_its_file_in_base64() {
    let facade = Facade::start().await;
    let content: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 251) as u8).collect();
    for text in [
        BASE64_STANDARD.encode(&content),
        BASE64_STANDARD.encode(&content).trim_end_matches('=').to_owned(),
    ] {
        let reply = facade.ask("POST", &path()).json(&with_base64(&text)).send().await;
        assert_eq!(reply.status, 201, "{reply:?}");
        assert!(*facade.desk.file.lock().unwrap() == content);
    }
    let mut broken = BASE64_STANDARD.encode(&content);
    broken.replace_range(200_000..200_001, "*");
    let reply = facade.ask("POST", &path()).json(&with_base64(&broken)).send().await;
    reply.is_refused_for(&["media.base64"], "a broken file");
    let said = reply.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(said.ends_with("see its character 200001"), "{said}");
    let empty = facade.ask("POST", &path()).json(&with_base64("")).send().await;
    empty.is_refused_for(&["media.base64"], "an empty file");
    let announced = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\ncontent-type: application/json\r\n\
         content-length: 99999999\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
        path()
    );
    let refused = raw(&facade, announced.as_bytes()).await;
    assert_eq!(Reply::parse(&refused).status, 413, "and the body is not asked for");
    let too_large = with_base64(&"A".repeat(12 << 20));
    assert_eq!(facade.ask("POST", &path()).json(&too_large).send().await.status, 413);
    let text = json!({"to": NUMBER, "type": "text", "text": "x", "surprise": "x".repeat(70_000)});
    assert_eq!(facade.ask("POST", &path()).json(&text).send().await.status, 400);
    let text = json!({"to": NUMBER, "type": "text", "text": "x", "mentions": vec![NUMBER; 10_000]});
    let reply = facade.ask("POST", &path()).json(&text).send().await;
    assert_eq!(reply.status, 413, "only files make a body large: {reply:?}");
    let no_json = facade
        .ask("POST", &path())
        .header("content-type", "text/plain")
        .bytes(vec![b' '; 100_000]);
    assert_eq!(no_json.send().await.status, 415);
    assert_eq!(lying(&facade), 0);
}

#[tokio::test]
async fn a_key_stands_for_the_message_and_what_the_file_holds() {
    let facade = Facade::start().await;
    for parts in [
        [message(), file(b"one"), end()],
        [file(b"one"), message(), end()],
        [message(), file(b"two"), end()],
    ] {
        let reply = ask(&facade, &parts).header("idempotency-key", "k").send().await;
        assert_eq!(reply.status, 201);
    }
    let hashes = facade.desk.hashes.lock().unwrap().clone();
    assert_eq!(hashes[0], hashes[1], "the order of the parts says nothing");
    assert_ne!(hashes[0], hashes[2]);
}

fn limits(request_timeout: u64) -> ServerLimits {
    ServerLimits {
        request_timeout: Duration::from_millis(request_timeout),
        ..LIMITS
    }
}

#[tokio::test]
async fn who_waited_to_be_asked_for_a_body_reads_why_it_is_refused() {
    let facade = Facade::start().await;
    let body = [message(), file(&vec![b'x'; 2_000_000]), end()].concat();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\nidempotency-key: in-use\r\nconnection: close\r\n\
         expect: 100-continue\r\ncontent-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {}\r\n\r\n",
        path(),
        body.len()
    );
    let answers = raw(&facade, &[head.into_bytes(), body].concat()).await;
    let asked_for = b"HTTP/1.1 100 Continue\r\n\r\n";
    assert!(answers.starts_with(asked_for), "{}", String::from_utf8_lossy(&answers));
    assert_eq!(Reply::parse(&answers[asked_for.len()..]).status, 409);
}

fn head(length: usize) -> String {
    format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ALPHA}\r\nconnection: close\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {length}\r\n\r\n",
        path()
    )
}

/// A client that is silent for half of a request's time is told so; one that keeps a decent pace may take longer than a
/// request.
#[tokio::test]
async fn a_slow_upload_is_bounded_by_its_pace() {
    let facade = Facade::start_with(limits(9000)).await;
    let body = [message(), file(&vec![7; 400_000]), end()].concat();
    let mut socket = TcpStream::connect(facade.address).await.unwrap();
    socket.write_all(head(body.len()).as_bytes()).await.unwrap();
    socket.write_all(&body[..100_000]).await.unwrap();
    let begun = Instant::now();
    let mut answer = Vec::new();
    timeout(LIMITS.request_timeout, socket.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(Reply::parse(&answer).status, 408);
    assert!(begun.elapsed() < LIMITS.request_timeout, "{:?}", begun.elapsed());
    wait_until("what came is gone", LIMITS.request_timeout, || async {
        lying(&facade) == 0
    })
    .await;

    let mut socket = TcpStream::connect(facade.address).await.unwrap();
    socket.write_all(head(body.len()).as_bytes()).await.unwrap();
    let begun = Instant::now();
    for piece in body.chunks(40_000) {
        socket.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(
        begun.elapsed() > Duration::from_millis(9500),
        "longer than a request may take"
    );
    let mut answer = Vec::new();
    timeout(LIMITS.request_timeout, socket.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(Reply::parse(&answer).status, 201);
}

#[tokio::test]
async fn nothing_is_sent_with_a_token_that_was_taken_away_while_the_file_came() {
    let facade = Facade::start().await;
    let body = [message(), file(&vec![7; 400_000]), end()].concat();
    let mut socket = TcpStream::connect(facade.address).await.unwrap();
    socket.write_all(head(body.len()).as_bytes()).await.unwrap();
    socket.write_all(&body[..200_000]).await.unwrap();
    wait_until("the file comes", LIMITS.request_timeout, || async {
        lying(&facade) == 1
    })
    .await;
    facade.desk.rotated.store(true, Ordering::Relaxed);
    socket.write_all(&body[200_000..]).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Reply::parse(&answer).status, 401);
    assert_eq!(facade.desk.asked(), "");
    wait_until("what came is gone", LIMITS.request_timeout, || async {
        lying(&facade) == 0
    })
    .await;
}

/// What a body of 64 MiB may take of memory: sockets' buffers and pieces on their way, on both sides. 4 MiB were seen.
#[cfg(target_os = "linux")]
const MOST_KIB: usize = 16 * 1024;

/// The test below starts this one alone, so that nobody else's memory is measured.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs inside a_large_upload_takes_little_memory"]
async fn inside_a_process_of_its_own() {
    use wharf_support::{begin_measuring, process_kib};
    let facade = Facade::start().await;
    facade.desk.most.store(u64::MAX, std::sync::atomic::Ordering::Relaxed);
    let (begin, ending) = (file(b""), end());
    let begin = &begin[..begin.len() - 2];
    let (pieces, piece) = (1024, vec![7_u8; 64 * 1024]);
    let length = message().len() + begin.len() + pieces * piece.len() + 2 + ending.len();
    let mut socket = TcpStream::connect(facade.address).await.unwrap();
    let Some(before) = begin_measuring() else { return };
    socket.write_all(head(length).as_bytes()).await.unwrap();
    socket.write_all(&message()).await.unwrap();
    socket.write_all(begin).await.unwrap();
    for _ in 0..pieces {
        socket.write_all(&piece).await.unwrap();
    }
    socket.write_all(&[b"\r\n", &ending[..]].concat()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let grown = process_kib("VmHWM").saturating_sub(before);
    println!("64 MiB received: {grown} KiB more memory");
    assert_eq!(Reply::parse(&answer).status, 201);
    assert_eq!(
        facade.desk.file_size.load(std::sync::atomic::Ordering::Relaxed),
        64 << 20
    );
    assert!(grown < MOST_KIB, "{grown} KiB");
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_upload_takes_little_memory() {
    wharf_support::run_alone("http::tests::uploads::inside_a_process_of_its_own");
}
