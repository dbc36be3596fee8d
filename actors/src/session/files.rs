//! The files of messages on their way: fetched where the client named an address, then uploaded, and only then may the
//! message go. Other chats do not wait for it, and the deadline of the message holds.
//!
//! What is done with one message's file is a task that ends with the message. What it came to is committed: a restart
//! fetches nothing again, and uploads nothing again that is uploaded.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ractor::ActorRef;
use wharf_domain::{
    ConnectionKey, Outgoing,
    outgoing::{Content, MediaMessage, Ticket, code},
};
use wharf_store::OutgoingFile;
use wharf_whatsapp::{Link, SendError};

use super::{
    Message, State,
    outbox::{Event, Pending, Undone, fail},
};
use crate::{
    GatewayError,
    media::{
        fetch::{self, NoFile},
        outbound::KeptFile,
        prepare::{self, Unprepared},
        upload::{self, NotUploaded},
    },
    persistence::{Write, WriteError, insist},
    shared::Shared,
    supervision::guarded,
    task::OwnedTask,
    vault::VaultError,
};

/// The pause after a link that could not be asked.
const PAUSE: Duration = Duration::from_secs(1);

/// A message's file.
#[derive(Debug)]
pub(crate) struct File {
    /// What lies there; nothing before it is fetched, and after it is uploaded.
    kept: Option<KeptFile>,
    /// Where it lies, or will.
    place: PathBuf,
    /// What is done with it.
    task: OwnedTask,
    running: bool,
}

/// What came of a step.
#[derive(Debug)]
pub(crate) enum Step {
    /// It was fetched, and lies here.
    Fetched(MediaMessage, KeptFile),
    /// It is at WhatsApp.
    Uploaded(MediaMessage),
    /// It needs a link, and there is none.
    NotConnected,
    /// It cannot be sent.
    Failed(Failed),
}

/// Why a file cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// One of [`code`].
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) detail: String,
}

/// The file of a message, unless it has none or it is at WhatsApp already. `place` is where it lies, or will.
pub(super) fn of(outgoing: &Outgoing, kept: Option<KeptFile>, place: PathBuf) -> Option<File> {
    let file = File {
        kept,
        place,
        task: OwnedTask::default(),
        running: false,
    };
    match outgoing.content.media() {
        Some(media) if !media.is_uploaded() => Some(file),
        _ => {
            file.discard();
            None
        }
    }
}

impl File {
    /// Its message has ended: nothing of it is left.
    pub(super) fn discard(self) {
        drop(self.task);
        match self.kept {
            Some(kept) => kept.remove(),
            // It was fetched, and is left as its row's by whoever waited for the commit until now.
            None => drop(std::fs::remove_file(&self.place)),
        }
    }

    /// The row of its message is committed, or on its way there.
    pub(super) fn belongs_to_row(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.belongs_to_row();
        }
    }
}

/// Begins what can be done with the files of messages that wait.
pub(super) fn go_on(myself: &ActorRef<Message>, state: &mut State, link: Option<&Arc<dyn Link>>) {
    let (key, shared) = (&state.args.key, &state.args.shared);
    for (ticket, pending) in state.sends.with_files() {
        let Some(media) = pending.outgoing.content.media().cloned() else {
            continue;
        };
        let (ticket, id) = (*ticket, pending.message_id.clone());
        let Some(file) = pending.file.as_mut().filter(|file| !file.running) else {
            continue;
        };
        let work = Work {
            shared: Arc::clone(shared),
            key: key.clone(),
            id,
            outgoing: Arc::clone(&pending.outgoing),
        };
        let (myself, link) = (myself.clone(), link.cloned());
        let path = file.kept.as_ref().map(|kept| kept.path().to_owned());
        match (&media.ready, link) {
            (None, _) => {
                file.running = true;
                let fetching = async move { work.fetch(media).await };
                file.task.set(report(myself, ticket, code::MEDIA_FETCH, fetching));
            }
            (Some(_), Some(link)) => {
                file.running = true;
                let uploading = async move { work.upload(media, path, link.as_ref()).await };
                file.task.set(report(myself, ticket, code::MEDIA_UPLOAD, uploading));
            }
            (Some(_), None) => {}
        }
    }
}

