//! Files that WhatsApp's hosts do not have any more.

use std::time::Duration;

use wharf_domain::{EventKind, EventKinds, message::MediaReference};
use wharf_testnet::{Content, MediaContent, NewMessage};
use wharf_whatsapp::LostFile;

use crate::support::{OURS, THEIRS, World, eventually};

#[tokio::test]
async fn the_phone_lays_down_again_what_came_and_what_it_sent_itself() {
    let (world, line) = World::paired().await;
    line.inbox.want(EventKinds::of([EventKind::Message, EventKind::Sent]));
    for (count, (from, to)) in [(THEIRS, OURS), (OURS, THEIRS)].into_iter().enumerate() {
        let picture = MediaContent {
            size: Some(1000),
            ..MediaContent::default()
        };
        let picture = NewMessage::from(Content::Image(picture));
        let id = world.network.send(from, to, &picture).await.unwrap().id;
        eventually("the message", async || line.inbox.messages().len() == count + 1).await;
        let message = line.inbox.messages().remove(count);
        let media = message.media().unwrap();
        let MediaReference {
            media_key, direct_path, ..
        } = media.reference.as_deref().unwrap().clone();
        world.network.expire_media(OURS, &id).await.unwrap();
        let lost = LostFile {
            chat: message.chat,
            sender: message.sender,
            message_id: id,
            media_key,
        };
        let place = line.link.upload_again(&lost, Duration::from_secs(20)).await;
        assert_ne!(place.unwrap(), direct_path, "from {from}");
    }
    line.link.close().await;
}
