//! The responder's side of the Noise handshake: XX for a client that does not know the server, IK for one that
//! does, XXfallback for one that knows another.

use bytes::BytesMut;
use rand::CryptoRng;
use wacore_binary::consts::{NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK, WA_CONN_HEADER};
use wacore_libsignal::protocol::KeyPair;
use wacore_noise::{HandshakeError, NoiseCipher, NoiseError, NoiseHandshake};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::handshake_message::{ClientHello, ServerHello};
use waproto::whatsapp::{ClientPayload, HandshakeMessage};

use super::cert::ServerIdentity;

/// Why a handshake ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponderError {
    #[error("noise: {0}")]
    Noise(#[from] HandshakeError),
    #[error("cipher: {0}")]
    Cipher(#[from] NoiseError),
    #[error("not a handshake message: {0}")]
    Decode(#[from] waproto::buffa::DecodeError),
    #[error("the handshake message lacks {0}")]
    Missing(&'static str),
    #[error("a key is not 32 bytes long")]
    KeyLength,
}

/// A finished handshake.
pub(crate) struct Accepted {
    /// Ciphers of both directions.
    pub(crate) channel: Channel,
    /// The client's static key.
    pub(crate) client_key: [u8; 32],
    /// Who the client says it is.
    pub(crate) payload: ClientPayload,
}

/// What follows the client's first message.
pub(crate) enum Step {
    /// XX: send the reply, then give the client's next message to [`Pending::finish`].
    Pending(Vec<u8>, Box<Pending>),
    /// IK: send the reply; the handshake is over.
    Done(Vec<u8>, Box<Accepted>),
}

/// An XX handshake that waits for the client's last message.
pub(crate) struct Pending {
    noise: NoiseHandshake,
    ephemeral: KeyPair,
}

/// Reads the client's first message and builds the server's reply.
///
/// # Errors
/// [`ResponderError`] if the message is malformed.
pub(crate) fn respond<R: CryptoRng>(
    identity: &ServerIdentity,
    hello: &[u8],
    rng: &mut R,
) -> Result<Step, ResponderError> {
    let message = waproto::codec::handshake_message_decode(hello)?;
    let mut hello = message
        .client_hello
        .into_option()
        .ok_or(ResponderError::Missing("clientHello"))?;
    let client_ephemeral = key(hello.ephemeral.take(), "ephemeral")?;
    if hello.r#static.is_some() {
        match respond_ik(identity, &client_ephemeral, hello, rng) {
            // Encrypted for a key that this server does not have: the client falls back with the ephemeral key it sent.
            Err(ResponderError::Noise(_)) => respond_xx(identity, &client_ephemeral, NOISE_PATTERN_XXFALLBACK, rng),
            result => result,
        }
    } else {
        respond_xx(identity, &client_ephemeral, NOISE_PATTERN_XX, rng)
    }
}

fn respond_xx<R: CryptoRng>(
    identity: &ServerIdentity,
    client_ephemeral: &[u8; 32],
    pattern: &str,
    rng: &mut R,
) -> Result<Step, ResponderError> {
    let ephemeral = KeyPair::generate(rng);
    let mut noise = NoiseHandshake::new(pattern, &WA_CONN_HEADER)?;
    noise.authenticate(client_ephemeral);
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client_ephemeral)?;
    let static_key = noise.encrypt(identity.static_key.public_key.public_key_bytes())?;
    noise.mix_shared_secret(identity.static_key.private_key.serialize(), client_ephemeral)?;
    let chain = noise.encrypt(&identity.chain)?;
    let reply = server_hello(&ephemeral, Some(static_key), chain);
    Ok(Step::Pending(reply, Box::new(Pending { noise, ephemeral })))
}

fn respond_ik<R: CryptoRng>(
    identity: &ServerIdentity,
    client_ephemeral: &[u8; 32],
    hello: ClientHello,
    rng: &mut R,
) -> Result<Step, ResponderError> {
    let server_private = identity.static_key.private_key.serialize();
    let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, &WA_CONN_HEADER)?;
    noise.authenticate(identity.static_key.public_key.public_key_bytes());
    noise.authenticate(client_ephemeral);
    noise.mix_shared_secret(server_private, client_ephemeral)?;
    let sealed_static = hello.r#static.ok_or(ResponderError::Missing("static"))?;
    let client_key = key(Some(noise.decrypt(&sealed_static)?), "static")?;
    noise.mix_shared_secret(server_private, &client_key)?;
    let sealed_payload = hello.payload.ok_or(ResponderError::Missing("payload"))?;
    let payload = ClientPayload::decode_from_slice(&noise.decrypt(&sealed_payload)?)?;

    let ephemeral = KeyPair::generate(rng);
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client_ephemeral)?;
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &client_key)?;
    let chain = noise.encrypt(&identity.chain)?;
    let reply = server_hello(&ephemeral, None, chain);
    let channel = Channel::new(noise)?;
    Ok(Step::Done(
        reply,
        Box::new(Accepted {
            channel,
            client_key,
            payload,
        }),
    ))
}

