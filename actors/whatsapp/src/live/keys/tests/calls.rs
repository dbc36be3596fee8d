//! What a client may ask of its keys, as values that can be made up and compared.

mod asking;

use proptest::{collection::vec, prelude::*, sample::select};
use whatsapp_rust::{store::traits::ProtocolStore as _, wacore::store::InMemoryBackend};

/// Addresses, among them some that begin like others, and one that nobody has. `55@t` and `55A` are where what begins with
/// `55@s` and with `55@` has just ended.
const NAMES: [&str; 8] = ["5511@s", "5511:1@s", "55@s", "55@t", "55A", "551:2@lid", "g@g.us", ""];
const USERS: [&str; 5] = ["5511", "55", "551", "5", "%"];

type Name = &'static str;

/// A call. The numbers are ids or times where the name says so, bytes of a value otherwise.
#[derive(Debug, Clone)]
pub(super) enum Call {
    PutIdentity(Name, u8),
    PutIdentities(Vec<(Name, u8)>),
    LoadIdentity(Name),
    DeleteIdentity(Name),
    PutSession(Name, u8),
    PutSessions(Vec<(Name, u8)>),
    GetSession(Name),
    HasSession(Name),
    HasState(Name),
    DeleteSession(Name),
    StorePrekeys(Vec<(u32, u8)>),
    LoadPrekeys(Vec<u32>),
    RemovePrekey(u32),
    MarkPrekeys(Vec<u32>),
    MaxPrekey,
    StoreSigned(u32, u8),
    LoadSigned(u32),
    AllSigned,
    RemoveSigned(u32),
    PutSenderKeys(Vec<(Name, u8)>),
    GetSenderKey(Name),
    DeleteSenderKey(Name),
    SetSyncKey(u8, u8),
    GetSyncKey(u8),
    LatestSyncKey,
    SetVersion(Name, u64),
    GetVersion(Name),
    PutMacs(Name, Vec<(u8, u8)>),
    GetMac(Name, u8),
    GetMacs(Name, Vec<u8>),
    DeleteMacs(Name, Vec<u8>),
    ClearMacs(Name),
    SetHasKey(Name, Vec<(Name, bool)>),
    WhoHasKey(Name),
    ClearHasKey(Name),
    ClearAllHasKey,
    DeleteHasKey(Vec<Name>),
    PutLids(Vec<(Name, Name, i64)>),
    GetLid(Name),
    AllLids,
    SaveBaseKey(Name, Name, u8),
    SameBaseKey(Name, Name, u8),
    DeleteBaseKey(Name, Name),
    UpdateDevices(Vec<(Name, u32)>),
    GetDevices(Name),
    DeleteDevices(Name),
    PutGroup(Name, u8),
    GetGroup(Name),
    DeleteGroup(Name),
    PutToken(Name, Option<u8>, i64, Option<i64>),
    GetToken(Name),
    DeleteToken(Name),
    TokenJids,
    ExpireTokens(i64, i64),
    TouchToken(Name, i64),
    ReceiveToken(Name, Option<u8>, i64),
    StoreSent(Name, Name, u8),
    TakeSent(Name, Name),
    ExpireSent(i64),
    StorePending(Vec<(Name, Name, Name, u8)>),
    GetPending(Name, Name, Name),
    DeletePending(Vec<(Name, Name, Name)>),
    ExpirePending(i64),
    PutSecrets(Vec<(Name, Name, u8, i64, i64)>),
    GetSecret(Name, Name),
    ExpireSecrets(i64),
    SaveAndLoadDevice(i32),
}

/// Asks the library's own store, and makes it do as ours does: that forgets keys of messages that were asked for again with those
/// messages, and keeps a message that is taken.
pub(super) async fn ask_model(call: &Call, model: &InMemoryBackend) -> String {
    match call {
        Call::ExpireSent(seconds) if *seconds > 0 => {
            for address in NAMES {
                for id in NAMES {
                    model.delete_base_key(address, id).await.unwrap();
                }
            }
        }
        Call::TakeSent(chat, id) => {
            let taken = model.take_sent_message(chat, id).await.unwrap();
            if let Some(payload) = &taken {
                model.store_sent_message(chat, id, payload).await.unwrap();
            }
            return format!("{taken:?}");
        }
        _ => {}
    }
    call.ask(model).await
}

/// Calls that read everything which the names reach.
pub(super) fn everything() -> Vec<Call> {
    let mut calls = vec![
        Call::AllSigned,
        Call::MaxPrekey,
        Call::LatestSyncKey,
        Call::AllLids,
        Call::TokenJids,
        Call::LoadPrekeys((0..8).collect()),
    ];
    for name in NAMES {
        calls.extend([
            Call::LoadIdentity(name),
            Call::GetSession(name),
            Call::GetSenderKey(name),
            Call::GetVersion(name),
            Call::GetMacs(name, (0..4).collect()),
            Call::WhoHasKey(name),
            Call::GetDevices(name),
            Call::GetGroup(name),
            Call::GetToken(name),
        ]);
        calls.extend(NAMES.map(|other| Call::GetPending(name, other, "")));
        calls.extend(NAMES.map(|other| Call::GetSecret(name, other)));
    }
    calls.extend(USERS.map(Call::HasState));
    for byte in 0..4 {
        let pairs = [(0, 0), (0, 1), (1, 0), (1, 1)];
        calls.extend(pairs.map(|(address, id)| Call::SameBaseKey(NAMES[address], NAMES[id], byte)));
    }
    calls
}

