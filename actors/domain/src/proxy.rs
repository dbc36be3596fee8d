//! The proxy of a connection: the way that one number's traffic takes to WhatsApp.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::{
    InvalidField,
    address::{TargetPolicy, check_host},
};

const FIELD: &str = "proxy";
/// As for a webhook's address.
const LONGEST_BYTES: usize = 2048;
/// SOCKS5 gives a name and a password one byte for their length (RFC 1929).
const LONGEST_CREDENTIAL: usize = 255;
const ACCEPTED: &str = "must be http://[USER:PASSWORD@]HOST:PORT or socks5://[USER:PASSWORD@]HOST:PORT";

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP `CONNECT` (RFC 9110 section 9.3.6).
    Http,
    /// SOCKS version 5 (RFC 1928); names are resolved by the proxy.
    Socks5,
}

/// A user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyLogin {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for ProxyLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyLogin(…)")
    }
}

/// A proxy with what it takes to be let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// How it is spoken to.
    pub kind: ProxyKind,
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who we are to it.
    pub login: Option<ProxyLogin>,
}

impl Proxy {
    /// Reads a proxy as a client gives it, and refuses one that lies where a webhook may not lie either: a proxy is an
    /// address that we connect to on somebody's word. A name's addresses are checked when it is connected to.
    ///
    /// # Errors
    /// [`InvalidField`] for `proxy`, which never repeats what was given: it may hold a password.
    pub fn parse(policy: &TargetPolicy, text: &str) -> Result<Self, InvalidField> {
        let proxy = Self::read(text).map_err(|why| InvalidField::new(FIELD, why))?;
        proxy.check(policy).map_err(|why| InvalidField::new(FIELD, why))?;
        Ok(proxy)
    }

    /// Whether it may lie where it says that it does. The addresses of a name are another matter: they are judged when it
    /// is connected to.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow "proxy".
    pub fn check(&self, policy: &TargetPolicy) -> Result<(), String> {
        let url = self.url().ok_or_else(|| ACCEPTED.to_owned())?;
        check_host(policy, &url)
    }

    /// Reads what [`Proxy::to_text`] wrote, whatever is admitted by now: that is checked again when it is connected to.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::read(text).ok()
    }

    fn read(text: &str) -> Result<Self, String> {
        let accepted = || ACCEPTED.to_owned();
        if text.len() > LONGEST_BYTES || text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(accepted());
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(accepted)?;
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "http" => ProxyKind::Http,
            "socks5" | "socks5h" => ProxyKind::Socks5,
            _ => return Err(accepted()),
        };
        if rest.starts_with('/') {
            return Err(accepted());
        }
        // Read as http: of schemes that it does not know, the parser leaves addresses like 127.1 as they are.
        let url = Url::parse(&format!("http://{rest}")).map_err(|_| accepted())?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(accepted());
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => return Err(accepted()),
        };
        // 80 is left out of what was parsed; without any the kind's own is meant.
        let given = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        let port = match (url.port(), kind) {
            (Some(0), _) => return Err(format!("{ACCEPTED}, with a port from 1 to 65535")),
            (Some(port), _) => port,
            (None, ProxyKind::Socks5) if !given.trim_end_matches('/').ends_with(":80") => 1080,
            (None, _) => 80,
        };
        Ok(Self {
            kind,
            host,
            port,
            login: login(&url)?,
        })
    }

    fn url(&self) -> Option<Url> {
        Url::parse(&format!("http://{}", self.place())).ok()
    }

    /// `HOST:PORT`
    pub fn place(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    fn scheme(&self) -> &'static str {
        match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5",
        }
    }

    /// What may be seen of it: all but the credentials.
    pub fn shown(&self) -> String {
        format!("{}://{}", self.scheme(), self.place())
    }

    /// Whether `text` says no more of a proxy than is `shown` of it.
    pub fn is_shown_as(text: &str, shown: Option<&str>) -> bool {
        let said = Self::from_text(text).filter(|proxy| proxy.login.is_none());
        said.is_some_and(|proxy| Some(proxy.shown().as_str()) == shown)
    }

    /// All of it, for the vault.
    pub fn to_text(&self) -> String {
        let mut url = format!("{}://", self.scheme());
        if let Some(ProxyLogin { user, password }) = &self.login {
            url.push_str(&format!("{}:{}@", encode(user), encode(password)));
        }
        url + &self.place()
    }
}

fn encode(text: &str) -> impl fmt::Display {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}

