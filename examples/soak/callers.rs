//! Clients of the API as nobody wants them: streams that are left alone, requests that do not end, answers that nobody reads.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::line::{Line, Stage};

/// One after another until the end, each for some seconds.
pub(crate) async fn misbehave(stage: Arc<Stage>, lines: Vec<Arc<Line>>, mut rng: Rng) {
    while !stage.is_over() {
        let line = &lines[rng.usize(..lines.len())];
        let what = rng.u32(..8);
        let patience = rng.u64(200..4000);
        // Whatever becomes of it: the gateway may be away.
        let _broken = one(&stage, line, what, patience).await;
        stage.book.did("callers that misbehave");
        stage.pause(rng.u64(50..600)).await;
    }
}

async fn one(stage: &Stage, line: &Line, what: u32, patience: u64) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(&stage.api.address).await?;
    let path = line.connection();
    let token = line.tenant.token();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    let head = |length: usize| {
        format!(
            "POST {path}/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    match what {
        // A stream that is read for a while, and one that is not read at all.
        0 | 1 => socket.write_all(get(&format!("{path}/events")).as_bytes()).await?,
        // A long poll that is not waited for.
        2 => socket.write_all(get(&format!("{path}/qr?wait=20")).as_bytes()).await?,
        // A head, and a body, that stop in the middle.
        3 => socket.write_all(b"GET /api/webhooks/list HTTP/1.1\r\nhost: ").await?,
        4 => {
            socket.write_all(head(5000).as_bytes()).await?;
            socket.write_all(br#"{"to": "55119"#).await?;
        }
        // No HTTP.
        5 => socket.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await?,
        // A request whose answer nobody waits for.
        6 => {
            let body = format!(r#"{{"to": "{}", "type": "text", "text": "gone"}}"#, line.contacts[0]);
            socket.write_all(head(body.len()).as_bytes()).await?;
            socket.write_all(body.as_bytes()).await?;
            return Ok(());
        }
        // Many in a row, none of whose answers is read.
        _ => {
            for _ in 0..50 {
                socket.write_all(get("/api/events?limit=200").as_bytes()).await?;
            }
        }
    }
    if what == 0 {
        let mut read = vec![0; 4096];
        let _while = tokio::time::timeout(Duration::from_millis(patience), async {
            while socket.read(&mut read).await? > 0 {}
            Ok::<_, std::io::Error>(())
        })
        .await;
    } else {
        stage.pause(patience).await;
    }
    Ok(())
}