/// Takes a step, and tells the actor what came of it. One that panics fails its message with this code: its chat would wait
/// for it until the deadline.
async fn report(
    myself: ActorRef<Message>,
    ticket: Ticket,
    code: &'static str,
    step: impl Future<Output = Result<Step, Failed>>,
) {
    let tell = |step| drop(myself.cast(Message::Outbox(Event::File(ticket, Box::new(step)))));
    let detail = "what is done with the file panicked".to_owned();
    let lost = || tell(Step::Failed(Failed { code, detail }));
    guarded(async { tell(step.await.unwrap_or_else(Step::Failed)) }, lost).await;
}

/// What came of a step with a message's file.
pub(super) fn on_step(state: &mut State, ticket: Ticket, step: Step) {
    let Some(pending) = state.sends.pending(ticket) else {
        // It has ended meanwhile.
        if let Step::Fetched(_, kept) = step {
            kept.remove();
        }
        return;
    };
    let (outgoing, queue) = (Arc::clone(&pending.outgoing), pending.queue);
    let Some(file) = pending.file.as_mut() else { return };
    file.running = false;
    let with = |media| Outgoing {
        content: Content::Media(Box::new(media)),
        ..outgoing.as_ref().clone()
    };
    match step {
        Step::Fetched(media, kept) => {
            file.kept = Some(kept);
            pending.outgoing = Arc::new(with(media));
        }
        Step::Uploaded(media) => {
            if let Some(file) = pending.file.take() {
                file.discard();
            }
            pending.outgoing = Arc::new(with(media));
            state.sends.have_file(ticket);
        }
        Step::NotConnected if queue => {}
        Step::NotConnected => fail(
            state,
            ticket,
            code::NOT_CONNECTED,
            SendError::NotConnected.to_string(),
            Undone::Link(SendError::NotConnected),
        ),
        Step::Failed(failed) => {
            tracing::warn!(number = %state.args.key.phone_number, code = failed.code, failed.detail, "a file was not sent");
            fail(state, ticket, failed.code, failed.detail.clone(), Undone::File(failed));
        }
    }
}

/// One step with one file.
struct Work {
    shared: Arc<Shared>,
    key: ConnectionKey,
    id: String,
    outgoing: Arc<Outgoing>,
}

impl Work {
    async fn fetch(&self, message: MediaMessage) -> Result<Step, Failed> {
        // It was here, and its key cannot be read any more.
        if message.media.url.is_none() {
            return Err(lost());
        }
        let fetched = fetch::fetch(&self.shared, self.key.client_id, message, None).await;
        let (message, received) = fetched.map_err(|error| of_fetch(&error))?;
        let prepared = prepare::prepare(&self.shared, &self.key, &self.id, message, received).await;
        let (message, mut kept) = prepared.map_err(|error| of_prepare(&error))?;
        // Before the commit, which may be made when nobody waits for it any more.
        kept.belongs_to_row();
        if let Err(failed) = self.commit(&message).await {
            kept.remove();
            return Err(failed);
        }
        Ok(Step::Fetched(message, kept))
    }

    async fn upload(&self, mut message: MediaMessage, path: Option<PathBuf>, link: &dyn Link) -> Result<Step, Failed> {
        let (path, ready) = path.zip(message.ready.as_deref()).ok_or_else(lost)?;
        let uploaded = match upload::upload(&self.shared, link, &self.key, &ready.reference, &path).await {
            Ok(uploaded) => uploaded,
            Err(NotUploaded::NotConnected) => {
                // The link is said to be up for a moment longer: asking it at once would be asked over and over.
                tokio::time::sleep(PAUSE).await;
                return Ok(Step::NotConnected);
            }
            Err(NotUploaded::Lost) => return Err(lost()),
            Err(error @ NotUploaded::Failed(_)) => {
                return Err(Failed {
                    code: code::MEDIA_UPLOAD,
                    detail: error.to_string(),
                });
            }
        };
        let mut ready = ready.clone();
        ready.reference.direct_path = uploaded.direct_path;
        ready.url = uploaded.url;
        message.ready = Some(Arc::new(ready));
        self.commit(&message).await?;
        Ok(Step::Uploaded(message))
    }