fn login(url: &Url) -> Result<Option<ProxyLogin>, String> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decode = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().ok()?;
        let sane = (1..=LONGEST_CREDENTIAL).contains(&text.len()) && !text.chars().any(char::is_control);
        sane.then(|| text.into_owned())
    };
    let (user, password) = (decode(url.username()), decode(url.password().unwrap_or_default()));
    match (user, password) {
        (Some(user), Some(password)) if !user.contains(':') => Ok(Some(ProxyLogin { user, password })),
        _ => Err(format!(
            "{ACCEPTED}; USER and PASSWORD have 1 to {LONGEST_CREDENTIAL} bytes each, percent-encoded where need be"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: TargetPolicy = TargetPolicy {
        allow_http: false,
        allow_private_networks: false,
        allowed_networks: Vec::new(),
    };
    const OPEN: TargetPolicy = TargetPolicy {
        allow_http: false,
        allow_private_networks: true,
        allowed_networks: Vec::new(),
    };

    #[test]
    fn what_is_given_is_kept_and_shown_without_credentials() {
        for (text, shown, kind, user) in [
            (
                "http://a:b@proxy.example.com:3128",
                "http://proxy.example.com:3128",
                ProxyKind::Http,
                Some("a"),
            ),
            (
                "socks5://proxy.example.com",
                "socks5://proxy.example.com:1080",
                ProxyKind::Socks5,
                None,
            ),
            (
                "SOCKS5H://u:p%40ss@93.184.216.34:80/",
                "socks5://93.184.216.34:80",
                ProxyKind::Socks5,
                Some("u"),
            ),
            (
                "http://proxy.example.com",
                "http://proxy.example.com:80",
                ProxyKind::Http,
                None,
            ),
            (
                "http://x:p%40s%3As@[2606:4700::1]:8080",
                "http://[2606:4700::1]:8080",
                ProxyKind::Http,
                Some("x"),
            ),
        ] {
            let proxy = Proxy::parse(&STRICT, text).unwrap();
            assert_eq!((proxy.shown().as_str(), proxy.kind), (shown, kind), "{text}");
            assert_eq!(proxy.login.as_ref().map(|login| login.user.as_str()), user, "{text}");
            assert_eq!(Proxy::from_text(&proxy.to_text()), Some(proxy.clone()), "{text}");
            assert!(!format!("{proxy:?}").contains("p@s:s"));
        }
    }

    #[test]
    fn what_is_shown_is_recognised() {
        let shown = Some("http://proxy.example.com:3128");
        for same in ["http://proxy.example.com:3128", "HTTP://proxy.example.com:3128/"] {
            assert!(Proxy::is_shown_as(same, shown), "{same}");
        }
        for other in [
            "http://a:b@proxy.example.com:3128",
            "socks5://proxy.example.com:3128",
            "http://proxy.example.com",
            "",
        ] {
            assert!(!Proxy::is_shown_as(other, shown), "{other}");
        }
        assert!(!Proxy::is_shown_as("http://proxy.example.com:3128", None));
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_repeating_it() {
        for text in [
            "",
            "proxy.example.com:3128",
            "https://proxy.example.com",
            "ftp://proxy.example.com",
            "http://",
            "http:///x",
            "http://secret@proxy.example.com/path",
            "http://proxy.example.com:0",
            "http://proxy.example.com:99999",
            "http://user:@proxy.example.com",
            "http://:secret@proxy.example.com",
            "http://a:b@proxy.example.com?x",
            "http://a:b@proxy.example.com#x",
            "http://a b:c@proxy.example.com",
            "socks5://a:se\\cret@proxy.example.com",
            // What a reader of URLs would take for something else, or drop.
            "http://proxy.example.com\\",
            "http://proxy.example.com\u{1}",
            "http://proxy.example.com/path",
            // A colon ends a user name, and a line a header.
            "http://u%3A:secret@proxy.example.com",
            "http://a%0a:b@proxy.example.com",
            "http://a:b%0d@proxy.example.com",
        ] {
            let refused = Proxy::parse(&OPEN, text).unwrap_err();
            assert_eq!(refused.field, "proxy");
            assert!(
                refused.message.starts_with("must be http://"),
                "{text}: {}",
                refused.message
            );
            assert!(!refused.message.contains("secret"));
        }
        for long in [
            format!("http://{}:b@proxy.example.com", "a".repeat(256)),
            format!("http://proxy.example.com:{}80", "0".repeat(LONGEST_BYTES)),
        ] {
            assert!(Proxy::parse(&OPEN, &long).is_err(), "{long}");
        }
    }

    #[test]
    fn a_proxy_may_lie_where_a_webhook_may() {
        for text in [
            "http://127.0.0.1:3128",
            "socks5://127.1:1080",
            "socks5://0x7f000001",
            "http://localhost:3128",
            "socks5://a:b@[::1]:1080",
            "http://10.0.0.1",
            "http://169.254.169.254",
        ] {
            let refused = Proxy::parse(&STRICT, text).unwrap_err();
            assert!(
                refused.message.contains("public address"),
                "{text}: {}",
                refused.message
            );
            assert!(Proxy::parse(&OPEN, text).is_ok(), "{text}");
        }
        assert_eq!(Proxy::parse(&OPEN, "socks5://127.1").unwrap().host, "127.0.0.1");
    }
}
