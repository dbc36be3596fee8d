//! What has to hold at the end of a world.

use super::*;

impl Model {
    fn rows_of(&self, words_of: &str) -> Vec<&OutgoingMessage> {
        let says = |row: &&OutgoingMessage| words(&row.message.as_ref().unwrap().content) == words_of;
        self.rows.values().filter(says).collect()
    }

    pub(super) fn check(&self) {
        let seed = self.seed;
        let wire = self.on_the_wire();
        let mut handed_over: BTreeMap<&str, usize> = BTreeMap::new();
        for sent in &wire {
            *handed_over.entry(&sent.id).or_default() += 1;
        }
        for (id, times) in &handed_over {
            assert_eq!(
                *times,
                1,
                "seed {seed}: {id} was handed over {times} times: {:?}",
                self.rows.get(*id)
            );
            assert!(self.rows.contains_key(*id), "seed {seed}: {id} has no row");
        }
        for row in self.rows.values() {
            let code = row.error_code.as_deref().unwrap_or_default();
            let never = NEVER_HANDED_OVER.contains(&code);
            assert!(
                !never || !handed_over.contains_key(row.message_id.as_str()),
                "seed {seed}: it was handed over: {row:?}"
            );
        }
        for asked in &self.asked {
            self.check_answer(asked, &handed_over);
        }
        self.check_order(&wire);
    }

    fn check_answer(&self, asked: &Asked, handed_over: &BTreeMap<&str, usize>) {
        let seed = self.seed;
        let told = asked.told.lock().unwrap().clone().unwrap();
        let rows = self.rows_of(&asked.words);
        let went: Vec<_> = rows
            .iter()
            .filter(|row| handed_over.contains_key(row.message_id.as_str()))
            .collect();
        // A receiver may prove WhatsApp wrong.
        let refused = |row: &OutgoingMessage| {
            matches!(row.error_code.as_deref(), Some("463" | "not_on_whatsapp")) || row.status > SendStatus::Sent
        };
        match &told {
            Ok(sent) => {
                let row = self.rows.get(&sent.message_id);
                let row = row.unwrap_or_else(|| panic!("seed {seed}: {sent:?} has no row"));
                let not_sent = row.status == SendStatus::Failed && row.error_code.as_deref() != Some("463");
                assert!(
                    sent.is_queued() || !not_sent,
                    "seed {seed}: {sent:?} was told of {row:?}"
                );
                assert!(sent.is_queued() || handed_over.contains_key(sent.message_id.as_str()));
            }
            // Nothing was sent by this request; one that was repeated may have another by now.
            Err(GatewayError::Conflict(_) | GatewayError::Busy(_) | GatewayError::Unavailable(_))
                if asked.key.is_none() =>
            {
                assert!(went.is_empty(), "seed {seed}: {told:?}, and yet {went:?}");
            }
            Err(GatewayError::Refused(_)) if asked.key.is_none() => {
                assert!(
                    went.iter().all(|row| refused(row)),
                    "seed {seed}: {told:?}, and yet {went:?}"
                );
            }
            Err(_) => {}
        }
        // However often it was asked for: what was refused is as if it had never been.
        let taken = went.iter().filter(|row| !refused(row)).count();
        assert!(taken <= 1, "seed {seed}: {} was sent twice: {went:?}", asked.words);
    }

    /// Of each chat the messages went in the order of their rows.
    fn check_order(&self, wire: &[OnTheWire]) {
        for chat in CHATS {
            let of_chat = wire.iter().filter(|sent| sent.message.to.to_string() == chat);
            let ids: Vec<&str> = of_chat.map(|sent| sent.id.as_str()).collect();
            let mut by_row = ids.clone();
            by_row.sort_by_key(|id| self.rows[*id].created_at);
            let times = |ids: &[&str]| ids.iter().map(|id| self.rows[*id].created_at).collect::<Vec<_>>();
            assert_eq!(times(&ids), times(&by_row), "seed {}: {chat}: {ids:?}", self.seed);
        }
    }

    /// What was told of each message: its steps in their order, and in the end what its row says.
    pub(super) async fn check_events(&self) {
        let seed = self.seed;
        let events = wait_until(&format!("seed {seed}: all is told"), WITHIN, || async {
            let events = self.world.events(&self.webhook).await;
            let done = |event: &wharf_domain::Event| event.status == EventStatus::Delivered;
            events.iter().all(done).then_some(events)
        })
        .await;
        let mut told: BTreeMap<String, Vec<SendStatus>> = BTreeMap::new();
        // The newest come first.
        for event in events.iter().rev() {
            let body: serde_json::Value = serde_json::from_str(event.payload.get()).unwrap();
            let status = SendStatus::from_word(body["status"].as_str().unwrap()).unwrap();
            told.entry(event.message_id.clone()).or_default().push(status);
        }
        for row in self.rows.values() {
            let steps = told.get(&row.message_id).cloned().unwrap_or_default();
            let (first, last) = (steps.first().copied(), steps.last().copied());
            // In a group each member tells of themselves, and here nobody says who they are.
            let is_told = !row.to.is_group() || row.status <= SendStatus::Sent;
            assert!(
                !is_told || last == Some(row.status),
                "seed {seed}: {steps:?} of {row:?}"
            );
            let begins = matches!(first, Some(SendStatus::Sent | SendStatus::Failed));
            let back = |pair: &[SendStatus]| pair[1] <= pair[0];
            let refused = |pair: &[SendStatus]| pair == [SendStatus::Sent, SendStatus::Failed];
            let strange = steps
                .windows(2)
                .any(|pair| back(pair) && !refused(pair) && pair != [SendStatus::Failed; 2]);
            // An unknown outcome that becomes known is told as another failure.
            assert!(begins && !strange, "seed {seed}: {steps:?} of {row:?}");
        }
    }
}
