//! The audit: what WhatsApp offered, what the receiver got and what the store says have to be one story.

use std::collections::{BTreeMap, HashMap, HashSet};

use wharf_domain::{ClientId, Event, EventStatus, Webhook};
use wharf_store::{ByNumber, EventFilter, Store, StoreOptions};

use super::{
    Failure, Plan, Report, message_id,
    receiver::{Answer, Post},
    rounds::Harness,
};

/// Events that one read takes.
const PAGE: u32 = 2000;
/// Attempts of one webhook under way at once, at the most (`delivery.max_in_flight_per_webhook`).
const IN_FLIGHT: usize = 16;
/// The deadline of an attempt in seconds (`timeout_ms` of a webhook that asks for no other).
const TIMEOUT_S: i64 = 10;
/// How much later than the receiver has it an attempt may end, in milliseconds: the attempt's deadline, and a margin.
const ENDS_WITHIN_MS: i64 = TIMEOUT_S * 1000 + 3000;

impl Plan {
    pub(super) fn store_url(&self) -> String {
        format!("sqlite://{}", self.directory.join("wharf.db").display())
    }
}

struct Books {
    store: Store,
    client: ClientId,
    webhooks: Vec<Webhook>,
}

impl Books {
    /// `None` when the gateway was never up for long enough to make a client.
    async fn open(plan: &Plan) -> Result<Option<Self>, Failure> {
        let store = Store::open(&StoreOptions {
            url: plan.store_url(),
            readers: 1,
            exclusive: false,
        })
        .await?;
        let Some(client) = store.clients().await?.first().map(|client| client.id) else {
            return Ok(None);
        };
        let webhooks = store.webhooks(client, &ByNumber::ALL).await?;
        Ok(Some(Self {
            store,
            client,
            webhooks,
        }))
    }

    /// Every event of a webhook, oldest first.
    async fn events(&self, webhook: &Webhook) -> Result<Vec<Event>, Failure> {
        let mut all = Vec::new();
        let mut filter = EventFilter {
            limit: PAGE,
            ..EventFilter::default()
        };
        loop {
            let page = self.store.events(self.client, webhook.id, &filter).await?;
            let page = page.ok_or("an event is gone")?;
            all.extend(page.events);
            filter.cursor = page.next_cursor;
            if filter.cursor.is_none() {
                all.reverse();
                return Ok(all);
            }
        }
    }

    async fn integrity(&self) -> Result<Vec<String>, Failure> {
        let wrong = self.store.integrity().await?;
        Ok(wrong.into_iter().map(|what| format!("the database: {what}")).collect())
    }
}

/// The POSTs of each event, in the order in which they came.
fn by_event(posts: Vec<Post>) -> HashMap<String, Vec<Post>> {
    let mut events: HashMap<String, Vec<Post>> = HashMap::new();
    for post in posts {
        events.entry(post.event.clone()).or_default().push(post);
    }
    events
}

/// Nothing runs, the last gateway was killed: the database is whole, and counters and events belong together.
pub(super) async fn at_rest(plan: &Plan, posts: Vec<Post>) -> Result<Vec<String>, Failure> {
    let Some(books) = Books::open(plan).await? else {
        return Ok(Vec::new());
    };
    let mut wrong = books.integrity().await?;
    let posts = by_event(posts);
    for webhook in &books.webhooks {
        let events = books.events(webhook).await?;
        wrong.extend(counters(webhook, &events, &posts));
    }
    Ok(wrong)
}

/// A webhook's counters against its events.
fn counters(webhook: &Webhook, events: &[Event], posts: &HashMap<String, Vec<Post>>) -> Vec<String> {
    let mut wrong = Vec::new();
    let last_success = events.iter().filter_map(|event| event.delivered_at).max();
    if webhook.last_success_at != last_success {
        wrong.push(format!(
            "{}: last_success_at is {:?}, the last delivery was at {last_success:?}",
            webhook.phone_number, webhook.last_success_at
        ));
    }
    let since = last_success.map_or(i64::MIN, |at| at.0);
    let failed_since = |earliest: i64| {
        let failed = events.iter().filter(|event| event.status == EventStatus::Failed);
        let last = failed.filter_map(|event| posts.get(&event.id.to_string())?.last());
        last.filter(|post| post.at > earliest).count()
    };
    // The receiver knows when it answered, not when the gateway heard of it.
    let (least, most) = (failed_since(since), failed_since(since.saturating_sub(ENDS_WITHIN_MS)));
    let counted = usize::try_from(webhook.failure_count).unwrap_or(usize::MAX);
    if !(least..=most).contains(&counted) {
        wrong.push(format!(
            "{}: failure_count is {counted}, from {least} to {most} events failed since the last success",
            webhook.phone_number
        ));
    }
    wrong
}

