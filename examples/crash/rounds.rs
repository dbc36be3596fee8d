//! The rounds: WhatsApp's part, and the killer's.

use std::{collections::BTreeSet, time::Duration};

use fastrand::Rng;
use tokio::time::{Instant, sleep_until};

use super::{
    Failure, Order, Plan, Word, child,
    life::Life,
    message_id,
    receiver::{Post, Receiver},
};

/// New messages that WhatsApp has on the way at once, unacknowledged.
const ON_THE_WAY: usize = 32;
/// How long the gateway may take to start, or to do what it is waited for; far more than it needs.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a kill that is aimed at a 200 waits for one.
const AIM_FOR: Duration = Duration::from_millis(200);

/// A message as WhatsApp has it.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) line: usize,
    pub(super) from: String,
}

pub(super) struct Harness<'a> {
    plan: &'a Plan,
    rng: Rng,
    pub(super) receiver: Receiver,
    /// By number.
    pub(super) messages: Vec<Message>,
    /// What WhatsApp was not told of, in the order of arrival.
    unacknowledged: BTreeSet<usize>,
    pub(super) offered_again: usize,
}

impl<'a> Harness<'a> {
    pub(super) async fn start(plan: &'a Plan) -> Result<Self, Failure> {
        let mut rng = Rng::with_seed(plan.seed);
        let receiver = Receiver::start(rng.u64(..)).await?;
        Ok(Self {
            plan,
            rng,
            receiver,
            messages: Vec::new(),
            unacknowledged: BTreeSet::new(),
            offered_again: 0,
        })
    }

    pub(super) fn messages(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn posts(&self) -> Vec<Post> {
        self.receiver.posts()
    }

    pub(super) fn lines(&self) -> usize {
        self.plan.webhooks
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// Starts the gateway.
    pub(super) fn begin_life(&self) -> Result<Life, Failure> {
        let setting = child::Setting {
            store: self.plan.store_url(),
            receiver: format!("http://{}", self.receiver.address),
            webhooks: self.plan.webhooks,
        };
        Life::start((self.plan.child)(&setting)?)
    }

    /// Waits for the start's end, and offers what was not acknowledged.
    pub(super) async fn wait_until_ready(&mut self, life: &mut Life) -> Result<(), Failure> {
        let heard = tokio::time::timeout(PATIENCE, life.hear()).await;
        let Word::Ready = heard.map_err(|_| "the gateway does not start")?? else {
            return Err("the gateway speaks before it is ready".into());
        };
        let again: Vec<usize> = self.unacknowledged.iter().copied().collect();
        self.offered_again += again.len();
        for number in again {
            self.offer(life, number).await?;
        }
        Ok(())
    }

    async fn offer(&self, life: &mut Life, number: usize) -> Result<(), Failure> {
        let message = self.messages.get(number).ok_or("there is no such message")?;
        life.tell(&Order::Offer {
            number,
            line: message.line,
            from: message.from.clone(),
            message_id: message_id(number),
        })
        .await
    }

    /// A new message of a random chat for a line.
    pub(super) async fn offer_new(&mut self, life: &mut Life, line: usize) -> Result<(), Failure> {
        let chat = self.rng.usize(..self.plan.chats);
        let number = self.messages.len();
        self.messages.push(Message {
            line,
            from: format!("5511{line:03}{chat:06}"),
        });
        self.unacknowledged.insert(number);
        self.offer(life, number).await
    }

    pub(super) fn note(&mut self, word: &Word) -> Result<(), Failure> {
        match word {
            Word::Acknowledged(number) => {
                self.unacknowledged.remove(number);
                Ok(())
            }
            Word::Refused(number, why) => Err(format!("message {number} was refused: {why}").into()),
            Word::Ready | Word::Pending(_) | Word::Counters(_) => Ok(()),
        }
    }

    /// One life: load until the kill, which comes at a random moment; one kill in ten already during the start, half of
    /// the others just after the receiver has answered 200.
    pub(super) async fn round(&mut self) -> Result<(), Failure> {
        let mut life = self.begin_life()?;
        if self.rng.u32(..10) == 0 {
            let fuse = Instant::now() + Duration::from_millis(self.rng.u64(..200));
            sleep_until(fuse).await;
        } else {
            self.wait_until_ready(&mut life).await?;
            self.load(&mut life).await?;
        }
        for word in life.kill().await? {
            self.note(&word)?;
        }
        self.receiver.next_life().await
    }

    async fn load(&mut self, life: &mut Life) -> Result<(), Failure> {
        let mut fuse = Instant::now() + Duration::from_millis(self.rng.u64(20..700));
        let mut aim = self.rng.bool();
        let mut aiming = false;
        let mut next = Instant::now();
        loop {
            tokio::select! {
                word = life.hear() => self.note(&word?)?,
                () = self.receiver.took(), if aiming => return Ok(()),
                () = sleep_until(fuse) => {
                    if !aim {
                        return Ok(());
                    }
                    (aim, aiming, fuse) = (false, true, Instant::now() + AIM_FOR);
                }
                () = sleep_until(next), if self.unacknowledged.len() < ON_THE_WAY => {
                    let line = self.rng.usize(..self.plan.webhooks);
                    self.offer_new(life, line).await?;
                    next = Instant::now() + Duration::from_micros(self.rng.u64(..4000));
                }
            }
        }
    }
}
