use wharf_domain::{AttemptOutcome, EventId, EventStatus, PendingEvent, WebhookStatus};

use crate::{
    database::{Database, NOW, delivered, failed, later, on_every_database, postponed},
    retry_failed::renewal,
};

on_every_database! {
    async fn an_outcome_is_the_events_new_state(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "b", "c"]).await;
        db.outcomes(&[delivered(&webhook, &events[0])]).await;
        db.outcomes(&[postponed(&webhook, &events[1], 5)]).await;
        db.outcomes(&[failed(&webhook, &events[2])]).await;

        let event = db.event(&webhook, events[0].id).await;
        assert_eq!((event.status, event.attempt_count, event.http_status), (EventStatus::Delivered, 1, Some(200)));
        assert_eq!((event.response.as_deref(), event.error, event.delivered_at), (Some("ok"), None, Some(later(1))));
        let event = db.event(&webhook, events[1].id).await;
        assert_eq!((event.status, event.attempt_count, event.http_status), (EventStatus::Pending, 1, Some(503)));
        assert_eq!((event.error.as_deref(), event.next_retry_at), (Some("Server error (503)"), Some(later(5))));
        assert_eq!(event.delivered_at, None);
        let event = db.event(&webhook, events[2].id).await;
        assert_eq!((event.status, event.http_status), (EventStatus::Failed, Some(404)));
        assert_eq!((event.next_retry_at, event.delivered_at), (None, None));
    }

    async fn the_webhook_counts_with_it(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "b"]).await;
        db.outcomes(&[failed(&webhook, &events[0])]).await;
        let after = db.reread(&webhook).await;
        assert_eq!((after.status, after.failure_count), (WebhookStatus::Failed, 1));
        assert_eq!((after.last_error.as_deref(), after.last_attempt_at), (Some("Client error (404)"), Some(later(1))));
        assert_eq!((after.last_success_at, after.updated_at), (None, NOW));

        db.outcomes(&[AttemptOutcome { finished_at: later(2), ..delivered(&webhook, &events[1]) }]).await;
        let after = db.reread(&webhook).await;
        assert_eq!((after.status, after.failure_count, after.last_error), (WebhookStatus::Active, 0, None));
        assert_eq!((after.last_success_at, after.last_attempt_at), (Some(later(2)), Some(later(2))));
    }

    async fn several_outcomes_of_a_webhook_end_like_one_after_another(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let (_, other) = db.tenant("other").await;
        let events = db.events(&webhook, &["a", "b", "c"]).await;
        let others = db.events(&other, &["a"]).await;
        db.outcomes(&[
            failed(&webhook, &events[0]),
            failed(&other, &others[0]),
            AttemptOutcome { finished_at: later(2), ..delivered(&webhook, &events[1]) },
            AttemptOutcome { finished_at: later(3), ..failed(&webhook, &events[2]) },
        ])
        .await;
        let after = db.reread(&webhook).await;
        assert_eq!((after.failure_count, after.last_error.as_deref()), (1, Some("Client error (404)")));
        assert_eq!((after.last_success_at, after.last_attempt_at), (Some(later(2)), Some(later(3))));
        let after = db.reread(&other).await;
        assert_eq!((after.failure_count, after.last_success_at), (1, None));
    }

    async fn several_outcomes_of_an_event_end_like_one_after_another(db: &mut Database) {
        use EventStatus::{Delivered, Failed, Pending};
        let (_, webhook) = db.tenant("acme").await;
        let cases: [(&[EventStatus], EventStatus, u32); 6] = [
            (&[Pending, Pending], Pending, 2),
            (&[Pending, Delivered], Delivered, 2),
            (&[Failed, Pending], Failed, 1),
            (&[Failed, Delivered], Delivered, 2),
            (&[Delivered, Pending], Delivered, 1),
            (&[Delivered, Failed, Pending], Delivered, 1),
        ];
        for (statuses, status, attempt) in cases {
            let events = db.events(&webhook, &["a", "a"]).await;
            let outcomes = |event: &PendingEvent| -> Vec<AttemptOutcome> {
                (1..)
                    .zip(statuses)
                    .map(|(attempt, &status)| AttemptOutcome { status, attempt, ..delivered(&webhook, event) })
                    .collect()
            };
            db.outcomes(&outcomes(&events[0])).await;
            for outcome in outcomes(&events[1]) {
                db.outcomes(&[outcome]).await;
            }
            for event in events {
                let event = db.event(&webhook, event.id).await;
                assert_eq!((event.status, event.attempt_count), (status, attempt), "{statuses:?}");
            }
        }
    }

    async fn a_delivery_wins_over_the_deletion_of_its_webhook(db: &mut Database) {
        let (client, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "b", "c"]).await;
        db.write(async |group| group.delete_webhook(client.id, webhook.id, later(1)).await).await;
        db.outcomes(&[
            delivered(&webhook, &events[0]),
            postponed(&webhook, &events[1], 5),
            failed(&webhook, &events[2]),
        ])
        .await;
        let event = db.event(&webhook, events[0].id).await;
        assert_eq!((event.status, event.error, event.delivered_at), (EventStatus::Delivered, None, Some(later(1))));
        for late in &events[1..] {
            let event = db.event(&webhook, late.id).await;
            assert_eq!((event.status, event.error.as_deref()), (EventStatus::Failed, Some("webhook deleted")));
            assert_eq!((event.next_retry_at, event.attempt_count), (None, 0));
        }
    }

    async fn writing_an_outcome_twice_does_no_harm(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a", "b", "c"]).await;
        let outcomes =
            [delivered(&webhook, &events[0]), postponed(&webhook, &events[1], 5), failed(&webhook, &events[2])];
        db.outcomes(&outcomes).await;
        let once = (db.reread(&webhook).await, db.event(&webhook, events[2].id).await);
        db.outcomes(&outcomes).await;
        let twice = (db.reread(&webhook).await, db.event(&webhook, events[2].id).await);
        assert_eq!(format!("{once:?}"), format!("{twice:?}"));
    }

    async fn an_outcome_that_is_written_again_says_nothing_of_attempts_that_are_begun_anew(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let event = db.events(&webhook, &["a"]).await.remove(0);
        let last = failed(&webhook, &event);
        db.outcomes(std::slice::from_ref(&last)).await;
        let renewal = renewal(&webhook, vec![event.seq], 1);
        assert_eq!(db.write(async |group| group.renew_failed(&renewal).await).await.len(), 1);
        db.outcomes(std::slice::from_ref(&last)).await;
        let anew = db.event(&webhook, event.id).await;
        assert_eq!((anew.status, anew.next_retry_at), (EventStatus::Pending, Some(renewal.first_due)));
        let delivered = AttemptOutcome { attempt: last.attempt + 1, ..delivered(&webhook, &event) };
        db.outcomes(&[delivered]).await;
        assert_eq!(db.event(&webhook, event.id).await.status, EventStatus::Delivered);
    }

    // It was refused and is offered again: the counter with it is the present one.
    async fn a_late_outcome_leaves_what_is_said_of_a_later_attempt(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let said = async |db: &Database| {
            let webhook = db.reread(&webhook).await;
            (webhook.failure_count, webhook.last_error, webhook.last_attempt_at, webhook.last_success_at)
        };
        let error = || Some("Client error (404)".to_owned());
        let events = db.events(&webhook, &["a", "b", "c", "d"]).await;
        let at = |seconds, outcome: AttemptOutcome| AttemptOutcome { finished_at: later(seconds), ..outcome };
        for (together, from) in [(false, 0), (true, 10)] {
            let later_one = at(from + 5, delivered(&webhook, &events[0]));
            let late = at(from + 2, AttemptOutcome { webhook_failure_count: 0, ..failed(&webhook, &events[1]) });
            let earlier_success = at(from + 3, delivered(&webhook, &events[2]));
            match together {
                true => db.outcomes(&[later_one, late, earlier_success]).await,
                false => {
                    db.outcomes(&[later_one]).await;
                    db.outcomes(&[late]).await;
                    db.outcomes(&[earlier_success]).await;
                }
            }
            assert_eq!(said(db).await, (0, None, Some(later(from + 5)), Some(later(from + 5))), "{together}");
        }
        db.outcomes(&[at(16, failed(&webhook, &events[3]))]).await;
        assert_eq!(said(db).await, (1, error(), Some(later(16)), Some(later(15))));

        // The clock was put back: what was said by it before is no later attempt.
        db.outcomes_at(&[at(2, delivered(&webhook, &events[0]))], later(3)).await;
        assert_eq!(said(db).await, (0, None, Some(later(2)), Some(later(2))));
        let after = [at(9, delivered(&webhook, &events[0])), at(4, failed(&webhook, &events[1]))];
        db.outcomes_at(&after, later(4)).await;
        assert_eq!(said(db).await, (1, error(), Some(later(4)), Some(later(9))));
    }

    async fn an_unknown_event_or_webhook_is_passed_over(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let known = db.events(&webhook, &["a"]).await.remove(0);
        let unknown = PendingEvent { id: EventId(db.uuid()), seq: known.seq + 1000, ..known.clone() };
        let gone = wharf_domain::WebhookId(db.uuid());
        db.outcomes(&[
            AttemptOutcome { webhook_id: gone, ..delivered(&webhook, &unknown) },
            delivered(&webhook, &known),
        ])
        .await;
        assert_eq!(db.event(&webhook, known.id).await.status, EventStatus::Delivered);
    }

    async fn a_large_group_of_outcomes_reaches_every_event(db: &mut Database) {
        let (_, webhook) = db.tenant("acme").await;
        let events = db.events(&webhook, &["a"; 213]).await;
        let outcomes: Vec<AttemptOutcome> = (0..)
            .zip(&events)
            .map(|(n, event)| match n % 3 {
                0 => delivered(&webhook, event),
                1 => postponed(&webhook, event, n),
                _ => failed(&webhook, event),
            })
            .collect();
        db.outcomes(&outcomes).await;
        for outcome in &outcomes {
            let event = db.event(&webhook, outcome.event_id).await;
            assert_eq!((event.status, event.next_retry_at), (outcome.status, outcome.next_retry_at));
            assert_eq!((event.error, event.http_status), (outcome.error.clone(), outcome.http_status));
        }
    }
}
