//! Which numbers are on WhatsApp, remembered for a while: asking for each message would be noticed, and slow.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use wharf_domain::{PhoneNumber, action::NumberCheck};
use whatsapp_rust::wacore_binary::Jid;
use whatsapp_rust::{
    Client, IqError,
    features::{ContactError, IsOnWhatsAppResult},
};

use super::{
    memory::{Memory, make_room},
    send::of_iq,
};
use crate::SendError;

/// Numbers remembered for each number that sends; past that everything is forgotten, which costs a look-up each.
const MOST: usize = 2000;
/// Accounts seldom go.
const KNOWN_FOR: Duration = Duration::from_hours(24);
/// Somebody who is not there may come.
const UNKNOWN_FOR: Duration = Duration::from_secs(300);
/// A look-up before a message takes no longer than this.
const LOOK_UP: Duration = Duration::from_secs(5);
/// Numbers that are asked for together.
const TOGETHER: usize = 50;

/// What is remembered of a number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Its account, or that there is none.
    Account(Option<Jid>),
    /// It was looked up, too long ago.
    Once,
    /// Nothing.
    Nothing,
}

/// A number, and its account if it has one; or why WhatsApp does not say.
pub(crate) type Answer = (PhoneNumber, Result<Option<Jid>, IqError>);

/// See the module.
#[derive(Default)]
pub(crate) struct Numbers(Mutex<HashMap<PhoneNumber, (Option<Jid>, Instant)>>);

impl Numbers {
    /// What is remembered of a number.
    pub(crate) fn known(&self, number: &PhoneNumber) -> Known {
        let known = self.0.lock();
        let Some((account, since)) = known.get(number) else {
            return Known::Nothing;
        };
        let lasts = if account.is_some() { KNOWN_FOR } else { UNKNOWN_FOR };
        match since.elapsed() < lasts {
            true => Known::Account(account.clone()),
            false => Known::Once,
        }
    }

    pub(crate) fn learn(&self, number: &PhoneNumber, account: Option<Jid>) {
        let mut known = self.0.lock();
        make_room(&mut known, MOST, number);
        known.insert(number.clone(), (account, Instant::now()));
    }

    /// Has the answers for so many numbers be remembered together.
    fn make_room(&self, answers: usize) {
        let mut known = self.0.lock();
        if known.len() + answers > MOST {
            known.clear();
        }
    }

    /// Asks WhatsApp for all of them in one go, and remembers the answers. Accounts in the order of the numbers.
    ///
    /// WhatsApp may know a number under slightly other digits (Brazil, Mexico, Argentina). It may also refuse to say
    /// anything of one of them, which tells nothing about it: then the refusal is its answer.
    pub(crate) async fn ask(&self, client: &Client, numbers: &[PhoneNumber]) -> Result<Vec<Answer>, ContactError> {
        let jids: Vec<Jid> = numbers.iter().map(|number| Jid::pn(number.as_str())).collect();
        let found = client.contacts().is_on_whatsapp(&jids).await?;
        Ok(self.read(numbers, &found))
    }

    /// Asks for one of them.
    pub(crate) async fn ask_one(&self, client: &Client, number: &PhoneNumber) -> Result<Option<Jid>, ContactError> {
        let answers = self.ask(client, std::slice::from_ref(number)).await?;
        let account = answers.into_iter().next().map_or(Ok(None), |(_, account)| account);
        account.map_err(ContactError::Iq)
    }

    /// What the answers say of the numbers.
    fn read(&self, numbers: &[PhoneNumber], found: &[IsOnWhatsAppResult]) -> Vec<Answer> {
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
        self.make_room(numbers.len());
        // Of several it may be any.
        let nameless = registered().count() > accounts.len() && alone.is_none();
        let answer = |number: &PhoneNumber| {
            let account = accounts.iter().find(|jid| number.is_account(jid.user_base()));
            let account = account.cloned().or_else(|| alone.clone());
            if account.is_none()
                && let Some(refusal) = refusal_of(number, found)
            {
                return (number.clone(), Err(refusal));
            }
            if account.is_some() || !nameless {
                self.learn(number, account.clone());
            }
            (number.clone(), Ok(account))
        };
        numbers.iter().map(answer).collect()
    }
}

