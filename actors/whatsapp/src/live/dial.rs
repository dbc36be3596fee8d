//! Which address of a name is connected to: the first that answers.
//!
//! A name has addresses of both families, and on many hosts one of the two leads nowhere without a word: packets to it are lost,
//! and a connection is given up after two minutes. Whoever tries one address after another never comes to the second. So the
//! next one is begun a moment later beside it, families by turns (RFC 8305, sections 4 and 5).

use std::{future::Future, net::SocketAddr, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::sleep;

/// What an address has before the next one is tried beside it (RFC 8305, section 5: Connection Attempt Delay).
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried.
const ADDRESSES_TRIED: usize = 8;

/// What `open` makes of the first address that it can be made of.
///
/// # Errors
/// The last refusal; `None` if there was no address.
pub(crate) async fn first<T, E, F>(
    addresses: impl Iterator<Item = SocketAddr>,
    open: impl Fn(SocketAddr) -> F,
) -> Result<T, Option<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = by_turns(addresses).into_iter().take(ADDRESSES_TRIED);
    let (mut under_way, mut refusal) = (FuturesUnordered::new(), None);
    loop {
        let next = waiting.next();
        let may_be_more = next.is_some();
        under_way.extend(next.map(&open));
        tokio::select! {
            ended = under_way.next() => match ended {
                Some(Ok(opened)) => return Ok(opened),
                Some(Err(error)) => refusal = Some(error),
                None => return Err(refusal),
            },
            () = sleep(HEAD_START), if may_be_more => {}
        }
    }
}

/// The addresses in their order, but for the families, which take turns from the first one's on.
fn by_turns(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses: Vec<SocketAddr> = addresses.collect();
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (favoured, others): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut favoured, mut others) = (favoured.into_iter(), others.into_iter());
    let mut turns = Vec::with_capacity(favoured.len() + others.len());
    while favoured.len() + others.len() > 0 {
        turns.extend(favoured.next());
        turns.extend(others.next());
    }
    turns
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Mutex, time::Instant};

    use super::*;

    fn addresses(texts: &[&str]) -> std::vec::IntoIter<SocketAddr> {
        let addresses: Vec<SocketAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
        addresses.into_iter()
    }

    /// Port 1 is silent, port 2 refuses, any other answers.
    async fn open(address: SocketAddr) -> Result<SocketAddr, u16> {
        match address.port() {
            1 => pending().await,
            2 => Err(address.port()),
            _ => Ok(address),
        }
    }

    #[tokio::test]
    async fn one_that_says_nothing_holds_up_no_other() {
        let silent = addresses(&["[2001:db8::1]:1", "[2001:db8::2]:1", "192.0.2.1:443"]);
        let begun = Instant::now();
        assert_eq!(first(silent, open).await, Ok("192.0.2.1:443".parse().unwrap()));
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn after_a_refusal_the_next_one_is_tried_at_once_and_the_last_is_told() {
        let tried = Mutex::new(Vec::new());
        let noted = |address: SocketAddr| {
            tried.lock().unwrap().push(address.port());
            open(address)
        };
        let refused = addresses(&["192.0.2.1:2", "192.0.2.2:7", "192.0.2.3:8"]);
        assert_eq!(first(refused, noted).await, Ok("192.0.2.2:7".parse().unwrap()));
        assert_eq!(*tried.lock().unwrap(), [2, 7], "one that answers is enough");
        let all = addresses(&["192.0.2.1:2", "192.0.2.2:2"]);
        assert_eq!(first(all, open).await, Err(Some(2)));
        assert_eq!(first(addresses(&[]), open).await, Err(None));
    }

    #[test]
    fn families_take_turns() {
        let sorted = |texts: &[&str]| by_turns(addresses(texts));
        let (a, b, c) = ("[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1");
        let (x, y) = ("192.0.2.1:1", "192.0.2.2:1");
        let expected = |texts: &[&str]| addresses(texts).collect::<Vec<_>>();
        assert_eq!(sorted(&[a, b, c, x, y]), expected(&[a, x, b, y, c]));
        assert_eq!(sorted(&[x, a, y]), expected(&[x, a, y]));
        assert_eq!(sorted(&[]), expected(&[]));
    }
}
