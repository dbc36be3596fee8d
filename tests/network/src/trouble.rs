//! Trouble on purpose: what each kind of fault does when it is asked for.

use std::time::{Duration, Instant};

use crate::state::Command;
use crate::wire::stanza::stream_error;
use crate::{Fault, FaultCode, FaultKind, Network, NetworkError, serve};

/// How long a fault lasts that does not say.
const FAULT: Duration = Duration::from_secs(30);
/// WhatsApp's code for a service that is down.
const UNAVAILABLE: &str = "503";
/// Why a ban, if the fault does not say: too many people blocked the account.
const BAN_CODE: u32 = 101;
/// The code of a ban without an end.
const ENDLESS: &str = "endless";

impl Network {
    /// Makes trouble on purpose.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if the account does not exist, [`NetworkError::Invalid`] for a code that the kind
    /// does not know.
    pub async fn fault(&self, fault: Fault) -> Result<(), NetworkError> {
        self.fault_times(fault, None).await
    }

    /// Makes trouble on purpose that strikes so many times at the most, for kinds that strike one thing at a time:
    /// `corrupt`, `deaf`, `pair_corrupt` and those of media.
    ///
    /// # Errors
    /// As [`Network::fault`].
    pub async fn fault_times(&self, fault: Fault, times: Option<u32>) -> Result<(), NetworkError> {
        let world = self.world();
        let phone = match &fault.phone {
            Some(phone) => Some(world.account(phone)?.phone.clone()),
            None => None,
        };
        let until = Instant::now() + fault.for_ms.map_or(FAULT, Duration::from_millis);
        let code = code(&fault)?;
        let tell = |command: &dyn Fn() -> Command| {
            for link in world.links.of(phone.as_deref()) {
                link.tell(command());
            }
        };
        let lasts = |code| world.faults.add(fault.kind, phone.clone(), code, (until, times));
        let number = code.as_deref().and_then(|code| code.parse().ok());
        match fault.kind {
            FaultKind::Drop => tell(&|| Command::Close(None)),
            FaultKind::StreamError => tell(&|| {
                let code = code.as_deref().unwrap_or(UNAVAILABLE);
                Command::Close(Some(stream_error(code)))
            }),
            FaultKind::QrExpire if phone.is_some() => {
                return Err(NetworkError::Invalid(
                    "qr_expire takes no phone: a device that shows a QR belongs to nobody yet".to_owned(),
                ));
            }
            FaultKind::QrExpire => serve::expire_qrs(world),
            FaultKind::Stall => {
                tell(&|| Command::Stall(until));
                lasts(None);
            }
            FaultKind::Ban => {
                let endless = code.as_deref() == Some(ENDLESS);
                lasts((!endless).then(|| number.unwrap_or(BAN_CODE)));
                tell(&|| Command::Close(None));
            }
            FaultKind::Duplicate => {
                for account in world.accounts() {
                    if phone.as_ref().is_none_or(|phone| *phone == account.phone) {
                        account.devices().iter().for_each(|device| device.repeat());
                    }
                }
                lasts(None);
            }
            FaultKind::Refuse
            | FaultKind::Outdated
            | FaultKind::Passkey
            | FaultKind::PairCorrupt
            | FaultKind::Corrupt
            | FaultKind::Deaf
            | FaultKind::Keyless
            | FaultKind::Deviceless
            | FaultKind::Wary
            | FaultKind::Backlog
            | FaultKind::MediaMissing
            | FaultKind::MediaTruncated
            | FaultKind::MediaCorrupt
            | FaultKind::MediaError
            | FaultKind::MediaStall => lasts(number),
        }
        Ok(())
    }
}

/// The code as the wire has it, if the kind takes one.
fn code(fault: &Fault) -> Result<Option<String>, NetworkError> {
    let text = match &fault.code {
        None => return Ok(None),
        Some(FaultCode::Number(number)) => number.to_string(),
        Some(FaultCode::Name(name)) => name.trim().to_owned(),
    };
    let number = text.parse::<u32>().is_ok_and(|number| (400..600).contains(&number));
    let known = match fault.kind {
        FaultKind::Refuse | FaultKind::Deviceless | FaultKind::MediaError => number,
        FaultKind::StreamError => number || text == "replaced",
        FaultKind::Ban => text.parse::<u32>().is_ok() || text == ENDLESS,
        FaultKind::Outdated => text.parse::<u32>().is_ok(),
        _ => {
            return Err(NetworkError::Invalid(
                "only refuse, stream_error, ban, outdated, deviceless and media_error take a code".to_owned(),
            ));
        }
    };
    if known {
        return Ok(Some(text));
    }
    Err(NetworkError::Invalid(format!(
        "code {text:?} is not known: a number is expected, from 400 to 599 for refuse, \
         stream_error, deviceless and media_error, or \"replaced\" for stream_error, \"endless\" for ban"
    )))
}
