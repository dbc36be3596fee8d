//! A receiver that speaks HTTP/2 over TLS, as most that stand on the internet do.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Connection, SendResponse},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::Identity;

/// Answers by path: `/ok`, `/status/CODE`, `/endless` (as much as the sender's window admits), `/hang`, `/reset`
/// (INTERNAL_ERROR), `/refuse-once` (REFUSED_STREAM, which promises that nothing was done, then 200 for ever) and
/// `/drop` (the whole connection goes). Dropping it closes its port.
pub struct Http2Receiver {
    address: SocketAddr,
    counts: Arc<Counts>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
    refused: AtomicUsize,
}

impl Drop for Http2Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Http2Receiver {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(identity: &Identity) -> Self {
        let mut config = (*identity.config()).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port for the receiver");
        let address = listener.local_addr().expect("a bound port");
        let counts = Arc::<Counts>::default();
        let shared = Arc::clone(&counts);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let (tls, counts) = (tls.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    if let Ok(socket) = tls.accept(socket).await
                        && let Ok(connection) = h2::server::handshake(socket).await
                    {
                        serve(connection, counts).await;
                    }
                });
            }
        });
        Self {
            address,
            counts,
            accepting,
        }
    }

    /// The URL of a path, by address.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Requests so far, refused ones among them.
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::Relaxed)
    }
}

async fn serve(mut connection: Connection<TlsStream<TcpStream>, Bytes>, counts: Arc<Counts>) {
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        counts.requests.fetch_add(1, Ordering::Relaxed);
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/drop" => return,
            "/reset" => respond.send_reset(Reason::INTERNAL_ERROR),
            "/refuse-once" if counts.refused.fetch_add(1, Ordering::Relaxed) == 0 => {
                respond.send_reset(Reason::REFUSED_STREAM);
            }
            _ => {
                tokio::spawn(answer(path, request.into_body(), respond));
            }
        }
    }
}

async fn answer(path: String, mut body: RecvStream, mut respond: SendResponse<Bytes>) {
    while let Some(Ok(part)) = body.data().await {
        let _ = body.flow_control().release_capacity(part.len());
    }
    if path == "/hang" {
        return std::future::pending().await;
    }
    let status = path
        .strip_prefix("/status/")
        .and_then(|code| code.parse::<u16>().ok())
        .unwrap_or(200);
    let mut response = http::Response::new(());
    *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    // The sender may be gone by now; it is the one that is tested.
    let Ok(mut stream) = respond.send_response(response, false) else {
        return;
    };
    if path == "/endless" {
        while stream.send_data(Bytes::from_static(&[b'x'; 8192]), false).is_ok() {
            stream.reserve_capacity(8192);
            if std::future::poll_fn(|context| stream.poll_capacity(context))
                .await
                .is_none_or(|given| given.is_err())
            {
                return;
            }
        }
    }
    let _ = stream.send_data(Bytes::from_static(b"ok"), true);
}