/// The account of a number.
pub(crate) async fn account(client: &Client, memory: &Memory, number: &PhoneNumber) -> Result<Jid, SendError> {
    let by = Instant::now() + LOOK_UP;
    let mut found = accounts(client, memory, std::slice::from_ref(number), by).await?;
    found.pop().ok_or_else(|| SendError::NotOnWhatsApp(number.clone()))
}

/// The accounts of numbers, in their order, as [`look_up`] finds them.
pub(crate) async fn accounts(
    client: &Client,
    memory: &Memory,
    wanted: &[PhoneNumber],
    by: Instant,
) -> Result<Vec<Jid>, SendError> {
    look_up(client, memory, wanted, by).await?.into_iter().collect()
}

/// The account of each number, or that nobody has it. Those of which nothing is known are asked for, until `by`. A look-up that
/// fails holds nothing up: the number is then taken as it was given.
pub(crate) async fn look_up(
    client: &Client,
    memory: &Memory,
    wanted: &[PhoneNumber],
    by: Instant,
) -> Result<Vec<Result<Jid, SendError>>, SendError> {
    let numbers = memory.numbers();
    // By themselves: there may be more of them than are remembered, and others are looked up meanwhile.
    let (mut known, mut unknown) = (HashMap::new(), Vec::new());
    for number in wanted {
        if known.contains_key(number) {
            continue;
        }
        let before = numbers.known(number);
        if is_unknown(client, &before, number).await {
            unknown.push(number.clone());
        }
        known.insert(number.clone(), before);
    }
    for some in unknown.chunks(TOGETHER) {
        let patience = by.min(Instant::now() + LOOK_UP);
        match tokio::time::timeout_at(patience, numbers.ask(client, some)).await {
            Ok(Err(ContactError::Iq(error))) if of_iq(&error) == SendError::NotConnected => {
                return Err(SendError::NotConnected);
            }
            Ok(Err(error)) => tracing::debug!(%error, "numbers could not be looked up; going on all the same"),
            Err(_) if patience == by => break,
            Ok(Ok(_)) => known.extend(some.iter().map(|number| (number.clone(), numbers.known(number)))),
            Err(_) => {}
        }
    }
    let found = wanted.iter().map(|number| match known.get(number) {
        Some(Known::Account(Some(account))) => Ok(account.clone()),
        Some(Known::Account(None)) => Err(SendError::NotOnWhatsApp(number.clone())),
        Some(Known::Once | Known::Nothing) | None => Ok(Jid::pn(number.as_str())),
    });
    Ok(found.collect())
}

/// Whether a number has to be asked for. Who has written or is in a group has an account. WhatsApp also tells hidden ids of
/// numbers that nobody has, when they are looked up: one that was is looked up again.
async fn is_unknown(client: &Client, known: &Known, number: &PhoneNumber) -> bool {
    match known {
        Known::Account(_) => false,
        Known::Once => true,
        Known::Nothing => !matches!(client.get_lid_pn_entry(&Jid::pn(number.as_str())).await, Ok(Some(_))),
    }
}

/// Why WhatsApp says nothing of a number (it was asked for too many, mostly); `None` if it does.
fn refusal_of(number: &PhoneNumber, found: &[IsOnWhatsAppResult]) -> Option<IqError> {
    let mut of_number = found
        .iter()
        .filter(|account| account.jid.is_pn() && number.is_account(account.jid.user_base()));
    let error = of_number.find_map(|account| account.contact_error.as_ref())?;
    Some(IqError::ServerError {
        code: error.code.unwrap_or_default(),
        text: error.text.clone().unwrap_or_default(),
        error_type: None,
        backoff: None,
    })
}

