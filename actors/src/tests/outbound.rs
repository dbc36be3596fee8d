//! Files that are sent: on their way to a host that a test scripts.

mod flat;
mod host;
mod proxy;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use wharf_domain::{
    ClientId, OutgoingMessage, SendStatus,
    fair::Standing,
    outgoing::{Content, FileType, MediaMessage, Pacing, SentFile},
};
use wharf_support::{Receiver, Reply, wait_until};
use wharf_whatsapp::{ScriptedHandle, SendScript};

use self::host::{Act, Host};
use super::{
    storage::Holder,
    world::{WITHIN, World, number, settings},
};
use crate::{
    GatewayError, MediaSettings, NewContent, NewFile, NewMedia, NewMessage, NewPicture, ReceivedFile, SentMessage,
    Settings, directory::SessionEntry, session, supervision::Crash,
};

const TO: &str = "5511999999999";

fn sending_to(host: &Host) -> Settings {
    Settings {
        media: MediaSettings {
            test_network: Some(host.url()),
            ..MediaSettings::default()
        },
        sending: Pacing {
            per_second: 0,
            ..Pacing::default()
        },
        ..settings()
    }
}

fn document() -> MediaMessage {
    MediaMessage::plain(FileType::Document, SentFile::default())
}

fn received(file: ReceivedFile) -> NewFile {
    NewFile::Received { file, field: "file" }
}

impl World {
    async fn receives(&self, client: ClientId, bytes: &[u8]) -> Result<ReceivedFile, GatewayError> {
        let mut receiving = self.gateway.receive_file(client, &number(1), None).await?;
        for piece in bytes.chunks(1000) {
            receiving.take(piece).await?;
        }
        receiving.finish().await
    }

    async fn sends_file(&self, client: ClientId, bytes: &[u8], wait: bool) -> Result<SentMessage, GatewayError> {
        let file = self.receives(client, bytes).await?;
        assert_eq!(mode(file.path()), 0o600, "for this user only");
        self.sends(client, document(), received(file), wait).await
    }

    async fn sends(
        &self,
        client: ClientId,
        message: MediaMessage,
        file: NewFile,
        wait: bool,
    ) -> Result<SentMessage, GatewayError> {
        let message = NewMessage {
            to: TO.parse().unwrap(),
            content: NewContent::Media(Box::new(NewMedia { message, file })),
            reply_to: None,
            update: None,
            typing_seconds: None,
            queue: false,
            wait,
        };
        self.gateway.send(client, &number(1), message, None).await
    }

    async fn becomes(&self, client: ClientId, id: &str, status: SendStatus) -> OutgoingMessage {
        wait_until(&format!("{id} is {status}"), WITHIN, || async {
            let row = self.gateway.outgoing_message(client, &number(1), id).await.unwrap();
            (row.status == status).then_some(row)
        })
        .await
    }

