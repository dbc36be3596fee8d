//! A WebSocket as a stream of frames.

use std::time::Duration;

use bytes::BytesMut;
use futures::{SinkExt, StreamExt as _};
use warp::ws::{Message, WebSocket};

use crate::wire::frames::{FrameError, FrameReader, encode};

/// How long a client may take to close its side.
const LINGER: Duration = Duration::from_secs(2);

/// Why a socket is of no more use.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    #[error("socket: {0}")]
    Socket(#[from] warp::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// A socket with its frame reader.
pub(super) struct Socket {
    inner: WebSocket,
    frames: FrameReader,
}

impl Socket {
    pub(super) fn new(inner: WebSocket) -> Self {
        Self {
            inner,
            frames: FrameReader::default(),
        }
    }

    /// The next frame, or `None` when the client has closed. Safe to cancel.
    ///
    /// # Errors
    /// [`SocketError`] if the socket broke or the bytes are not frames.
    pub(super) async fn receive(&mut self) -> Result<Option<BytesMut>, SocketError> {
        loop {
            if let Some(frame) = self.frames.next()? {
                return Ok(Some(frame));
            }
            match self.inner.next().await {
                None => return Ok(None),
                Some(message) => {
                    let message = message?;
                    if message.is_close() {
                        return Ok(None);
                    }
                    if message.is_binary() {
                        self.frames.feed(message.as_bytes());
                    }
                }
            }
        }
    }

    /// Queues a frame; [`Socket::flush`] sends it.
    ///
    /// # Errors
    /// [`SocketError`] if the socket broke or the frame is too long.
    pub(super) async fn queue(&mut self, payload: &[u8]) -> Result<(), SocketError> {
        Ok(self.inner.feed(Message::binary(encode(payload)?)).await?)
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// [`SocketError`] if the socket broke.
    pub(super) async fn flush(&mut self) -> Result<(), SocketError> {
        Ok(self.inner.flush().await?)
    }

    /// Closes politely and waits until the client has closed too, for [`LINGER`] at most. Without the wait, what the
    /// client sent meanwhile would turn the close into a reset, and a reset takes the last stanza with it.
    pub(super) async fn close(mut self) {
        let farewell = async {
            if SinkExt::close(&mut self.inner).await.is_ok() {
                while let Some(Ok(_)) = self.inner.next().await {}
            }
        };
        let _ = tokio::time::timeout(LINGER, farewell).await;
    }
}
