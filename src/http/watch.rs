//! A connection as it changes, for a page that shows a QR code live: server-sent events, and the long poll of the QR code.
//!
//! Both hold a connection of the facade for long. So a client may have [`PER_CLIENT`] of them; a stream counts as idle between
//! its events and makes room in a full house (`seats`), and ends after [`LONGEST`], with the tree, with the connection, or with
//! the token that opened it: whoever took a token away wants nothing more to be seen with it.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use futures::stream;
use serde::Serialize;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout_at},
};
use warp::{Reply as _, sse};
use wharf_actors::{GatewayError, Qr, Shown, ShownPairCode, Tally, Ticket};
use wharf_domain::{ClientId, Connection, ConnectionStatus, PhoneNumber, TokenHash};

use super::{
    Desk,
    call::{Answer, Call},
    problem::Problem,
};

/// Streams and long polls of one client at a time.
const PER_CLIENT: usize = 16;
/// A stream ends after this; who follows opens the next.
const LONGEST: Duration = Duration::from_secs(600);
/// Between two signs of life; less where a connection may be idle for less than three times that.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Changes within this are told together.
const COALESCE: Duration = Duration::from_millis(100);
/// The longest that a request may wait for a QR code, in seconds.
pub(super) const LONGEST_WAIT_S: u64 = 25;
/// What of a request's time is left for its answer when it waits.
const FOR_THE_ANSWER: Duration = Duration::from_secs(1);

/// How many streams and long polls each client has.
pub(super) fn watchers() -> Arc<Tally> {
    Tally::new(PER_CLIENT)
}

/// One more of them, if the client may have one.
pub(super) fn enter(call: &Call) -> Result<Ticket, Problem> {
    call.watchers.enter(call.client, 1).ok_or_else(|| {
        Problem::busy(format!(
            "this client has {PER_CLIENT} streams and waiting requests already; close one first"
        ))
    })
}

/// A request that waits for its connection to change.
pub(super) struct Waiting {
    changes: watch::Receiver<()>,
    tokens: watch::Receiver<()>,
    closing: watch::Receiver<bool>,
    until: Instant,
    _ticket: Ticket,
}

impl Waiting {
    /// For so long at the most, and less where the request has less time; `changes` tells of the connection's.
    pub(super) fn begin(call: &Call, ticket: Ticket, changes: watch::Receiver<()>, wait: Duration) -> Self {
        Self {
            changes,
            tokens: call.desk.token_changes(),
            closing: call.closing.clone(),
            until: Instant::now() + wait.min(call.times.request.saturating_sub(FOR_THE_ANSWER)),
            _ticket: ticket,
        }
    }

    /// The connection is looked at now: what changes from here on is told.
    pub(super) fn looks(&mut self) {
        self.changes.mark_unchanged();
    }

    /// Whether it waits no longer, whatever there is to be seen.
    pub(super) fn is_over(&mut self) -> bool {
        Instant::now() >= self.until || *self.closing.borrow_and_update()
    }

    /// Waits until there may be something else to be seen, or the time is over.
    pub(super) async fn changed(&mut self) {
        let changed = async {
            tokio::select! {
                changed = self.changes.changed() => changed.is_ok(),
                _ = self.closing.changed() => true,
                () = told(&mut self.tokens) => true,
            }
        };
        // Nobody tells of changes any more: look once more at the end of the time.
        if timeout_at(self.until, changed).await == Ok(false) {
            tokio::time::sleep_until(self.until).await;
        }
    }
}

/// The QR code, once there is another one than `after`; after `wait` what there is then.
pub(super) async fn qr(call: &Call, phone: &PhoneNumber, wait: Duration, after: Option<&str>) -> Result<Qr, Problem> {
    let ticket = enter(call)?;
    let changes = call.desk.changes(call.client, phone).await?;
    let mut waiting = Waiting::begin(call, ticket, changes, wait);
    loop {
        waiting.looks();
        let shown = call.desk.shown(call.client, phone).await?;
        let new = shown.qr.as_ref().is_some_and(|code| after != Some(code.qr.as_str()));
        let may_come = matches!(
            shown.connection.session.status,
            ConnectionStatus::Connecting | ConnectionStatus::AwaitingScan
        );
        let over = new || !may_come || waiting.is_over();
        if !is_theirs(&call.desk, call.client, call.token).await {
            return Err(Problem::unauthorized());
        }
        if over {
            return match shown.qr {
                Some(code) => Ok(code),
                // In the words of one who does not wait.
                None => Ok(call.desk.qr(call.client, phone).await?),
            };
        }
        waiting.changed().await;
    }
}