    /// What is known of the file, in the message's row. A store that takes no writes is asked again until the message ends.
    async fn commit(&self, message: &MediaMessage) -> Result<(), Failed> {
        let sealed = sealed(&self.shared, &self.key, &self.id, message).map_err(|error| storage(&error))?;
        let file = OutgoingFile {
            key: self.key.clone(),
            message_id: self.id.clone(),
            outgoing: Outgoing {
                content: Content::Media(Box::new(message.clone())),
                ..self.outgoing.as_ref().clone()
            },
            file: sealed.unwrap_or_default(),
        };
        let again = |error: &WriteError| {
            tracing::warn!(number = %self.key.phone_number, %error, "what is known of a file was not written; trying again");
            true
        };
        let persistence = &self.shared.persistence;
        let kept = insist(again, || persistence.commit(Write::KeepOutgoingFile, file.clone()));
        kept.await.map_err(|error| storage(&error))
    }
}

/// The secrets of a message's file, for its row; none before it is fetched.
pub(super) fn sealed(
    shared: &Shared,
    key: &ConnectionKey,
    message_id: &str,
    message: &MediaMessage,
) -> Result<Option<Vec<u8>>, VaultError> {
    let ready = message.ready.as_deref();
    ready
        .map(|ready| shared.vault.media().seal_sent(key, message_id, ready))
        .transpose()
}

/// A message as its row has it, with the secrets of its file.
pub(super) fn unsealed(
    shared: &Shared,
    key: &ConnectionKey,
    message_id: &str,
    mut outgoing: Outgoing,
    sealed: Option<&[u8]>,
) -> Outgoing {
    if let Content::Media(message) = &mut outgoing.content
        && let Some(sealed) = sealed
    {
        match shared.vault.media().open_sent(key, message_id, sealed) {
            Ok(ready) => message.ready = Some(Arc::new(ready)),
            // Fetched again where that can be, else found to be lost.
            Err(error) => tracing::error!(%error, message_id, "a file's key cannot be decrypted"),
        }
    }
    outgoing
}

/// The file of a message is not here: it is fetched again, where it was fetched before and is not at WhatsApp yet.
pub(super) fn fetch_again(outgoing: &mut Outgoing) {
    if let Content::Media(message) = &mut outgoing.content
        && message.media.url.is_some()
        && !message.is_uploaded()
    {
        message.ready = None;
    }
}

fn lost() -> Failed {
    Failed {
        code: code::MEDIA_STORAGE,
        detail: NotUploaded::Lost.to_string(),
    }
}

fn storage(error: &dyn std::fmt::Display) -> Failed {
    Failed {
        code: code::MEDIA_STORAGE,
        detail: format!("the file could not be kept: {error}"),
    }
}

fn of_fetch(error: &NoFile) -> Failed {
    Failed {
        code: match error {
            NoFile::Fetch(_) | NoFile::Room(GatewayError::TooLarge(_)) => code::MEDIA_FETCH,
            NoFile::Room(_) => code::MEDIA_STORAGE,
        },
        detail: error.to_string(),
    }
}

fn of_prepare(error: &Unprepared) -> Failed {
    match error {
        Unprepared::Refused(refused) => Failed {
            code: code::MEDIA_FETCH,
            detail: format!("the file {}", refused.message),
        },
        Unprepared::Disk(error) => storage(error),
    }
}

impl Pending {
    /// Ends what is done with its file, and removes it.
    pub(super) fn discard_file(&mut self) {
        if let Some(file) = self.file.take() {
            file.discard();
        }
    }
}
