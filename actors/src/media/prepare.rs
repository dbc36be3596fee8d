//! What is done with a file before its message may wait: it is recognised, looked into, and encrypted to its place. What
//! lies there then is what goes to WhatsApp, on every try, and nobody can read it without the row.

use std::{
    fs, io,
    io::{BufWriter, Read as _, Seek as _, Write as _},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use wharf_domain::{
    ConnectionKey, InvalidField, hex,
    media_link::file_name,
    outgoing::{FileType, HEAD_BYTES, MediaMessage, ReadyFile, SentFile, Signs},
};
use wharf_store::private;
use wharf_whatsapp::media::{EncryptedFile, encrypt};

use super::{
    files::make_directory_of,
    outbound::{KeptFile, ReceivedFile},
    probe::{self, Facts},
};
use crate::{clock, shared::Shared};

/// Pieces that are encrypted and written in one go.
const PIECE: usize = 256 * 1024;

/// Why a file does not go out.
#[derive(Debug, Error)]
pub(crate) enum Unprepared {
    /// It is not what WhatsApp takes.
    #[error(transparent)]
    Refused(#[from] InvalidField),
    /// The disk.
    #[error("the file cannot be kept: {0}")]
    Disk(#[from] io::Error),
}

/// Readies the file of a message. Answers the message with what is shown of it, and the file at its place.
///
/// # Errors
/// `Unprepared`; nothing is left of the file then.
pub(crate) async fn prepare(
    shared: &Shared,
    key: &ConnectionKey,
    message_id: &str,
    message: MediaMessage,
    mut received: ReceivedFile,
) -> Result<(MediaMessage, KeptFile), Unprepared> {
    check_size(message.kind, received.size)?;
    let outbound = &shared.media.outbound;
    let mut kept = outbound.kept(key, message_id, None);
    kept.hold(received.take_held());
    let (unfinished, place) = (outbound.unfinished()?, outbound.path(key, message_id));
    // Pictures take memory and encrypting takes a processor: not all at a time.
    let turn = shared.media.preparing.turn(key.client_id).await;
    // The thread goes on when nobody waits for it any more: what it makes then goes with it, and its turn lasts so long.
    let working = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let made = ready(message, &received, &unfinished, &place);
        if made.is_err() {
            let _never_made = fs::remove_file(&unfinished);
        }
        Ok((made?, kept))
    });
    working
        .await
        .unwrap_or_else(|panicked| Err(io::Error::other(panicked.to_string()).into()))
}

/// # Errors
/// `InvalidField` when WhatsApp takes no file of so many bytes as this.
pub(crate) fn check_size(kind: FileType, bytes: u64) -> Result<(), InvalidField> {
    let most = kind.most_bytes();
    match bytes {
        0 => Err(InvalidField::new("media", "is empty")),
        bytes if bytes > most => Err(InvalidField::new(
            "media",
            format!("has {bytes} bytes: WhatsApp takes at most {most} as {}", kind.as_str()),
        )),
        _ => Ok(()),
    }
}

fn ready(
    mut message: MediaMessage,
    received: &ReceivedFile,
    unfinished: &Path,
    place: &PathBuf,
) -> Result<MediaMessage, Unprepared> {
    let mut file = fs::File::open(received.path())?;
    let mut head = Vec::with_capacity(HEAD_BYTES);
    (&file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    // Strangers wrote what is read here: where reading panics, the file goes out without what it would have told.
    let looking = AssertUnwindSafe(|| probe::has_picture(message.kind, &mut file));
    let mime_type = message.kind.mime_type(Signs {
        said: message.media.mime_type.as_deref(),
        name: message.media.file_name.as_deref(),
        head: &head,
        has_picture: panic::catch_unwind(looking).unwrap_or_default(),
    })?;
    let looking = AssertUnwindSafe(|| probe::look(message.kind, &mime_type, &mut file));
    let facts = panic::catch_unwind(looking).unwrap_or_default();
    file.rewind()?;
    let made = keep(message.kind, file, unfinished, place)?;
    let name = message.media.file_name.take();
    let name = match message.kind {
        FileType::Document => name.or_else(|| Some(file_name(None, &mime_type))),
        _ => name,
    };
    message.media = SentFile {
        url: message.media.url.take(),
        mime_type: Some(mime_type),
        size: Some(made.size),
        sha256: Some(hex(&made.sha256)),
        file_name: name,
        seconds: facts.seconds,
        width: facts.size.map(|(width, _)| width),
        height: facts.size.map(|(_, height)| height),
    };
    message.ready = Some(Arc::new(described(message.kind, made, facts)));
    Ok(message)
}

/// Encrypts a file to its place; whatever lies there is whole.
fn keep(kind: FileType, file: fs::File, unfinished: &Path, place: &PathBuf) -> io::Result<EncryptedFile> {
    let mut encrypted = BufWriter::with_capacity(PIECE, private::options().create_new(true).open(unfinished)?);
    let reader = io::BufReader::with_capacity(PIECE, file);
    let made = encrypt(kind.media_kind(), reader, &mut encrypted)?;
    encrypted.flush()?;
    // On the disk before the commit that says so.
    encrypted.get_ref().sync_all()?;
    make_directory_of(place)?;
    fs::rename(unfinished, place)?;
    if let Some(parent) = place.parent() {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(made)
}

fn described(kind: FileType, made: EncryptedFile, facts: Facts) -> ReadyFile {
    ReadyFile {
        reference: made.reference(kind.media_kind(), String::new()),
        url: String::new(),
        thumbnail: facts.thumbnail,
        waveform: facts.waveform,
        sidecar: made.sidecar,
        animated: facts.animated,
        made_at: clock::now().seconds(),
    }
}