/// Everything has settled: every message, every POST, every row.
pub(super) async fn every_message(plan: &Plan, harness: &Harness<'_>, report: &mut Report) -> Result<(), Failure> {
    let books = Books::open(plan).await?.ok_or("there is no client")?;
    report.messages = harness.messages.len();
    report.offered_again = harness.offered_again;
    report.wrong.extend(books.integrity().await?);
    let posts = harness.posts();
    report.posts = posts.len();
    let posts = by_event(posts);
    let mut rows: HashMap<String, usize> = HashMap::new();
    let mut known: HashSet<String> = HashSet::new();
    for webhook in &books.webhooks {
        let events = books.events(webhook).await?;
        report.wrong.extend(counters(webhook, &events, &posts));
        let of_events: Vec<(&Event, &[Post])> = events
            .iter()
            .map(|event| (event, posts.get(&event.id.to_string()).map_or(&[][..], Vec::as_slice)))
            .collect();
        for (event, posts) in &of_events {
            known.insert(event.id.to_string());
            if posts.is_empty() {
                report.lost += 1;
                report
                    .wrong
                    .push(format!("{}: the receiver never got it", event.message_id));
            }
            *rows.entry(event.message_id.clone()).or_default() += 1;
            row(webhook, event, posts, report);
            attempts(event, posts, report);
        }
        in_flight(webhook, &of_events, report);
        order(&of_events, report);
    }
    for number in 0..harness.messages.len() {
        match rows.remove(&message_id(number)) {
            Some(1) => {}
            Some(more) => report.wrong.push(format!("message {number} has {more} rows")),
            None => {
                report.lost += 1;
                report.wrong.push(format!("message {number} has no row"));
            }
        }
    }
    report
        .wrong
        .extend(rows.keys().map(|id| format!("{id} was never sent")));
    let unknown = posts.keys().filter(|id| !known.contains(*id));
    report
        .wrong
        .extend(unknown.map(|id| format!("event {id} was posted and has no row")));
    Ok(())
}

/// The row says what the receiver answered last.
fn row(webhook: &Webhook, event: &Event, posts: &[Post], report: &mut Report) {
    match event.status {
        EventStatus::Delivered => report.delivered += 1,
        EventStatus::Failed => report.failed += 1,
        EventStatus::Pending => {}
    }
    let Some(last) = posts.last() else { return };
    let error = event.error.as_deref().unwrap_or_default();
    let exhausted = event.status == EventStatus::Failed
        && event.attempt_count >= webhook.max_retries
        && event.next_retry_at.is_some();
    let timed_out = exhausted && (event.http_status, error) == (None, "Connection timeout");
    let consistent = match last.answer {
        // The gateway gave up before it had the answer.
        Answer::Took | Answer::Unwanted if timed_out => {
            report.late += 1;
            true
        }
        Answer::Took => {
            event.status == EventStatus::Delivered
                && (event.http_status, error) == (Some(200), "")
                && event.delivered_at.is_some()
                && event.next_retry_at.is_none()
        }
        Answer::Unwanted => {
            event.status == EventStatus::Failed
                && (event.http_status, error) == (Some(404), "Client error (404)")
                && event.next_retry_at.is_none()
        }
        Answer::Unable => exhausted && (event.http_status, error) == (Some(503), "Server error (503)"),
        Answer::Closed => exhausted && event.http_status.is_none() && error.starts_with("ECONNRESET"),
        Answer::Hung => timed_out,
    };
    if !consistent || event.attempt_count != last.attempt {
        report.wrong.push(format!("{event:?} does not follow from {posts:?}"));
    }
}

/// How a POST follows upon the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The same attempt after a kill: its outcome was not committed.
    Again,
    /// The next one after a failure.
    Next,
    /// The next one after an answer that ended the event, but was not there within the attempt's deadline.
    Late,
}

