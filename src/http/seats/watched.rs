//! The socket of a connection, by which its seat knows what it does.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{super::bare, Doing, Seat};

/// A socket that notes on its seat what it does.
pub(in super::super) struct Watched {
    stream: TcpStream,
    seat: Arc<Seat>,
    max_header_bytes: usize,
    /// What is being sent in the place of a bare refusal.
    instead: Option<Bytes>,
}

impl Watched {
    pub(in super::super) fn new(stream: TcpStream, seat: Arc<Seat>, max_header_bytes: usize) -> Self {
        Self {
            stream,
            seat,
            max_header_bytes,
            instead: None,
        }
    }

    /// An answer before there is a request, and after the whole of the one before, is hyper's own.
    fn look_for_refusal(&mut self, bytes: &[u8]) {
        if self.instead.is_none() && self.seat.is_without_request() {
            self.instead = bare::in_place_of(bytes, self.max_header_bytes).map(Bytes::from);
        }
    }

    /// Sends what stands in the place of `length` bytes, if anything does.
    fn send_instead(&mut self, cx: &mut Context<'_>, length: usize) -> Option<Poll<io::Result<usize>>> {
        let instead = self.instead.as_mut()?;
        while !instead.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, instead) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(written)) => instead.advance(written),
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => return Some(Poll::Pending),
            }
        }
        self.instead = None;
        Some(self.wrote(Ok(length)))
    }

    fn wrote(&self, written: io::Result<usize>) -> Poll<io::Result<usize>> {
        if matches!(written, Ok(bytes) if bytes > 0) {
            self.seat.turn(Doing::Waiting, Doing::Answering);
        }
        if let Ok(bytes) = written {
            self.seat.moved(bytes);
        }
        Poll::Ready(written)
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.seat.came();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.look_for_refusal(buf);
        if let Some(sent) = self.send_instead(cx, buf.len()) {
            return sent;
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A refusal is one piece.
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when it has handed everything over: the answer is with the kernel.
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.seat.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