/// `GET /api/whatsapp/connections/:phone_number/events`
pub(super) async fn events(call: Call) -> Answer {
    let phone = call.phone()?;
    let ticket = enter(&call)?;
    let changes = call.desk.changes(call.client, &phone).await?;
    let tokens = call.desk.token_changes();
    // The first look is made here: what is not this client's is 404 and no stream.
    let first = call.desk.shown(call.client, &phone).await?;
    let (events, receiver) = mpsc::channel(8);
    let feed = Feed {
        desk: call.desk,
        client: call.client,
        token: call.token,
        phone,
        changes,
        tokens,
        closing: call.closing,
        events,
        told: Told::default(),
        keep_alive: KEEP_ALIVE.min(call.times.idle / 3),
        silent_since: Instant::now(),
        _ticket: ticket,
    };
    tokio::spawn(feed.run(first));
    let events = stream::unfold(receiver, |mut receiver: mpsc::Receiver<sse::Event>| async move {
        let event = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event), receiver))
    });
    Ok(sse::reply(events).into_response())
}

/// Whether a token is still that of the client that it was. A store that gives no answer is no reason to end anything.
pub(super) async fn is_theirs(desk: &Arc<dyn Desk>, client: ClientId, token: Option<TokenHash>) -> bool {
    match token {
        Some(token) => desk.client_of_token(&token).await.map_or(true, |of| of == Some(client)),
        None => false,
    }
}

/// Waits for the next change; for ever, when nobody tells of any.
async fn told(changes: &mut watch::Receiver<()>) {
    if changes.changed().await.is_err() {
        pending().await
    }
}

/// What was told last.
#[derive(Default)]
struct Told {
    connection: Option<Connection>,
    qr: Option<Qr>,
    pair_code: Option<ShownPairCode>,
}

struct Feed {
    desk: Arc<dyn Desk>,
    client: ClientId,
    token: Option<TokenHash>,
    phone: PhoneNumber,
    changes: watch::Receiver<()>,
    tokens: watch::Receiver<()>,
    closing: watch::Receiver<bool>,
    events: mpsc::Sender<sse::Event>,
    told: Told,
    /// Between two signs of life.
    keep_alive: Duration,
    /// When something was sent last.
    silent_since: Instant,
    _ticket: Ticket,
}

/// Nobody listens any more.
struct Gone;

impl Feed {
    async fn run(mut self, first: Shown) {
        let until = Instant::now() + LONGEST;
        let mut next = Ok(first);
        loop {
            match next {
                Ok(shown) => {
                    let theirs = is_theirs(&self.desk, self.client, self.token).await;
                    if !theirs || self.tell(shown).await.is_err() {
                        return;
                    }
                }
                Err(GatewayError::NotFound(_)) => {
                    let _gone = self.send("deleted", &serde_json::json!({})).await;
                    return;
                }
                Err(error) => tracing::debug!(%error, "a watched connection could not be looked at"),
            }
            if self.wait(until).await.is_err() {
                return;
            }
            self.changes.mark_unchanged();
            next = self.desk.shown(self.client, &self.phone).await;
        }
    }

    /// Waits for a change, or for the time to look without one: that a session has gone silent is told by nobody.
    async fn wait(&mut self, until: Instant) -> Result<(), Gone> {
        loop {
            tokio::select! {
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        // The session was forgotten: look once more, unless that was seen already.
                        let left = self.desk.shown(self.client, &self.phone).await;
                        if let Err(GatewayError::NotFound(_)) = left {
                            let _gone = self.send("deleted", &serde_json::json!({})).await;
                        }
                        return Err(Gone);
                    }
                    sleep(COALESCE).await;
                    return Ok(());
                }
                () = async { drop(self.closing.wait_for(|closing| *closing).await) } => return Err(Gone),
                () = self.events.closed() => return Err(Gone),
                () = told(&mut self.tokens) => {
                    if !is_theirs(&self.desk, self.client, self.token).await {
                        return Err(Gone);
                    }
                }
                () = tokio::time::sleep_until(until) => return Err(Gone),
                () = tokio::time::sleep_until(self.silent_since + self.keep_alive) => {
                    return self.hand_over(sse::Event::default().comment("")).await;
                }
            }
        }
    }

    /// Tells what is new.
    async fn tell(&mut self, shown: Shown) -> Result<(), Gone> {
        // A mere sign of life is not.
        let row = |connection: &Connection| {
            let mut row = connection.clone();
            (row.session.last_event_at, row.updated_at) = (None, row.created_at);
            row
        };
        if self.told.connection.as_ref().map(row) != Some(row(&shown.connection)) {
            self.send("status", &shown.connection).await?;
            self.told.connection = Some(shown.connection);
        }
        if let Some(qr) = shown.qr.filter(|qr| self.told.qr.as_ref() != Some(qr)) {
            self.send("qr", &qr).await?;
            self.told.qr = Some(qr);
        }
        if let Some(code) = shown
            .pair_code
            .filter(|code| self.told.pair_code.as_ref() != Some(code))
        {
            self.send("pair_code", &code).await?;
            self.told.pair_code = Some(code);
        }
        Ok(())
    }

    async fn send(&mut self, name: &str, data: &impl Serialize) -> Result<(), Gone> {
        // Strings and numbers: they have no way to fail.
        let data = serde_json::to_string(data).map_err(|_| Gone)?;
        self.hand_over(sse::Event::default().event(name).data(data)).await
    }

    async fn hand_over(&mut self, event: sse::Event) -> Result<(), Gone> {
        self.silent_since = Instant::now();
        self.events.send(event).await.map_err(|_| Gone)
    }
}
