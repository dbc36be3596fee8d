//! The task of one socket: handshake, login, then stanzas in and commands out until either side ends it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::sync::{mpsc, oneshot};
use wacore::xml::DisplayableNode;
use wacore_binary::Node;
use wacore_binary::marshal::unmarshal_ref;
use wacore_binary::util::unpack;
use warp::ws::WebSocket;

use super::login::{Admission, admit};
use super::session::Session;
use super::socket::{Socket, SocketError};
use crate::state::{Command, Link, World};
use crate::wire::literal;
use crate::wire::noise::{Accepted, Channel, ResponderError, Step, respond};
use crate::wire::stanza::{attr, failure};

/// A client that has not finished its handshake by then is gone.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(20);
/// How many commands are encoded before what they make is flushed.
const BURST: usize = 64;

/// Why a connection ended other than by agreement.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Noise(#[from] ResponderError),
    #[error("binary node: {0}")]
    Node(#[from] wacore_binary::BinaryError),
    #[error("the client left during the handshake")]
    Left,
    #[error("the handshake took longer than {} s", HANDSHAKE_LIMIT.as_secs())]
    Slow,
}

/// Serves a socket until it closes.
pub(crate) async fn run(world: Arc<World>, socket: WebSocket) {
    let (guard, commands) = world.links.open();
    let link = guard.link.clone();
    if world.faults.refused(None) == Some(None) {
        return;
    }
    if let Err(error) = serve(&world, &link, commands, Socket::new(socket)).await {
        tracing::debug!(link = link.id, %error, "connection ended");
    }
    world.offers.withdraw(link.id);
    world.codes.withdraw(link.id);
}

async fn serve(
    world: &Arc<World>,
    link: &Link,
    commands: mpsc::UnboundedReceiver<Command>,
    mut socket: Socket,
) -> Result<(), ConnectionError> {
    let mut commands = commands;
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(HANDSHAKE_LIMIT, handshake(world, &mut socket)) => {
            accepted.map_err(|_| ConnectionError::Slow)??
        }
        command = commands.recv() => {
            if let Some(Command::Stall(until)) = command {
                tokio::time::sleep_until(until.into()).await;
            }
            return Ok(());
        }
    };
    world.handshakes.fetch_add(1, Ordering::Relaxed);
    let Accepted {
        channel,
        client_key,
        payload,
    } = accepted;
    let mut pipe = Pipe { socket, channel };
    match admit(world, link, &client_key, payload) {
        Admission::Refused(reason) => pipe.end_with(&failure(reason)).await,
        Admission::Failed(failure) => pipe.end_with(&failure).await,
        Admission::Silent => Ok(()),
        Admission::Stalled(until) => {
            tokio::time::sleep_until(until.into()).await;
            Ok(())
        }
        Admission::Welcome(session) => {
            let result = converse(&session, &mut pipe, commands).await;
            session.end();
            if let Ok(Ending::Polite) = result {
                pipe.socket.close().await;
            }
            result.map(drop)
        }
    }
}

async fn handshake(world: &World, socket: &mut Socket) -> Result<Accepted, ConnectionError> {
    let hello = socket.receive().await?.ok_or(ConnectionError::Left)?;
    match respond(&world.identity, &hello, &mut rand::make_rng::<rand::rngs::StdRng>())? {
        Step::Done(reply, accepted) => {
            socket.queue(&reply).await?;
            socket.flush().await?;
            world.resumed.fetch_add(1, Ordering::Relaxed);
            Ok(*accepted)
        }
        Step::Pending(reply, pending) => {
            socket.queue(&reply).await?;
            socket.flush().await?;
            let finish = socket.receive().await?.ok_or(ConnectionError::Left)?;
            Ok(pending.finish(&finish)?)
        }
    }
}

/// The encrypted way to the client and back.
struct Pipe {
    socket: Socket,
    channel: Channel,
}

impl Pipe {
    async fn queue(&mut self, stanza: &Node) -> Result<(), ConnectionError> {
        tracing::trace!(stanza = %DisplayableNode(stanza), "to the client");
        let sealed = self.channel.seal(&literal::marshal(stanza)?)?;
        Ok(self.socket.queue(&sealed).await?)
    }

    async fn flush(&mut self) -> Result<(), ConnectionError> {
        Ok(self.socket.flush().await?)
    }

    async fn end_with(mut self, last: &Node) -> Result<(), ConnectionError> {
        self.queue(last).await?;
        self.flush().await?;
        self.socket.close().await;
        Ok(())
    }

    fn open(&mut self, mut frame: BytesMut) -> Result<Node, ConnectionError> {
        self.channel.open(&mut frame)?;
        let plain = unpack(&frame)?;
        let stanza = unmarshal_ref(&plain)?.to_owned();
        tracing::trace!(stanza = %DisplayableNode(&stanza), "from the client");
        Ok(stanza)
    }
}

/// A pair-success that the client has not answered.
type Pairing = Option<(String, oneshot::Sender<Result<Vec<u8>, String>>)>;

/// What the loop does after a burst of commands.
enum After {
    Continue,
    Close,
    Drop,
    Stall(Instant),
}

/// How a conversation ended.
enum Ending {
    /// The client is gone, or is to be left without a word.
    Abrupt,
    /// The client was told.
    Polite,
}

async fn converse(
    session: &Session,
    pipe: &mut Pipe,
    mut commands: mpsc::UnboundedReceiver<Command>,
) -> Result<Ending, ConnectionError> {
    let mut pairing: Pairing = None;
    session.greet();
    loop {
        tokio::select! {
            biased;
            command = commands.recv() => {
                let Some(command) = command else { return Ok(Ending::Abrupt) };
                match burst(pipe, &mut commands, command, &mut pairing).await? {
                    After::Continue => {}
                    After::Drop => return Ok(Ending::Abrupt),
                    After::Close => return Ok(Ending::Polite),
                    // Nothing is read any more, so that not even a WebSocket ping is answered.
                    After::Stall(until) => {
                        tokio::time::sleep_until(until.into()).await;
                        return Ok(Ending::Abrupt);
                    }
                }
            }
            frame = pipe.socket.receive() => {
                let Some(frame) = frame? else { return Ok(Ending::Abrupt) };
                let stanza = pipe.open(frame)?;
                match pairing.take_if(|(id, _)| answers(&stanza, id)) {
                    Some((_, answer)) => drop(answer.send(super::pairing::read_answer(&stanza))),
                    None => session.handle(&stanza).await,
                }
            }
        }
    }
}

async fn burst(
    pipe: &mut Pipe,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    first: Command,
    pairing: &mut Pairing,
) -> Result<After, ConnectionError> {
    let mut command = first;
    let mut left = BURST;
    loop {
        match command {
            Command::Send(stanza) => pipe.queue(&stanza).await?,
            Command::Pair { id, stanza, answer } => {
                pipe.queue(&stanza).await?;
                *pairing = Some((id, answer));
            }
            Command::Close(Some(last)) => {
                pipe.queue(&last).await?;
                pipe.flush().await?;
                return Ok(After::Close);
            }
            Command::Close(None) => return Ok(After::Drop),
            Command::Stall(until) => return Ok(After::Stall(until)),
        }
        left -= 1;
        if left == 0 {
            break;
        }
        match commands.try_recv() {
            Ok(next) => command = next,
            Err(_) => break,
        }
    }
    pipe.flush().await?;
    Ok(After::Continue)
}

fn answers(stanza: &Node, id: &str) -> bool {
    stanza.tag == "iq" && attr(stanza, "id").as_deref() == Some(id)
}
