//! Messages with a file, as a client writes them.

use base64::{
    DecodeError, Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use wharf_actors::{NewFile, NewMedia, NewPicture, ReceivedFile};
use wharf_domain::{
    InvalidField,
    outgoing::{FileType, MediaMessage, Mentions, SentFile, check_caption, check_file_name, check_mime_type},
};

use super::{
    super::{
        call::{Call, Upload},
        fields::{self, Fields, Refused},
        problem::{FieldError, Problem},
        values::{checked, mentions, url},
    },
    check_large,
};

/// With `=` at the end or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Characters that are decoded in one go; a multiple of four.
const PIECE: usize = 64 * 1024;
/// What there has to be of a file.
const WANTED: &str = "must have url or base64, and not both; or send the file as the part file of multipart/form-data";

/// A message whose file is not here yet.
pub(super) struct Draft {
    message: MediaMessage,
    base64: Option<String>,
}

/// The fields of a message with a file; without `media` where the file is a part of the body.
pub(super) fn read(body: &mut Fields, kind: FileType, is_part: bool) -> Result<Draft, Refused> {
    let has_caption = kind.has_caption();
    let caption = if has_caption {
        body.optional("caption", checked(check_caption))
    } else {
        Ok(None)
    };
    let mentions = if has_caption {
        body.optional("mentions", mentions)
    } else {
        Ok(None)
    };
    let view_once = if kind.has_view_once() {
        body.optional("view_once", fields::boolean)
    } else {
        Ok(None)
    };
    let (gif, note) = match kind {
        FileType::Video => (
            body.optional("gif", fields::boolean),
            body.optional("note", fields::boolean),
        ),
        _ => (Ok(None), Ok(None)),
    };
    let name = body.optional("file_name", checked(check_file_name));
    let given = match is_part {
        true => Ok((SentFile::default(), None)),
        false => given(body),
    };
    let (mut file, base64) = given?;
    file.file_name = name?.or(file.file_name);
    let (caption, mentions): (Option<String>, _) = (caption?, mentions?.unwrap_or_default());
    if caption.is_none() && !mentions.is_empty() {
        return body.refuse(InvalidField::new("mentions", "need a caption that names them"));
    }
    let (gif, note) = (gif?.unwrap_or(false), note?.unwrap_or(false));
    if note && (gif || caption.is_some()) {
        let other = if gif { "gif" } else { "caption" };
        return body.refuse(InvalidField::new(
            "note",
            format!("goes without {other}: phones show a video note round and alone"),
        ));
    }
    Ok(Draft {
        message: MediaMessage {
            kind,
            media: file,
            caption,
            mentions,
            view_once: view_once?.unwrap_or(false),
            gif,
            note,
            forwarded: false,
            ready: None,
        },
        base64,
    })
}

fn given(body: &mut Fields) -> Result<(SentFile, Option<String>), Refused> {
    body.required_object("media", &format!("is missing: it {WANTED}"), media)
}

fn media(fields: &mut Fields) -> Result<(SentFile, Option<String>), Refused> {
    let url = fields.optional("url", url);
    let base64 = fields.optional("base64", fields::string);
    let mime_type = fields.optional("mime_type", checked(check_mime_type));
    let name = fields.optional("file_name", checked(check_file_name));
    let (url, base64) = (url?, base64?);
    if url.is_some() == base64.is_some() {
        return fields.refuse(InvalidField::new("url", WANTED));
    }
    let file = SentFile {
        url,
        mime_type: mime_type?,
        file_name: name?,
        ..SentFile::default()
    };
    Ok((file, base64))
}

impl Draft {
    /// Whom its caption mentions.
    pub(super) fn mentions(&self) -> &Mentions {
        &self.message.mentions
    }

    /// Whether the body has the file in it.
    pub(super) fn is_in_base64(&self) -> bool {
        self.base64.is_some()
    }

    /// The message with its file: the one that came along, the one in base64, or one to be fetched.
    pub(super) async fn with_file(mut self, call: &mut Call) -> Result<NewMedia, Problem> {
        let file = match (call.upload.take(), self.base64.take()) {
            (Some(upload), _) => NewFile::Received {
                file: self.part(upload),
                field: "file",
            },
            (None, Some(base64)) => NewFile::Received {
                file: decoded(call, &base64).await?,
                field: "media.base64",
            },
            (None, None) => NewFile::Url,
        };
        Ok(NewMedia {
            message: self.message,
            file,
        })
    }

    /// What the part says of the file counts where it could be right.
    fn part(&mut self, upload: Upload) -> ReceivedFile {
        let file = &mut self.message.media;
        let sane = |mime: &String| check_mime_type("file", mime).is_ok();
        file.mime_type = upload.mime_type.filter(sane);
        if file.file_name.is_none() {
            let last = upload.file_name.map(|name| {
                // Some send a whole path.
                let last = name.rsplit(['/', '\\']).next();
                last.unwrap_or_default().to_owned()
            });
            file.file_name = last.filter(|name| check_file_name("file", name).is_ok());
        }
        upload.file
    }
}

/// A picture alone: the file that came along, the one in base64, or one to be fetched. Whatever is said of it, it is what it is. The
/// body goes with it.
pub(in crate::http) async fn picture(call: &mut Call) -> Result<NewPicture, Problem> {
    if let Some(upload) = call.upload.take() {
        return Ok(NewPicture::Received {
            file: upload.file,
            field: "file",
        });
    }
    check_large(call)?;
    let mut body = Fields::parse(&call.body)?;
    let given = given(&mut body);
    body.finish()?;
    call.body = Bytes::new();
    let picture = match given? {
        (_, Some(base64)) => NewPicture::Received {
            file: decoded(call, &base64).await?,
            field: "media.base64",
        },
        (file, None) => NewPicture::Url(file.url.unwrap_or_default()),
    };
    call.large = None;
    Ok(picture)
}

async fn decoded(call: &Call, base64: &str) -> Result<ReceivedFile, Problem> {
    let mut receiving = call.desk.receive_file(call.client, &call.phone()?, None).await?;
    let mut plain = Vec::with_capacity(PIECE);
    for (at, piece) in base64.as_bytes().chunks(PIECE).enumerate() {
        plain.clear();
        let decoded = BASE64.decode_vec(piece, &mut plain);
        let padded_within = plain.len() != PIECE / 4 * 3 && (at + 1) * PIECE < base64.len();
        let wrong = match decoded {
            Err(DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _)) => Some(at),
            Ok(()) if !padded_within => None,
            // It ends where it may not.
            Err(_) | Ok(()) => Some(piece.len()),
        };
        if let Some(wrong) = wrong {
            let place = at * PIECE + wrong + 1;
            let text =
                format!("is not base64 (RFC 4648, without line breaks and data: prefix): see its character {place}");
            return Err(Problem::invalid(vec![FieldError::new("media.base64", text)]));
        }
        receiving.take(&plain).await?;
    }
    let file = receiving.finish().await?;
    match file.size {
        0 => Err(Problem::invalid(vec![FieldError::new(
            "media.base64",
            "is an empty file",
        )])),
        _ => Ok(file),
    }
}