/// Calls in families: what is put, read and removed by calls of one family meets within a few of them.
pub(super) fn families() -> [BoxedStrategy<Call>; 5] {
    let name = || select(&NAMES[..]);
    // Few, so that pairs of them meet.
    let near_name = || select(&NAMES[..2]);
    let few = || vec((name(), any::<u8>()), 0..4);
    let byte = || 0..4_u8;
    let time = || 0..6_i64;
    let near = || prop_oneof![Just(-100_i64), Just(100)];
    let signal = prop_oneof![
        (name(), byte()).prop_map(|(n, b)| Call::PutIdentity(n, b)),
        few().prop_map(Call::PutIdentities),
        name().prop_map(Call::LoadIdentity),
        name().prop_map(Call::DeleteIdentity),
        (name(), byte()).prop_map(|(n, b)| Call::PutSession(n, b)),
        few().prop_map(Call::PutSessions),
        name().prop_map(Call::GetSession),
        name().prop_map(Call::HasSession),
        select(&USERS[..]).prop_map(Call::HasState),
        name().prop_map(Call::DeleteSession),
        vec((0..8_u32, byte()), 0..5).prop_map(Call::StorePrekeys),
        vec(0..8_u32, 0..5).prop_map(Call::LoadPrekeys),
        (0..8_u32).prop_map(Call::RemovePrekey),
        vec(0..8_u32, 0..5).prop_map(Call::MarkPrekeys),
        Just(Call::MaxPrekey),
        (0..3_u32, byte()).prop_map(|(id, b)| Call::StoreSigned(id, b)),
        (0..3_u32).prop_map(Call::LoadSigned),
        Just(Call::AllSigned),
        (0..3_u32).prop_map(Call::RemoveSigned),
        few().prop_map(Call::PutSenderKeys),
        name().prop_map(Call::GetSenderKey),
        name().prop_map(Call::DeleteSenderKey),
    ];
    let app_state = prop_oneof![
        (byte(), byte()).prop_map(|(id, b)| Call::SetSyncKey(id, b)),
        byte().prop_map(Call::GetSyncKey),
        Just(Call::LatestSyncKey),
        (name(), 0..9_u64).prop_map(|(n, v)| Call::SetVersion(n, v)),
        name().prop_map(Call::GetVersion),
        (name(), vec((byte(), byte()), 0..5)).prop_map(|(n, m)| Call::PutMacs(n, m)),
        (name(), byte()).prop_map(|(n, m)| Call::GetMac(n, m)),
        (name(), vec(byte(), 0..5)).prop_map(|(n, m)| Call::GetMacs(n, m)),
        (name(), vec(byte(), 0..3)).prop_map(|(n, m)| Call::DeleteMacs(n, m)),
        name().prop_map(Call::ClearMacs),
        Just(())
            .prop_flat_map(|()| any::<i32>())
            .prop_map(Call::SaveAndLoadDevice),
    ];
    let groups = prop_oneof![
        (name(), vec((name(), any::<bool>()), 0..4)).prop_map(|(n, d)| Call::SetHasKey(n, d)),
        name().prop_map(Call::WhoHasKey),
        name().prop_map(Call::ClearHasKey),
        Just(Call::ClearAllHasKey),
        vec(name(), 0..3).prop_map(Call::DeleteHasKey),
        vec((name(), name(), time()), 0..4).prop_map(Call::PutLids),
        name().prop_map(Call::GetLid),
        Just(Call::AllLids),
        (near_name(), near_name(), byte()).prop_map(|(a, m, b)| Call::SaveBaseKey(a, m, b)),
        (near_name(), near_name(), byte()).prop_map(|(a, m, b)| Call::SameBaseKey(a, m, b)),
        (near_name(), near_name()).prop_map(|(a, m)| Call::DeleteBaseKey(a, m)),
        vec((name(), 0..9_u32), 0..4).prop_map(Call::UpdateDevices),
        name().prop_map(Call::GetDevices),
        name().prop_map(Call::DeleteDevices),
        (name(), byte()).prop_map(|(n, b)| Call::PutGroup(n, b)),
        name().prop_map(Call::GetGroup),
        name().prop_map(Call::DeleteGroup),
    ];
    let tokens = prop_oneof![
        (
            name(),
            proptest::option::of(byte()),
            time(),
            proptest::option::of(time())
        )
            .prop_map(|(n, t, at, sent)| Call::PutToken(n, t, at, sent)),
        name().prop_map(Call::GetToken),
        name().prop_map(Call::DeleteToken),
        Just(Call::TokenJids),
        (time(), time()).prop_map(|(t, s)| Call::ExpireTokens(t, s)),
        (name(), time()).prop_map(|(n, at)| Call::TouchToken(n, at)),
        (name(), proptest::option::of(byte()), time()).prop_map(|(n, t, at)| Call::ReceiveToken(n, t, at)),
    ];
    let messages = prop_oneof![
        (name(), name(), byte()).prop_map(|(c, m, b)| Call::StoreSent(c, m, b)),
        (name(), name()).prop_map(|(c, m)| Call::TakeSent(c, m)),
        near().prop_map(Call::ExpireSent),
        vec((name(), name(), name(), byte()), 0..4).prop_map(Call::StorePending),
        (name(), name(), name()).prop_map(|(c, s, m)| Call::GetPending(c, s, m)),
        vec((name(), name(), name()), 0..4).prop_map(Call::DeletePending),
        near().prop_map(Call::ExpirePending),
        vec((name(), name(), byte(), time(), time()), 0..5).prop_map(Call::PutSecrets),
        (name(), name()).prop_map(|(c, m)| Call::GetSecret(c, m)),
        time().prop_map(Call::ExpireSecrets),
    ];
    [
        signal.boxed(),
        app_state.boxed(),
        groups.boxed(),
        tokens.boxed(),
        messages.boxed(),
    ]
}
