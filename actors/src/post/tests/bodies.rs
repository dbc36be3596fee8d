//! What is read of an answer's body, and what becomes of an attempt whose answer has none that ends.

use super::*;

#[tokio::test]
async fn an_answer_that_breaks_off_behind_its_head_is_one() {
    let receiver = Receiver::start().await;
    let poster = poster();
    let started = Instant::now();
    let timeout = Duration::from_millis(300);
    let result = post_within(&poster, &receiver.url("/drip/50"), timeout).await;
    assert!((timeout..PATIENCE).contains(&started.elapsed()), "the slot is not held");
    assert_eq!(result, AttemptResult::TimedOut);
    let result = post(&poster, &receiver.url("/cut")).await;
    assert_eq!(
        (result.http_status(), result.response()),
        (Some(200), Some("0123456789"))
    );
    let head = "retry-after: 30\r\n";
    for (status, body, excerpt) in [
        (200, "transfer-encoding: chunked\r\n\r\nzz\r\n", None),
        (410, "content-length: 1\r\n\r\n", None),
        (503, "content-length: 9\r\n\r\nbusy", Some("busy")),
    ] {
        let answer = format!("HTTP/1.1 {status} As Told\r\n{head}{body}");
        receiver.script("/hook", [Reply::Raw(Bytes::from(answer))]);
        let posted = post_with(&poster, &receiver.url("/hook"), PATIENCE, &HeaderLines::default()).await;
        let expected = AttemptResult::Answered {
            http_status: status,
            response: excerpt.map(str::to_owned),
        };
        assert_eq!(posted.result, expected);
        assert!(posted.retry_after.is_some(), "{status}");
    }
}

#[tokio::test]
async fn at_most_64_kib_are_read() {
    let receiver = Receiver::start().await;
    for path in ["/endless", "/big"] {
        let result = post(&poster(), &receiver.url(path)).await;
        assert_eq!(
            result,
            AttemptResult::Answered {
                http_status: 200,
                response: Some("x".repeat(1024))
            }
        );
        wait_until("the connection to close", PATIENCE, || async {
            receiver.open_connections() == 0
        })
        .await;
    }
    // The rest went no further than buffers of the kernel and of hyper.
    assert!(
        receiver.body_bytes_sent() < 16 * 1024 * 1024,
        "{}",
        receiver.body_bytes_sent()
    );
}

#[tokio::test]
async fn a_body_is_kept_as_it_came() {
    let receiver = Receiver::start().await;
    let gzip = Bytes::from_static(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    receiver.script(
        "/hook",
        [Reply::Answer(200, vec![("content-encoding", "gzip".into())], gzip)],
    );
    let result = post(&poster(), &receiver.url("/hook")).await;
    assert_eq!(
        result.response(),
        Some("\u{1f}\u{fffd}\u{8}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}")
    );
}

#[test]
fn excerpts_are_cut_between_characters() {
    let rows: [(Vec<u8>, Option<String>); 7] = [
        (b"".to_vec(), None),
        (b"ok".to_vec(), Some("ok".into())),
        (b"a\0b".to_vec(), Some("a\u{fffd}b".into())),
        (vec![b'x'; 1027], Some("x".repeat(1024))),
        ("é".repeat(513).into_bytes(), Some("é".repeat(512))),
        (
            ["x".repeat(1023).as_bytes(), "😀".as_bytes()].concat(),
            Some("x".repeat(1023)),
        ),
        (vec![0xff; 1027], Some("\u{fffd}".repeat(341))),
    ];
    for (bytes, expected) in rows {
        assert_eq!(excerpt(&bytes), expected, "{bytes:?}");
    }
}