/// `None` where nothing explains it.
fn step(before: &Post, post: &Post) -> Option<Step> {
    if post.attempt == before.attempt {
        return (post.life > before.life).then_some(Step::Again);
    }
    if post.attempt != before.attempt + 1 {
        return None;
    }
    match before.answer {
        Answer::Unable | Answer::Closed | Answer::Hung => Some(Step::Next),
        // The machine may stand still while an answer is on its way.
        Answer::Took | Answer::Unwanted => (post.begun - before.begun >= TIMEOUT_S).then_some(Step::Late),
    }
}

/// Attempts count from 1. In one life of the gateway each number is posted once; after a kill the number whose outcome
/// was not committed comes once more. Nothing else follows an answer that ended the event, and that came in time.
fn attempts(event: &Event, posts: &[Post], report: &mut Report) {
    if let Some(first) = posts.first()
        && first.attempt != 1
    {
        report
            .wrong
            .push(format!("{}: begins with {first:?}", event.message_id));
    }
    // Whether what followed the last POST that the receiver took is explained: that attempt once more, after a kill, or
    // the next one after its deadline.
    let mut taken: Option<bool> = None;
    for (place, post) in posts.iter().enumerate() {
        let Some(before) = place.checked_sub(1).map(|place| &posts[place]) else {
            taken = (post.answer == Answer::Took).then_some(false);
            continue;
        };
        let step = step(before, post);
        report.repeated += usize::from(step == Some(Step::Again));
        report.late += usize::from(step == Some(Step::Late));
        if step.is_none() {
            report
                .wrong
                .push(format!("{}: {post:?} after {before:?}", event.message_id));
        }
        if before.answer == Answer::Took {
            taken = Some(step.is_some());
            report.duplicates_answered += usize::from(post.answer == Answer::Took && before.answered);
        }
        if post.answer == Answer::Took {
            if let Some(explained) = taken {
                report.duplicates += 1;
                report.duplicates_explained += usize::from(explained);
            }
            taken = Some(false);
        }
    }
}

/// A kill repeats what was in flight, and no more than may be.
fn in_flight(webhook: &Webhook, events: &[(&Event, &[Post])], report: &mut Report) {
    let mut repeated: BTreeMap<u32, usize> = BTreeMap::new();
    for pair in events.iter().flat_map(|(_, posts)| posts.windows(2)) {
        if pair[0].attempt == pair[1].attempt {
            *repeated.entry(pair[0].life).or_default() += 1;
        }
    }
    for (life, count) in repeated.into_iter().filter(|(_, count)| *count > IN_FLIGHT) {
        report.wrong.push(format!(
            "{}: the end of life {life} made {count} attempts twice, more than may be in flight",
            webhook.phone_number
        ));
    }
}

/// The events of one chat, given in the order of arrival, go out one after another.
fn order(events: &[(&Event, &[Post])], report: &mut Report) {
    let mut latest: HashMap<&str, (i64, &str)> = HashMap::new();
    for (event, posts) in events {
        let (Some(first), Some(last)) = (posts.first(), posts.last()) else {
            continue;
        };
        if let Some((at, before)) = latest.insert(&event.from, (last.at, &event.message_id))
            && first.at < at
        {
            report.wrong.push(format!("{} overtook {before}", event.message_id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first attempt, as it began at 100 s in the gateway's first life.
    fn answered(answer: Answer) -> Post {
        Post {
            event: "one".to_owned(),
            attempt: 1,
            begun: 100,
            life: 0,
            at: 100_100,
            answer,
            answered: true,
        }
    }

    fn followed(before: Answer, by: impl FnOnce(&mut Post)) -> Option<Step> {
        let before = answered(before);
        let mut post = before.clone();
        by(&mut post);
        step(&before, &post)
    }

    #[test]
    fn the_same_attempt_comes_again_after_a_kill_alone() {
        assert_eq!(followed(Answer::Took, |_| {}), None);
        assert_eq!(followed(Answer::Took, |post| post.life = 1), Some(Step::Again));
    }

    #[test]
    fn an_answer_that_ended_the_event_is_final_unless_it_was_late() {
        let after = |seconds: i64| move |post: &mut Post| (post.attempt, post.begun) = (2, 100 + seconds);
        assert_eq!(followed(Answer::Unable, after(5)), Some(Step::Next));
        for answer in [Answer::Took, Answer::Unwanted] {
            assert_eq!(followed(answer, after(5)), None);
            assert_eq!(followed(answer, after(10)), Some(Step::Late));
        }
    }
}
