//! Which numbers are on WhatsApp, remembered for a while: asking for each message would be noticed, and slow.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use wharf_domain::{PhoneNumber, action::NumberCheck};
use whatsapp_rust::wacore_binary::Jid;
use whatsapp_rust::{Client, features::ContactError};

/// Numbers remembered for each number that sends; past that everything is forgotten, which costs a look-up each.
const MOST: usize = 2000;
/// Accounts seldom go.
const KNOWN_FOR: Duration = Duration::from_hours(24);
/// Somebody who is not there may come.
const UNKNOWN_FOR: Duration = Duration::from_secs(300);
/// A look-up before a message takes no longer than this.
pub(crate) const LOOK_UP: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Default)]
pub(crate) struct Numbers(Mutex<HashMap<PhoneNumber, (Option<Jid>, Instant)>>);

impl Numbers {
    /// The account of a number as far as it is remembered: `Some(None)` is that there is none.
    pub(crate) fn known(&self, number: &PhoneNumber) -> Option<Option<Jid>> {
        let known = self.map();
        let (account, since) = known.get(number)?;
        let lasts = if account.is_some() { KNOWN_FOR } else { UNKNOWN_FOR };
        (since.elapsed() < lasts).then(|| account.clone())
    }

    pub(crate) fn learn(&self, number: &PhoneNumber, account: Option<Jid>) {
        let mut known = self.map();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(number.clone(), (account, Instant::now()));
    }

    fn map(&self) -> MutexGuard<'_, HashMap<PhoneNumber, (Option<Jid>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks WhatsApp for all of them in one go, and remembers the answers. Accounts in the order of the numbers.
    ///
    /// WhatsApp may know a number under slightly other digits (Brazil, Mexico, Argentina).
    pub(crate) async fn ask(
        &self,
        client: &Client,
        numbers: &[PhoneNumber],
    ) -> Result<Vec<(PhoneNumber, Option<Jid>)>, ContactError> {
        let jids: Vec<Jid> = numbers.iter().map(|number| Jid::pn(number.as_str())).collect();
        let found = client.contacts().is_on_whatsapp(&jids).await?;
        let registered = || found.iter().filter(|account| account.is_registered);
        // One that WhatsApp tells by its hidden id only can be told apart when nobody else was asked for.
        let alone = match numbers {
            [only] if registered().next().is_some() => Some(Jid::pn(only.as_str())),
            _ => None,
        };
        let accounts: Vec<Jid> = registered()
            .filter_map(|account| {
                [Some(&account.jid), account.pn_jid.as_ref()]
                    .into_iter()
                    .flatten()
                    .find(|jid| jid.is_pn())
                    .cloned()
            })
            .collect();
        let answers = numbers.iter().map(|number| {
            let account = accounts.iter().find(|jid| number.is_account(jid.user_base()));
            let account = account.cloned().or_else(|| alone.clone());
            self.learn(number, account.clone());
            (number.clone(), account)
        });
        Ok(answers.collect())
    }
}

/// An answer, as the API gives it.
pub(crate) fn check((number, account): (PhoneNumber, Option<Jid>)) -> NumberCheck {
    NumberCheck {
        number,
        exists: account.is_some(),
        jid: account.map(|jid| jid.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_remembered_within_bounds() {
        let numbers = Numbers::default();
        let number = |n: usize| format!("55110000{n:05}").parse::<PhoneNumber>().unwrap();
        assert_eq!(numbers.known(&number(0)), None);
        numbers.learn(&number(0), None);
        assert_eq!(numbers.known(&number(0)), Some(None));
        let account = Jid::pn("5511000000001");
        numbers.learn(&number(1), Some(account.clone()));
        assert_eq!(numbers.known(&number(1)), Some(Some(account)));
        for n in 2..=MOST {
            numbers.learn(&number(n), None);
        }
        assert_eq!(numbers.known(&number(1)), None, "all is forgotten together");
        assert!(numbers.map().len() <= MOST);
    }
}