/// The answers, as the API gives them; a refusal if there is nothing else.
pub(crate) fn checks(answers: Vec<Answer>) -> Result<Vec<NumberCheck>, SendError> {
    let all = answers.len();
    let (mut checks, mut refusals) = (Vec::with_capacity(all), Vec::new());
    for (number, account) in answers {
        let refusal = account.as_ref().err().map(of_iq);
        let account = account.ok();
        checks.push(NumberCheck {
            number,
            exists: account.as_ref().map(Option::is_some),
            jid: account.flatten().map(|jid| jid.to_string()),
            error: refusal.as_ref().map(ToString::to_string),
        });
        refusals.extend(refusal);
    }
    match refusals.len() == all {
        true => Err(refusals.swap_remove(0)),
        false => Ok(checks),
    }
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::wacore::iq::{
        spec::IqSpec as _,
        usync::{IsOnWhatsAppQueryType, IsOnWhatsAppSpec},
    };
    use whatsapp_rust::wacore_binary::{Node, builder::NodeBuilder};

    use super::*;

    /// As WhatsApp tells of a number: whether somebody has it, or an error.
    fn told(number: &str, word: Result<&'static str, u16>) -> Node {
        let contact = NodeBuilder::new("contact");
        let contact = match word {
            Ok(word) => contact.attr("type", word),
            Err(code) => contact.children([NodeBuilder::new("error").attr("code", code).build()]),
        };
        let user = NodeBuilder::new("user").attr("jid", Jid::pn(number));
        user.children([contact.build()]).build()
    }

    fn results(users: Vec<Node>) -> Vec<IsOnWhatsAppResult> {
        let list = NodeBuilder::new("list").children(users).build();
        let usync = NodeBuilder::new("usync").children([list]).build();
        let answer = NodeBuilder::new("iq").attr("type", "result").children([usync]).build();
        let asked = IsOnWhatsAppSpec::new(Vec::new(), "1", IsOnWhatsAppQueryType::Pn);
        asked.parse_response(&answer.as_node_ref()).unwrap()
    }

    #[test]
    fn a_number_of_which_nothing_is_said_is_none_that_nobody_has() {
        let numbers = Numbers::default();
        let [there, gone, unsaid] = ["5511000000001", "5511000000002", "5511000000003"].map(|n| n.parse().unwrap());
        let found = results(vec![
            told("5511000000001", Ok("in")),
            told("5511000000002", Ok("out")),
            told("5511000000003", Err(429)),
        ]);
        let answers = numbers.read(&[there, gone, unsaid], &found);
        assert!(matches!(answers[2].1, Err(IqError::ServerError { code: 429, .. })));
        let told = checks(answers).unwrap();
        let exists: Vec<_> = told.iter().map(|check| check.exists).collect();
        assert_eq!(exists, [Some(true), Some(false), None]);
        assert!(
            told[2].error.as_deref().is_some_and(|error| error.contains("429")),
            "{told:?}"
        );
        assert_eq!(told[1].error, None);
        let known = |text: &str| numbers.known(&text.parse().unwrap());
        assert_eq!(known("5511000000001"), Known::Account(Some(Jid::pn("5511000000001"))));
        assert_eq!(known("5511000000002"), Known::Account(None));
        assert_eq!(known("5511000000003"), Known::Nothing);
        let there: PhoneNumber = "5511000000001".parse().unwrap();
        let (_, account) = numbers.read(std::slice::from_ref(&there), &found[..1]).remove(0);
        assert_eq!(account.unwrap(), Some(Jid::pn("5511000000001")));
        let refused = checks(numbers.read(&["5511000000003".parse().unwrap()], &found[2..]));
        assert!(
            matches!(&refused, Err(SendError::Refused { code, .. }) if code == "429"),
            "{refused:?}"
        );
    }

    /// They are read back together.
    #[test]
    fn answers_that_come_together_are_remembered_together() {
        let numbers = Numbers::default();
        for n in 1..MOST {
            numbers.learn(&format!("55110000{n:05}").parse().unwrap(), None);
        }
        let found = results(vec![told("5511777777771", Ok("in")), told("5511777777772", Ok("in"))]);
        let asked: [PhoneNumber; 2] = ["5511777777771", "5511777777772"].map(|n| n.parse().unwrap());
        numbers.read(&asked, &found);
        for number in &asked {
            assert_eq!(numbers.known(number), Known::Account(Some(Jid::pn(number.as_str()))));
        }
    }

    #[test]
    fn answers_are_remembered_within_bounds() {
        let numbers = Numbers::default();
        let number = |n: usize| format!("55110000{n:05}").parse::<PhoneNumber>().unwrap();
        assert_eq!(numbers.known(&number(0)), Known::Nothing);
        numbers.learn(&number(0), None);
        assert_eq!(numbers.known(&number(0)), Known::Account(None));
        let account = Jid::pn("5511000000001");
        numbers.learn(&number(1), Some(account.clone()));
        assert_eq!(numbers.known(&number(1)), Known::Account(Some(account)));
        for n in 2..=MOST {
            numbers.learn(&number(n), None);
        }
        assert_eq!(numbers.known(&number(1)), Known::Nothing, "all is forgotten together");
        assert!(numbers.0.lock().len() <= MOST);
    }
}