    fn lying(&self, client: ClientId) -> Vec<PathBuf> {
        let directory = self.dir.path().join(format!("media/{client}/outgoing/{}", number(1)));
        let entries = fs::read_dir(directory).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// Who may do what with a file.
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The file of the last message that the link was given.
fn sent(link: &ScriptedHandle) -> MediaMessage {
    match link.sent().pop().unwrap().message.content {
        Content::Media(message) => *message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_on_the_disk_and_what_is_uploaded_is_encrypted() {
    let host = Host::start().await;
    let world = World::start_with(sending_to(&host)).await;
    let (client, link) = world.client_with_number().await;
    host.script([Act::Hang]);
    let queued = world.sends_file(client, &[b'p'; 5000], false).await.unwrap();
    wait_until("it is being uploaded", WITHIN, || async { host.uploads().len() == 1 }).await;
    let lying = world.lying(client);
    assert_eq!(lying.len(), 1);
    let encrypted = fs::read(&lying[0]).unwrap();
    assert_eq!(mode(&lying[0]), 0o600, "for this user only");
    assert!(!encrypted.windows(16).any(|bytes| bytes == [b'p'; 16]));
    assert_eq!(host.uploads()[0].bytes, encrypted.len());
    assert!(
        host.uploads()[0].target.starts_with("/mms/document/"),
        "{:?}",
        host.uploads()
    );
    host.go_on();
    world.becomes(client, &queued.message_id, SendStatus::Sent).await;
    let message = sent(&link);
    assert!(message.is_uploaded() && message.media.size == Some(5000), "{message:?}");
    assert_eq!(world.lying(client), Vec::<PathBuf>::new());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_out_as_what_its_name_and_its_tracks_say() {
    let host = Host::start().await;
    let world = World::start_with(sending_to(&host)).await;
    let (client, link) = world.client_with_number().await;
    let sound = b"\0\0\0\x10ftypmp42\0\0\0\0\0\0\0\x08moov";
    for (kind, name, bytes, mime) in [
        (FileType::Document, "a.csv", &b"BMW,1"[..], "text/csv"),
        (FileType::Audio, "a.mp4", sound, "audio/mp4"),
        (FileType::Video, "a.mp4", sound, "video/mp4"),
    ] {
        let file = received(world.receives(client, bytes).await.unwrap());
        let said = SentFile {
            file_name: Some(name.to_owned()),
            ..SentFile::default()
        };
        let message = MediaMessage::plain(kind, said);
        world.sends(client, message, file, true).await.unwrap();
        assert_eq!(sent(&link).media.mime_type.as_deref(), Some(mime), "{kind:?} {name}");
    }
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lets_us_upload_is_asked_for_anew_and_a_broken_upload_goes_on_where_it_was() {
    let host = Host::start().await;
    let world = World::start_with(sending_to(&host)).await;
    let (client, _) = world.client_with_number().await;
    host.script([Act::Status(403), Act::BreakOff(2000)]);
    let queued = world.sends_file(client, &[1; 5000], false).await.unwrap();
    world.becomes(client, &queued.message_id, SendStatus::Sent).await;
    let uploads = host.uploads();
    let auth = |at: usize| {
        uploads[at]
            .target
            .split("auth=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(auth(0), "auth-0");
    assert_eq!(auth(1), "auth-1", "{uploads:?}");
    let last = uploads.last().unwrap();
    assert!(last.target.ends_with("file_offset=2000"), "{uploads:?}");
    assert_eq!(
        u64::try_from(last.bytes).unwrap(),
        wharf_whatsapp::media::encrypted_size(5000) - 2000
    );
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_over_a_file_fails_its_message_and_holds_no_chat() {
    let host = Host::start().await;
    let world = World::start_with(sending_to(&host)).await;
    let (client, link) = world.client_with_number().await;
    link.on_send(SendScript::Panic);
    let lost = world.sends_file(client, &[1; 500], false).await.unwrap();
    let failed = world.becomes(client, &lost.message_id, SendStatus::Failed).await;
    assert_eq!(failed.error_code.as_deref(), Some("media_upload"), "{failed:?}");
    assert_eq!(world.lying(client), Vec::<PathBuf>::new());
    link.on_send(SendScript::Accept);
    let next = world.sends_file(client, &[1; 500], false).await.unwrap();
    world.becomes(client, &next.message_id, SendStatus::Sent).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_opened_for_a_moment_goes_out_after_it() {
    let host = Host::start().await;
    let world = World::start_with(sending_to(&host)).await;
    let (client, _) = world.client_with_number().await;
    host.script([Act::Late(500)]);
    let queued = world.sends_file(client, &[1; 5000], false).await.unwrap();
    wait_until("it is tried", WITHIN, || async { host.uploads().len() == 1 }).await;
    let place = world.lying(client).remove(0);
    let aside = world.dir.path().join("aside");
    fs::rename(&place, &aside).unwrap();
    // What leads to itself is there, and cannot be opened.
    std::os::unix::fs::symlink(&place, &place).unwrap();
    host.go_on();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(host.uploads().len(), 1);
    fs::rename(&aside, &place).unwrap();
    world.becomes(client, &queued.message_id, SendStatus::Sent).await;
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_has_no_more_files_under_way_than_it_may() {
    let host = Host::start().await;
    let mut settings = sending_to(&host);
    settings.media.max_bytes = 8000;
    let world = World::start_with(settings).await;
    let (one, two) = (world.add_client("a").await.id, world.add_client("b").await.id);
    for client in [one, two] {
        world.connected(client, &number(1)).await;
    }
    host.script([Act::Hang, Act::Hang]);
    let first = world.sends_file(one, &[1; 5000], false).await.unwrap();
    let refused = world.sends_file(one, &[1; 5000], false).await.unwrap_err();
    assert!(
        matches!(&refused, GatewayError::Conflict(why) if why.contains("media.max_bytes")),
        "{refused:?}"
    );
    world
        .sends_file(two, &[1; 5000], false)
        .await
        .expect("another client has room");
    assert_eq!(world.lying(one).len(), 1);
    host.go_on();
    world.becomes(one, &first.message_id, SendStatus::Sent).await;
    world
        .sends_file(one, &[1; 5000], true)
        .await
        .expect("there is room again");
    let empty = world.sends_file(one, &[], false).await.unwrap_err();
    assert!(
        matches!(&empty, GatewayError::Invalid(refused) if refused.to_string() == "file is empty"),
        "{empty:?}"
    );
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_had_no_turn_is_not_said_to_be_slow() {
    let (host, origin) = (Host::start().await, Receiver::start().await);
    let world = World::start_with(sending_to(&host)).await;
    let (client, _) = world.client_with_number().await;
    let slots = &world.gateway.shared.media.transfers;
    let held: Vec<_> = std::iter::from_fn(|| slots.take(client, Standing::Sound)).collect();
    assert!(!held.is_empty());
    let picture = NewPicture::Url(origin.url("/ok"));
    let set = world.gateway.set_picture(client, &number(1), None, picture, None).await;
    assert!(matches!(set, Err(GatewayError::Unavailable(_))), "{set:?}");
    assert_eq!(origin.count(), 0);
    drop(held);
    let picture = NewPicture::Url(origin.url("/ok"));
    let set = world.gateway.set_picture(client, &number(1), None, picture, None).await;
    assert_eq!(origin.count(), 1, "{set:?}");
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_ends_with_the_deadline_of_its_message_and_with_its_connection() {
    let host = Host::start().await;
    let mut settings = sending_to(&host);
    settings.sending.deadline = Duration::from_secs(5);
    let world = World::start_with(settings).await;
    let (client, _) = world.client_with_number().await;
    host.script([Act::Hang, Act::Hang]);
    let late = world.sends_file(client, &[1; 500], false).await.unwrap();
    let failed = world.becomes(client, &late.message_id, SendStatus::Failed).await;
    assert_eq!(failed.error_code.as_deref(), Some("expired"), "{failed:?}");
    assert_eq!(world.lying(client), Vec::<PathBuf>::new());
    world.sends_file(client, &[1; 500], false).await.unwrap();
    assert_eq!(world.lying(client).len(), 1);
    world.gateway.delete_connection(client, &number(1)).await.unwrap();
    assert_eq!(world.lying(client), Vec::<PathBuf>::new());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_dies_takes_its_files_up_again() {
    let (host, origin) = (Host::start().await, Receiver::start().await);
    let world = World::start_with(sending_to(&host)).await;
    let (client, _) = world.client_with_number().await;
    host.script([Act::Hang]);
    let uploading = world.sends_file(client, &[1; 500], false).await.unwrap();
    // What hangs is to be this upload, and not the next session's.
    host.has_one().await;
    origin.script("/a.txt", [Reply::Slow(Duration::from_secs(600))]);
    let mut message = document();
    message.media.url = Some(origin.url("/a.txt"));
    let fetching = world.sends(client, message, NewFile::Url, false).await.unwrap();
    origin.wait_for(1, WITHIN).await;
    let key = wharf_domain::ConnectionKey::new(client, number(1));
    let entry: Option<SessionEntry> = world.gateway.shared.directory.session(&key);
    entry
        .unwrap()
        .actor
        .unwrap()
        .cast(session::Message::Crash(Crash::Panic))
        .unwrap();
    wait_until("its old link is closed", WITHIN, || async {
        world.links.counters().closed >= 1
    })
    .await;
    let link = world.relinked(client, &number(1)).await;
    for id in [&uploading.message_id, &fetching.message_id] {
        world.becomes(client, id, SendStatus::Sent).await;
    }
    let sizes: Vec<_> = link
        .sent()
        .iter()
        .map(|sent| sent.message.content.media().unwrap().media.size)
        .collect();
    assert_eq!(sizes, [Some(500), Some(2)]);
    assert_eq!(world.lying(client), Vec::<PathBuf>::new());
    world.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_nothing_for_a_while_loses_no_file() {
    let host = Host::start().await;
    let world = World::start_in("?busy_timeout_ms=1000", sending_to(&host)).await;
    let (client, _) = world.client_with_number().await;
    host.script([Act::Hang]);
    let uploading = world.sends_file(client, &[1; 500], false).await.unwrap();
    host.has_one().await;
    let holder = Holder::start(&world);
    host.go_on();
    wait_until("the store refuses", WITHIN, || async {
        world.gateway.ready().await.err()
    })
    .await;
    holder.release();
    world.becomes(client, &uploading.message_id, SendStatus::Sent).await;
    assert_eq!(host.uploads().len(), 1, "once");
    assert_eq!(world.lying(client), Vec::<PathBuf>::new());
    world.gateway.stop().await;
}
