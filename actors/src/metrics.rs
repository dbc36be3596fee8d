//! What operators measure: counted as it happens, or asked for when it is read, in the text format of OpenMetrics.
//!
//! Nothing here names a client or a number: those who may read it need not know them, and there may be many thousands.
//! docs/METRICS.md lists everything with its meaning.

use std::time::Duration;

use prometheus_client::{
    encoding::text,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};
use wharf_domain::{
    AttemptResult, ConnectionStatus, EventId,
    outgoing::{News, code},
    session::ReasonCode,
};
use wharf_store::RecordedEvent;

use crate::{
    clock,
    gateway::{Gateway, GatewayError},
    shared::Shared,
};

/// Waiting events that are counted at the most: more than anybody's alarm is set at, few enough to be counted in some
/// hundredths of a second.
const PENDING_COUNTED: u64 = 100_000;
/// A page of the database, in bytes.
const PAGE: u64 = 4096;
/// The media type of [`Gateway::metrics`].
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One label and its value.
type Label = [(&'static str, &'static str); 1];
type Counters = Family<Label, Counter>;

/// What was committed since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commits {
    /// Transactions, each of which was synced to the disk once.
    pub commits: u64,
    /// Writes in them: messages that came in together, an attempt's outcome, a change of a device's keys.
    pub writes: u64,
}

/// What is counted as it happens; shared by the tree.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    commits: Counter,
    writes: Counter,
    commit_seconds: Histogram,
    events: Counter,
    attempts: Counters,
    attempt_seconds: Histogram,
    delivery_seconds: Histogram,
    sends: Counters,
    links_lost: Counters,
    restarts: Counters,
}

/// From half a millisecond to a minute, doubling: a sync of a quick disk, and an attempt with the longest deadline.
fn durations() -> Histogram {
    Histogram::new((0..18).map(|step| 0.000_5 * f64::from(1_u32 << step)))
}

/// From a millisecond to four and a half hours, by fours: what waits for retries waits for long.
fn waits() -> Histogram {
    Histogram::new((0..13).map(|step| 0.001 * f64::from(1_u32 << (2 * step))))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("wharf"),
            commits: Counter::default(),
            writes: Counter::default(),
            commit_seconds: durations(),
            events: Counter::default(),
            attempts: Counters::default(),
            attempt_seconds: durations(),
            delivery_seconds: waits(),
            sends: Counters::default(),
            links_lost: Counters::default(),
            restarts: Counters::default(),
        };
        let all = &mut metrics.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        all.register("build", "The program", version);
        all.register("commits", "Transactions committed", metrics.commits.clone());
        all.register("writes", "Writes in them", metrics.writes.clone());
        let help = "From a group's beginning to its end on the disk";
        all.register_with_unit("commit_duration", help, Unit::Seconds, metrics.commit_seconds.clone());
        all.register("events", "Events recorded for webhooks", metrics.events.clone());
        all.register("attempts", "Attempts ended, by their result", metrics.attempts.clone());
        let help = "From an attempt's slot to the end of the answer";
        all.register_with_unit("attempt_duration", help, Unit::Seconds, metrics.attempt_seconds.clone());
        let help = "From an event's arrival to its delivery, retries included";
        all.register_with_unit("delivery_delay", help, Unit::Seconds, metrics.delivery_seconds.clone());
        let help = "Messages whose sending ended, by what became of them";
        all.register("sends", help, metrics.sends.clone());
        let help = "Connections that were connected and are not any more, by reason code";
        all.register("links_lost", help, metrics.links_lost.clone());
        let help = "Actors that failed and were started again";
        all.register("restarts", help, metrics.restarts.clone());
        metrics.begin_at_zero();
        metrics
    }
}

/// What fails and is started again.
const ACTORS: [&str; 7] = [
    "persistence",
    "tenants",
    "tenant",
    "session",
    "delivery",
    "media",
    "janitor",
];
/// The results of attempts, see [`name`].
const ATTEMPTS: [&str; 9] = [
    "delivered",
    "client_error",
    "server_error",
    "unexpected_status",
    "timeout",
    "interrupted",
    "not_made",
    "network",
    "blocked",
];
/// What becomes of messages that are sent.
const SENDS: [&str; 3] = ["sent", "failed", "unknown"];

impl Metrics {
    /// Prometheus takes the first value that it sees of a counter for where it began: the first failure would be none.
    fn begin_at_zero(&self) {
        let begin = |counters: &Counters, label, values: &[&'static str]| {
            for value in values {
                drop(counters.get_or_create(&[(label, *value)]));
            }
        };
        begin(&self.restarts, "actor", &ACTORS);
        begin(&self.attempts, "result", &ATTEMPTS);
        begin(&self.sends, "result", &SENDS);
    }

