//! Ports that nobody else gets.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
};

use tokio::net::TcpSocket;

/// Below those that systems give out by themselves (from 32768 on Linux): neither a socket that asks for any port nor a
/// connection that goes out gets one of these.
const NOT_GIVEN_OUT: Range<u16> = 12_000..32_000;

/// A port of 127.0.0.1 on which nothing listens: connections to it are refused. It is taken for as long as this lives, so
/// that nobody comes to listen there.
pub struct ClosedPort(TcpSocket);

impl ClosedPort {
    /// Takes a port.
    ///
    /// # Panics
    /// When there is none.
    pub fn take() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .expect("a free port");
        Self(socket)
    }

    /// Which.
    ///
    /// # Panics
    /// Never: it is bound.
    pub fn number(&self) -> u16 {
        self.0.local_addr().expect("a bound port").port()
    }
}

/// A port of 127.0.0.1 for a program that is started later, and perhaps again and again.
///
/// # Panics
/// When none is free.
pub fn free_port() -> u16 {
    let ports = u64::from(NOT_GIVEN_OUT.end - NOT_GIVEN_OUT.start);
    // Drawn by lot, because other test programs look for one as well.
    let mut drawn = (0..1000_u32).map(|round| RandomState::new().hash_one(round) % ports);
    drawn
        .find_map(|place| {
            let port = NOT_GIVEN_OUT.start + u16::try_from(place).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|_| port)
        })
        .expect("a free port")
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_closed_port_refuses_and_is_nobody_elses() {
        let port = ClosedPort::take();
        let address = (Ipv4Addr::LOCALHOST, port.number());
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        let taken = TcpListener::bind(address).unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_free_port_can_be_listened_on() {
        let port = free_port();
        assert!(NOT_GIVEN_OUT.contains(&port));
        drop(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
    }
}
