//! Somebody between the gateway and its writer, who lets writes through, alters them or has them vanish.

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::world::World;
use crate::persistence::{Message, Write};

type Filter = Box<dyn FnMut(Write) -> Option<Write> + Send + Sync>;

struct Between;

impl Actor for Between {
    type Msg = Message;
    type State = (ActorRef<Message>, Filter);
    type Arguments = (ActorRef<Message>, Filter);

    async fn pre_start(
        &self,
        _myself: ActorRef<Message>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(args)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Message>,
        message: Message,
        (writer, filter): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let message = match message {
            Message::Commit(write) => filter(*write).map(|write| Message::Commit(Box::new(write))),
            other => Some(other),
        };
        Ok(message.map_or(Ok(()), |message| writer.cast(message))?)
    }
}

/// Has what is written go through `filter` from now on.
pub(super) async fn stand_between(world: &World, filter: impl FnMut(Write) -> Option<Write> + Send + Sync + 'static) {
    let directory = &world.gateway.shared.directory;
    let args: (_, Filter) = (directory.persistence().unwrap(), Box::new(filter));
    let (between, _running) = Actor::spawn(None, Between, args).await.unwrap();
    directory.publish_persistence(Some(between));
}
