//! Who pulls: the events of one number, one after another, with a word where there is a gap, and none without a cause.

use std::{collections::HashMap, sync::Arc, time::Instant};

use reqwest::Method;
use serde_json::Value;

use crate::{
    api::LOOK_EVERY,
    line::{Line, Stage},
};

/// Where the number's owner is.
struct Place {
    after: Option<String>,
    /// The sequence of the event before.
    last: Option<i64>,
    /// When there was last nothing that had not been seen: what came since is younger.
    caught_up: Instant,
    /// Which webhooks are pulled: what the others' receivers have to get is not received here.
    pulled: HashMap<String, bool>,
}

/// Pulls for as long as it is let.
pub(crate) async fn pull(stage: Arc<Stage>, line: Arc<Line>) {
    let mut place = Place {
        after: None,
        last: None,
        caught_up: Instant::now(),
        pulled: HashMap::new(),
    };
    loop {
        if place.page(&stage, &line).await != Some(true) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Place {
    /// One pull; whether there was something, and `None` where nothing was answered or not all of it understood.
    async fn page(&mut self, stage: &Stage, line: &Line) -> Option<bool> {
        let begun = Instant::now();
        let after = self.after.as_ref().map(|after| format!("&after={after}"));
        let path = format!("/api/events?phone_number={}{}", line.number, after.unwrap_or_default());
        let page = stage.api.once(&line.tenant, &Method::GET, &path, None).await?;
        match page.status {
            200 => {}
            410 => {
                self.gap(stage, line);
                return None;
            }
            _ => return None,
        }
        let events = page.body["data"].as_array()?;
        // Before any is taken: a page of which this is not known is pulled again.
        for event in events {
            self.ask_whether_pulled(stage, line, event["webhook_id"].as_str()?)
                .await?;
        }
        for event in events {
            self.take(stage, line, event);
        }
        if events.is_empty() {
            self.caught_up = begun;
        }
        self.after = Some(page.body["next_cursor"].as_str()?.to_owned());
        Some(!events.is_empty())
    }

    fn take(&mut self, stage: &Stage, line: &Line, event: &Value) {
        let sequence = event["sequence"].as_i64().unwrap_or_default();
        if let Some(last) = self.last.replace(sequence)
            && sequence != last + 1
        {
            let number = &line.number;
            stage
                .book
                .wrong(format!("who pulls {number} got event {sequence} after event {last}"));
        }
        let payload = &event["payload"];
        // Messages that came in, as the receiver counts them.
        let is_message = payload.get("event").is_none() && payload.get("test").is_none();
        let is_pulled = event["webhook_id"].as_str().and_then(|id| self.pulled.get(id));
        if !is_message || is_pulled != Some(&true) {
            return;
        }
        if let Some(id) = payload["message_id"].as_str() {
            stage.book.did("messages pulled");
            stage.book.received(line.place, id, true);
        }
        if let Some(url) = payload["media"]["url"].as_str() {
            stage.book.file(url);
        }
    }

    async fn ask_whether_pulled(&mut self, stage: &Stage, line: &Line, id: &str) -> Option<()> {
        if !self.pulled.contains_key(id) {
            let path = format!("/api/webhooks/{id}");
            let shown = stage.api.once(&line.tenant, &Method::GET, &path, None).await?;
            let pulled = match shown.status {
                200 => shown.body["delivery"] == "pull",
                // It is deleted: nothing is due any more.
                404 => false,
                _ => return None,
            };
            self.pulled.insert(id.to_owned(), pulled);
        }
        Some(())
    }

    /// There is a gap, which is as it should be only where events are older than they are kept for.
    fn gap(&mut self, stage: &Stage, line: &Line) {
        let away = self.caught_up.elapsed();
        if away < stage.lives.kept_for() {
            let number = &line.number;
            stage
                .book
                .wrong(format!("who pulls {number} is told of a gap after {away:?}"));
        }
        stage.book.did("pulled too late");
        stage.book.excuse(line.place);
        (self.after, self.last) = (None, None);
        self.caught_up = Instant::now();
    }
}