impl Pending {
    /// Reads the client's last message.
    ///
    /// # Errors
    /// [`ResponderError`] if the message is malformed or does not decrypt.
    pub(crate) fn finish(mut self, message: &[u8]) -> Result<Accepted, ResponderError> {
        let message = waproto::codec::handshake_message_decode(message)?;
        let finish = message
            .client_finish
            .into_option()
            .ok_or(ResponderError::Missing("clientFinish"))?;
        let sealed_static = finish.r#static.ok_or(ResponderError::Missing("static"))?;
        let client_key = key(Some(self.noise.decrypt(&sealed_static)?), "static")?;
        self.noise
            .mix_shared_secret(self.ephemeral.private_key.serialize(), &client_key)?;
        let sealed_payload = finish.payload.ok_or(ResponderError::Missing("payload"))?;
        let payload = ClientPayload::decode_from_slice(&self.noise.decrypt(&sealed_payload)?)?;
        Ok(Accepted {
            channel: Channel::new(self.noise)?,
            client_key,
            payload,
        })
    }
}

fn server_hello(ephemeral: &KeyPair, static_key: Option<Vec<u8>>, payload: Vec<u8>) -> Vec<u8> {
    HandshakeMessage {
        server_hello: MessageField::some(ServerHello {
            ephemeral: Some(ephemeral.public_key.public_key_bytes().to_vec()),
            r#static: static_key,
            payload: Some(payload),
            ..Default::default()
        }),
        ..Default::default()
    }
    .encode_to_vec()
}

fn key(bytes: Option<Vec<u8>>, name: &'static str) -> Result<[u8; 32], ResponderError> {
    bytes
        .ok_or(ResponderError::Missing(name))?
        .try_into()
        .map_err(|_| ResponderError::KeyLength)
}

/// The encrypted channel after the handshake; each direction counts its frames.
pub(crate) struct Channel {
    seal: NoiseCipher,
    open: NoiseCipher,
    sealed: u32,
    opened: u32,
}

impl Channel {
    /// The responder reads with the key that the initiator writes with.
    fn new(noise: NoiseHandshake) -> Result<Self, ResponderError> {
        let (open, seal) = noise.finish()?;
        Ok(Self {
            seal,
            open,
            sealed: 0,
            opened: 0,
        })
    }

    /// Encrypts the next frame to the client.
    ///
    /// # Errors
    /// [`ResponderError::Cipher`], among others when 2^32 frames were sent.
    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> Result<Vec<u8>, ResponderError> {
        let sealed = self.seal.encrypt_with_counter(self.sealed, plaintext)?;
        self.sealed = self.sealed.checked_add(1).ok_or(NoiseError::CounterExhausted)?;
        Ok(sealed)
    }

    /// Decrypts the next frame from the client, in place.
    ///
    /// # Errors
    /// [`ResponderError::Cipher`] if it was tampered with or is out of order.
    pub(crate) fn open(&mut self, frame: &mut BytesMut) -> Result<(), ResponderError> {
        self.open.decrypt_in_place_with_counter(self.opened, frame)?;
        self.opened = self.opened.checked_add(1).ok_or(NoiseError::CounterExhausted)?;
        Ok(())
    }
}
