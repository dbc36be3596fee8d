//! A picture in a request: the part `file`, in base64, or at an address, as the file of a message.

use bytes::Bytes;
use wharf_actors::NewPicture;
use wharf_domain::InvalidField;

use super::{
    body::{BODY_MAX_BYTES, too_large},
    call::Call,
    fields::Fields,
    messages::{
        file::{WANTED, decoded, media},
        outside_strings,
    },
    problem::Problem,
};

/// Reads the picture that a request brings; its body goes with it.
pub(super) async fn picture(call: &mut Call) -> Result<NewPicture, Problem> {
    if let Some(upload) = call.upload.take() {
        return Ok(NewPicture::Received {
            file: upload.file,
            field: "file",
        });
    }
    // A large body is one long string.
    let is_large = call.large.is_some();
    if is_large && outside_strings(&call.body) > BODY_MAX_BYTES {
        return Err(too_large(BODY_MAX_BYTES));
    }
    let mut body = Fields::parse(&call.body)?;
    let given = body.object("media", media);
    if let Ok(None) = given {
        let _refused: Result<(), _> = body.refuse(InvalidField::new("media", format!("is missing: it {WANTED}")));
    }
    body.finish()?;
    call.body = Bytes::new();
    // Refused above where it is missing.
    let (file, base64) = given?.ok_or_else(Problem::internal)?;
    let picture = match (file.url, base64) {
        (_, Some(base64)) => NewPicture::Received {
            file: decoded(call, &base64).await?,
            field: "media.base64",
        },
        (Some(url), None) if !is_large => NewPicture::Url(url),
        (Some(_), None) => return Err(too_large(BODY_MAX_BYTES)),
        (None, None) => return Err(Problem::internal()),
    };
    call.large = None;
    Ok(picture)
}
