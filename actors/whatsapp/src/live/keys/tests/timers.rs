//! What is kept of chats' timers, for the next start.

use whatsapp_rust::wacore_binary::Jid;

use super::{World, numbers};
use crate::live::{
    memory::Memory,
    timers::{Timer, Timers},
};

fn timers(world: &World) -> Timers {
    Timers::new(Memory::default().into(), world.device(&numbers()[0]).into())
}

async fn kept(world: &World, chat: &Jid) -> Option<Timer> {
    world.device(&numbers()[0]).timer(chat).await.unwrap()
}

fn timer(seconds: u32, set_at: i64) -> Timer {
    Timer { seconds, set_at }
}

/// A chat by its number and by its hidden id.
fn names() -> [Jid; 2] {
    ["5511999999999@s.whatsapp.net", "100000000000007@lid"].map(|name| name.parse().unwrap())
}

#[tokio::test]
async fn what_was_told_last_is_kept_under_whichever_name() {
    let world = World::start().await;
    let [number, hidden] = names();
    let timers = timers(&world);
    timers.set(&number, timer(86_400, 10)).await;
    timers.set(&hidden, timer(0, 20)).await;
    assert_eq!(kept(&world, &hidden).await, Some(timer(0, 20)), "switched off");
    // Switched on again, of which only the messages tell.
    timers.hear(&number, Some(hidden.clone()), timer(86_400, 30)).await;
    assert_eq!(kept(&world, &number).await, Some(timer(86_400, 30)));
    timers.hear(&number, Some(hidden), timer(86_400, 40)).await;
    assert_eq!(kept(&world, &number).await, Some(timer(86_400, 30)), "once is enough");
}

#[tokio::test]
async fn a_chat_whose_messages_stay_has_no_row_for_that() {
    let world = World::start().await;
    let [number, hidden] = names();
    timers(&world).hear(&number, Some(hidden), timer(0, 10)).await;
    assert_eq!(kept(&world, &number).await, None);
}

#[tokio::test]
async fn of_two_that_are_learnt_at_a_time_the_later_one_is_kept() {
    let world = World::start().await;
    let (timers, [number, hidden]) = (timers(&world), names());
    let (earlier, later) = (timer(0, 10), timer(86_400, 20));
    tokio::join!(timers.set(&number, later), timers.set(&number, earlier));
    tokio::join!(timers.set(&hidden, earlier), timers.set(&hidden, later));
    for chat in names() {
        assert_eq!(kept(&world, &chat).await, Some(later));
    }
}
