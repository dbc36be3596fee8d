//! The webhook's receiver: takes events and keeps a log, and is too busy now and then.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use warp::{Filter, http::StatusCode, reply};

use super::DemoError;

/// The first attempt of every so manieth event is refused,
pub(super) const REFUSES_EVERY: u64 = 4;
/// but not sooner than this after the last refusal: each holds its chat up for five seconds, and chats must get on.
const REFUSES_AFTER: Duration = Duration::from_millis(1500);

/// A webhook's POST as the receiver saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    /// WhatsApp's id of the message, from the body.
    pub(super) message_id: String,
    /// The header `webhook-attempt`.
    pub(super) number: u32,
    /// What the receiver answered.
    pub(super) status: u16,
    /// When it answered.
    pub(super) at: Instant,
}

/// Of the body, what the log needs.
#[derive(Deserialize)]
struct Body {
    message_id: String,
}

/// A running receiver; dropping it stops it.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) url: String,
    log: mpsc::UnboundedReceiver<Attempt>,
    calm: Arc<AtomicBool>,
    serving: JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn start() -> Result<Self, DemoError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(DemoError::Receiver)?;
        let url = format!("http://{}/hook", listener.local_addr().map_err(DemoError::Receiver)?);
        let (sender, log) = mpsc::unbounded_channel();
        let calm = Arc::new(AtomicBool::new(false));
        let desk = Desk {
            log: sender,
            calm: Arc::clone(&calm),
            mood: Arc::default(),
        };
        let hook = warp::post()
            .and(warp::path("hook"))
            .and(warp::header("webhook-attempt"))
            .and(warp::body::json())
            .map(move |number, body: Body| desk.answer(number, body));
        let serving = tokio::spawn(warp::serve(hook).incoming(listener).run());
        Ok(Self {
            url,
            log,
            calm,
            serving,
        })
    }

    /// What arrived since the last call.
    pub(super) fn take_log(&mut self) -> Vec<Attempt> {
        std::iter::from_fn(|| self.log.try_recv().ok()).collect()
    }

    /// Refuses nothing from here on.
    pub(super) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What a request meets.
#[derive(Clone)]
struct Desk {
    log: mpsc::UnboundedSender<Attempt>,
    calm: Arc<AtomicBool>,
    mood: Arc<Mutex<Mood>>,
}

/// What decides on a refusal.
#[derive(Default)]
struct Mood {
    /// First attempts since the last refusal.
    served: u64,
    refused: Option<Instant>,
}

impl Mood {
    /// Whether this first attempt is one too many.
    fn refuses(&mut self, now: Instant) -> bool {
        self.served += 1;
        let rested = self
            .refused
            .is_none_or(|at| now.saturating_duration_since(at) >= REFUSES_AFTER);
        let refuses = rested && self.served >= REFUSES_EVERY;
        if refuses {
            (self.served, self.refused) = (0, Some(now));
        }
        refuses
    }
}

impl Desk {
    fn answer(&self, number: u32, body: Body) -> reply::WithStatus<&'static str> {
        let at = Instant::now();
        let mut mood = self.mood.lock();
        let busy = number == 1 && !self.calm.load(Ordering::Relaxed) && mood.refuses(at);
        drop(mood);
        let (text, status) = match busy {
            true => ("busy, come again", StatusCode::SERVICE_UNAVAILABLE),
            false => ("thank you", StatusCode::OK),
        };
        // Nobody reads the log any more when the demo is ending.
        let _ = self.log.send(Attempt {
            message_id: body.message_id,
            number,
            status: status.as_u16(),
            at,
        });
        reply::with_status(text, status)
    }
}
