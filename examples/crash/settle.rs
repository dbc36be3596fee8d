//! After the last kill: everything that was not acknowledged is offered again, everything pending is delivered, and the
//! webhooks' counters are put to the test.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Failure, Order, Word,
    life::Life,
    receiver::Mood,
    rounds::{Harness, PATIENCE},
};

/// The pause between two looks at what is pending.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Answers what is not as promised.
pub(super) async fn settle(harness: &mut Harness<'_>) -> Result<Vec<String>, Failure> {
    harness.receiver.set_mood(Mood::Kind);
    let mut life = harness.begin_life()?;
    harness.wait_until_ready(&mut life).await?;
    let mut wrong = Vec::new();
    quiet(harness, &mut life).await?;
    one_each(harness, &mut life).await?;
    let fine = counters(harness, &mut life).await?;
    harness.receiver.set_mood(Mood::Unkind);
    one_each(harness, &mut life).await?;
    one_each(harness, &mut life).await?;
    let refused = counters(harness, &mut life).await?;
    harness.receiver.set_mood(Mood::Kind);
    one_each(harness, &mut life).await?;
    let fine_again = counters(harness, &mut life).await?;
    let steps = [
        ("a success", fine, (0, "Active")),
        ("two failures", refused, (2, "Failed")),
        ("another success", fine_again, (0, "Active")),
    ];
    for (after, counted, (failures, status)) in steps {
        for (line, counter) in counted.into_iter().enumerate() {
            if counter != (failures, status.to_owned()) {
                wrong.push(format!("webhook {line} counts {counter:?} after {after}"));
            }
        }
    }
    let ended = life.stop().await?;
    if !ended.success() {
        wrong.push(format!("the gateway ended with {ended} when it was told to stop"));
    }
    harness.receiver.next_life().await?;
    Ok(wrong)
}

/// One message for each line, and its end.
async fn one_each(harness: &mut Harness<'_>, life: &mut Life) -> Result<(), Failure> {
    for line in 0..harness.lines() {
        harness.offer_new(life, line).await?;
    }
    quiet(harness, life).await
}

/// Waits until WhatsApp was told of everything and nothing is pending.
async fn quiet(harness: &mut Harness<'_>, life: &mut Life) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        life.tell(&Order::Hurry).await?;
        let pending = loop {
            let word = life.hear().await?;
            harness.note(&word)?;
            if let Word::Pending(pending) = word {
                break pending;
            }
        };
        if pending == 0 && harness.is_acknowledged() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{pending} events stay pending").into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn counters(harness: &mut Harness<'_>, life: &mut Life) -> Result<Vec<(u32, String)>, Failure> {
    life.tell(&Order::Count).await?;
    loop {
        let word = life.hear().await?;
        harness.note(&word)?;
        if let Word::Counters(counters) = word {
            return Ok(counters);
        }
    }
}