    /// A group of so many writes was committed, these events among them.
    pub(crate) fn committed(&self, events: &[RecordedEvent], writes: usize, took: Duration) {
        self.commits.inc();
        self.events.inc_by(events.len() as u64);
        self.writes.inc_by(writes as u64);
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// What was committed so far.
    pub(crate) fn commits(&self) -> Commits {
        Commits {
            commits: self.commits.get(),
            writes: self.writes.get(),
        }
    }

    /// An attempt ended.
    pub(crate) fn attempted(&self, event: EventId, result: &AttemptResult, took: Duration) {
        self.attempts.get_or_create(&[("result", name(result))]).inc();
        self.attempt_seconds.observe(took.as_secs_f64());
        if result.failure().is_none()
            && let Some(arrived) = event.0.get_timestamp()
        {
            let (seconds, nanoseconds) = arrived.to_unix();
            let arrived = Duration::new(seconds, nanoseconds);
            let now = Duration::from_millis(u64::try_from(clock::now().0).unwrap_or(0));
            self.delivery_seconds.observe(now.saturating_sub(arrived).as_secs_f64());
        }
    }

    /// Something was learned of a message that goes out.
    pub(crate) fn learned(&self, news: &News) {
        let result = match news {
            News::Sent => "sent",
            News::Failed { code, .. } if code == code::UNKNOWN => "unknown",
            News::Failed { .. } => "failed",
            _ => return,
        };
        self.sends.get_or_create(&[("result", result)]).inc();
    }

    /// A connection is not connected any more.
    pub(crate) fn link_lost(&self, reason: ReasonCode) {
        self.links_lost.get_or_create(&[("reason", reason.as_str())]).inc();
    }

    /// An actor failed.
    pub(crate) fn restarted(&self, actor: &'static str) {
        self.restarts.get_or_create(&[("actor", actor)]).inc();
    }
}

/// The result of an attempt, as a label.
fn name(result: &AttemptResult) -> &'static str {
    match result {
        AttemptResult::Answered { http_status, .. } => match http_status {
            200..=299 => "delivered",
            400..=499 => "client_error",
            500..=599 => "server_error",
            _ => "unexpected_status",
        },
        AttemptResult::TimedOut => "timeout",
        AttemptResult::Interrupted => "interrupted",
        AttemptResult::NotMade { .. } => "not_made",
        AttemptResult::Failed { .. } => "network",
        AttemptResult::Blocked { .. } => "blocked",
    }
}

/// What is asked for when it is read. What the store does not answer is left out.
async fn state(shared: &Shared) -> Registry {
    let mut state = Registry::with_prefix("wharf");
    let mut show = |name: &str, help: &str, unit: Option<Unit>, value: u64| {
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        match unit {
            Some(unit) => state.register_with_unit(name, help, unit, gauge),
            None => state.register(name, help, gauge),
        }
    };
    let (pending, space) = tokio::join!(shared.store.all_pending_events(PENDING_COUNTED), shared.store.space());
    let ready = shared.ready().await.is_ok();
    show("ready", "1 as long as /readyz says so", None, ready.into());
    let deliveries = shared.directory.count_deliveries() as u64;
    show(
        "deliveries",
        "Webhooks that had something to do of late",
        None,
        deliveries,
    );
    let (held, waiting) = shared.slots.used();
    show("attempts_in_flight", "Attempts under way", None, held as u64);
    show(
        "attempts_waiting",
        "Attempts that wait for a slot",
        None,
        waiting as u64,
    );
    if let Ok(pending) = pending {
        let help = "Events that wait for delivery, counted up to 100000";
        show("events_pending", help, None, pending);
    }
    if let Ok(space) = space {
        show("database", "The database's file", Some(Unit::Bytes), space.pages * PAGE);
        show(
            "database_free",
            "What is free in it",
            Some(Unit::Bytes),
            space.free * PAGE,
        );
    }
    let delay = ConstGauge::new(shared.bulkheads.delay().await.as_secs_f64());
    let help = "Until a task begins on the slowest thread of sessions, a second at the most";
    state.register_with_unit("session_delay", help, Unit::Seconds, delay);
    let connections = Family::<Label, Gauge>::default();
    for status in ConnectionStatus::ALL {
        drop(connections.get_or_create(&[("status", status.as_str())]));
    }
    for status in shared.directory.statuses() {
        connections.get_or_create(&[("status", status.as_str())]).inc();
    }
    state.register("connections", "Connections, by status", connections);
    state
}

impl Gateway {
    /// What operators measure, as [`METRICS_TYPE`].
    ///
    /// # Errors
    /// `Unavailable` where it could not be written as text.
    pub async fn metrics(&self) -> Result<String, GatewayError> {
        let state = state(&self.shared).await;
        let mut out = String::new();
        let written = text::encode_registry(&mut out, &self.shared.metrics.registry)
            .and_then(|()| text::encode_registry(&mut out, &state))
            .and_then(|()| text::encode_eof(&mut out));
        written
            .map(|()| out)
            .map_err(|error| GatewayError::Unavailable(format!("the metrics cannot be written: {error}")))
    }
}
