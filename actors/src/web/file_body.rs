//! The rest of a file as the body of a request, and how fast it is taken.

use std::{
    future, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::pace::{Coming, LEAST_PACE, LeastPace};

/// What is read of the file in one go.
const PIECE: usize = 64 * 1024;

/// How long it may take until a file is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How fast it is to be taken at the least.
    pub(super) pace: LeastPace,
    /// Until more of it is taken. The kernel holds some megabytes, and asks for more when a third of that has left.
    pub(super) stall: Duration,
    /// Until there is an answer, once all of it is with the kernel.
    pub(super) answer: Duration,
}

/// With a proxy, which is whose it is.
pub(super) const PATIENCE: Patience = Patience {
    pace: LEAST_PACE,
    stall: Duration::from_secs(60),
    answer: Duration::from_secs(120),
};

/// A body of known length.
pub(super) struct FileBody {
    file: tokio::fs::File,
    left: u64,
    taken: u64,
    progress: watch::Sender<Option<u64>>,
}

/// What is taken of a body, in bytes; none before the first are asked for.
pub(super) struct Progress(watch::Receiver<Option<u64>>);

impl FileBody {
    /// The next `left` bytes of `file`.
    pub(super) fn new(file: tokio::fs::File, left: u64) -> (Self, Progress) {
        let (progress, seen) = watch::channel(None);
        let body = Self {
            file,
            left,
            taken: 0,
            progress,
        };
        (body, Progress(seen))
    }
}

impl Progress {
    /// Returns when the file is taken too slowly.
    pub(super) async fn too_slow(mut self, patience: Patience) {
        let mut coming = Coming::at(patience.pace);
        let mut before: Option<(Instant, u64)> = None;
        loop {
            match timeout(patience.stall, self.0.changed()).await {
                Ok(Ok(())) => {}
                // All of it was taken.
                Ok(Err(_)) => return sleep(patience.answer).await,
                Err(_) => return,
            }
            let (now, taken) = (Instant::now(), self.0.borrow_and_update().unwrap_or_default());
            if let Some((since, bytes)) = before {
                let more = usize::try_from(taken - bytes).unwrap_or(usize::MAX);
                if !coming.is_in_time(now - since, more) {
                    return;
                }
            }
            before = Some((now, taken));
        }
    }

    /// As [`Progress::too_slow`], or never without somebody who has to be hurried.
    pub(super) async fn too_slow_for(self, patience: Option<Patience>) {
        match patience {
            Some(patience) => self.too_slow(patience).await,
            None => future::pending().await,
        }
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        // Whoever asks for more has taken what there was.
        let taken = Some(self.taken);
        self.progress
            .send_if_modified(|said| std::mem::replace(said, taken) != taken);
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        let mut piece = vec![0; wanted];
        let mut buffer = ReadBuf::new(&mut piece);
        if let Err(error) = ready!(Pin::new(&mut self.file).poll_read(cx, &mut buffer)) {
            return Poll::Ready(Some(Err(error)));
        }
        let read = buffer.filled().len();
        if read == 0 {
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        piece.truncate(read);
        self.left -= read as u64;
        self.taken += read as u64;
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
