//! Where a webhook may point (CONTRACT.md section 4): the text of the URL when it is registered, and every address
//! its name resolves to when an attempt connects.
//!
//! A gateway that posts wherever it is told is a way into the network it stands in (server-side request forgery), so
//! the rule is a list of what is refused, taken from the IANA special-purpose address registries for
//! [IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry) and
//! [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry). For IPv6 it is turned round: only global
//! unicast, 2000::/3, is looked at at all, so that a range assigned tomorrow is refused today. The few anycast services
//! inside a special range that the registries call globally reachable (192.0.0.9, 2001:1::1 …) are refused with their
//! range: no webhook lives there.
//!
//! IPv4 hidden in IPv6 (mapped, compatible, NAT64, 6to4, Teredo, ISATAP) is refused wholesale, whatever it hides: which
//! IPv4 address such a packet reaches is decided by translators on the way that this code cannot see. The price: a host
//! with IPv6 only, behind DNS64, cannot reach receivers that have IPv4 only, unless its operator admits 64:ff9b::/96.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use ipnet::IpNet;
use ipnet::{Ipv4Net, Ipv6Net};
use url::Host;
pub use url::Url;

use crate::InvalidField;

/// The longest `webhook_url`, in bytes. Proxies and servers commonly take request lines up to 8 KiB; 2 KiB leaves room
/// and keeps a row small.
pub const LONGEST_URL_BYTES: usize = 2048;

const FIELD: &str = "webhook_url";

/// What the operator admits beyond the contract's default (`delivery.*` of config.toml).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetPolicy {
    /// `http` next to `https`.
    pub allow_http: bool,
    /// Every address and `localhost`: nothing is refused for where it points. For development.
    pub allow_private_networks: bool,
    /// These addresses, whatever is refused otherwise: receivers of the operator's own.
    pub allowed_networks: Vec<IpNet>,
}

impl TargetPolicy {
    fn admits(&self, ip: IpAddr) -> bool {
        self.allow_private_networks || self.allowed_networks.iter().any(|network| network.contains(&ip))
    }
}

/// Reads networks with commas between them, as `delivery.allowed_networks` has them: `10.1.2.0/24, fd00::7`; an address is a
/// network of one. `None` if one is none, or has bits beyond its prefix: whoever writes `10.1.2.3/8` means less than it says.
pub fn read_networks(text: &str) -> Option<Vec<IpNet>> {
    let networks = text.split(',').map(str::trim).filter(|network| !network.is_empty());
    let read = |text: &str| match text.parse::<IpAddr>() {
        Ok(ip) => Some(ip.into()),
        Err(_) => text.parse::<IpNet>().ok().filter(|network| *network == network.trunc()),
    };
    networks.map(read).collect()
}

/// Reads a `webhook_url` and checks all that can be checked without the network: its form, its scheme, and an address
/// written in it in any notation that URLs admit (`127.1`, `0x7f000001`, `017700000001`, `[::ffff:127.0.0.1]` …).
/// A name is accepted here and its addresses judged with [`refused_as`] when an attempt connects.
///
/// User names and passwords are refused: they would travel as an `authorization` header that the contract does not
/// have and show up in every listing and log line that shows the URL. So are fragments, which HTTP never sends:
/// `https://host/#/hook` would silently post to `/`.
///
/// # Errors
/// [`InvalidField`] for `webhook_url`, saying what would be accepted.
pub fn check_url(policy: &TargetPolicy, text: &str) -> Result<Url, InvalidField> {
    let refuse = |message: String| InvalidField::new(FIELD, message);
    if text.len() > LONGEST_URL_BYTES {
        return Err(refuse(format!(
            "must be at most {LONGEST_URL_BYTES} bytes, not {}",
            text.len()
        )));
    }
    // The parser would drop these silently, and what is stored would not be what is contacted.
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refuse("must not contain spaces or control characters".into()));
    }
    let url = Url::parse(text).map_err(|error| refuse(format!("must be an absolute URL: {error}")))?;
    check_form(policy, text, &url).map_err(refuse)?;
    check_host(policy, &url).map_err(refuse)?;
    Ok(url)
}

/// Scheme, credentials, port, fragment and length.
fn check_form(policy: &TargetPolicy, text: &str, url: &Url) -> Result<(), String> {
    match url.scheme() {
        "https" => {}
        "http" if policy.allow_http => {}
        "http" => return Err("must be https (delivery.allow_http admits http, for development)".into()),
        other => return Err(format!("must be https, not {other}")),
    }
    // `https:host`, `https:\\host` and `https:///host` parse too; only what every reader understands alike is accepted.
    let after_scheme = text.get(url.scheme().len()..).and_then(|rest| rest.strip_prefix("://"));
    if after_scheme.is_none_or(|rest| rest.starts_with('/')) || text.contains('\\') {
        return Err("must be an absolute URL such as https://example.com/hook".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry a user name or password; a secret belongs in the path or the query".into());
    }
    if url.port() == Some(0) {
        return Err("must not use port 0; 1 to 65535 are accepted".into());
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment (#…), which HTTP never sends".into());
    }
    if url.as_str().len() > LONGEST_URL_BYTES {
        return Err(format!(
            "must be at most {LONGEST_URL_BYTES} bytes after percent-encoding"
        ));
    }
    Ok(())
}

pub(crate) fn check_host(policy: &TargetPolicy, url: &Url) -> Result<(), String> {
    match url.host() {
        None | Some(Host::Domain("")) => Err("must name a host".into()),
        Some(Host::Ipv4(ip)) => check_address(policy, ip.into()).map_err(not_public),
        Some(Host::Ipv6(ip)) => check_address(policy, ip.into()).map_err(not_public),
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            check_parts(name)?;
            check_name(policy, name).map_err(not_public)
        }
    }
}

/// Whether a name can be one of DNS at all (RFC 1035 section 2.3.4): others would fail with each attempt, and differently with
/// and without TLS.
fn check_parts(name: &str) -> Result<(), String> {
    let possible = name.len() <= 253 && name.split('.').all(|part| (1..=63).contains(&part.len()));
    match possible {
        true => Ok(()),
        false => Err("must name a host whose parts have 1 to 63 bytes each, 253 in all".into()),
    }
}

/// The sentence of a refused target, for a reason such as `127.0.0.1 is loopback`.
pub fn not_public(reason: String) -> String {
    format!("must point to a public address; {reason} (delivery.allowed_networks can admit it)")
}

/// Whether a host name may be looked up: `localhost` and names below it always mean this machine (RFC 6761 section
/// 6.3), whatever a resolver says. The parser has made the name lower case.
fn check_name(policy: &TargetPolicy, name: &str) -> Result<(), String> {
    let local = name == "localhost" || name.ends_with(".localhost");
    let admitted = policy.admits(Ipv4Addr::LOCALHOST.into()) || policy.admits(Ipv6Addr::LOCALHOST.into());
    if local && !admitted {
        Err(format!("{name} is loopback"))
    } else {
        Ok(())
    }
}

/// Whether an attempt may connect to `ip`; if not, why: `127.0.0.1 is loopback`.
///
/// # Errors
/// The reason, as a clause for people.
pub fn check_address(policy: &TargetPolicy, ip: IpAddr) -> Result<(), String> {
    match refused_as(policy, ip) {
        None => Ok(()),
        Some(kind) => Err(format!("{ip} is {kind}")),
    }
}

/// What kind of address `ip` is, if no attempt may connect to it: `loopback`. For an address that a name resolved to: which
/// one it is, is the business of whoever runs the name servers.
pub fn refused_as(policy: &TargetPolicy, ip: IpAddr) -> Option<&'static str> {
    if policy.admits(ip) {
        return None;
    }
    match ip {
        IpAddr::V4(ip) => refused_v4(ip),
        IpAddr::V6(ip) => refused_v6(ip),
    }
}

/// Ranges of IPv4 that are refused, and what each is. The first match names the reason.
const REFUSED_V4: [(Ipv4Net, &str); 17] = [
    (v4([0, 0, 0, 0], 8), "in \"this network\" (0.0.0.0/8)"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([100, 64, 0, 0], 10), "carrier-grade NAT"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 0, 0, 0], 24), "reserved for protocol assignments"),
    (v4([192, 0, 2, 0], 24), "for documentation"),
    (v4([192, 88, 99, 0], 24), "a 6to4 relay"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([198, 18, 0, 0], 15), "for benchmarks"),
    (v4([198, 51, 100, 0], 24), "for documentation"),
    (v4([203, 0, 113, 0], 24), "for documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([255, 255, 255, 255], 32), "broadcast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
    // Azure's platform agent: the one well-known metadata service outside every special range.
    (v4([168, 63, 129, 16], 32), "a cloud metadata service"),
];

/// The network that starts with these bytes.
const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

fn refused_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let refused = REFUSED_V4.iter().find(|(network, _)| network.contains(&ip));
    refused.map(|(_, reason)| *reason)
}

/// Ranges of IPv6 that are refused, the narrower before the wider one that holds it. Anything else
/// outside global unicast, 2000::/3, is refused after them.
const REFUSED_V6: [(Ipv6Net, &str); 18] = [
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), "unspecified"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (v6([0, 0, 0, 0, 0, 0xffff], 96), "IPv4-mapped"),
    (v6([0, 0, 0, 0, 0xffff, 0], 96), "IPv4-translated"),
    (v6([0, 0, 0, 0, 0, 0], 96), "IPv4-compatible"),
    (v6([0x64, 0xff9b, 0, 0, 0, 0], 96), "NAT64"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0], 48), "NAT64"),
    (v6([0x100, 0, 0, 0, 0, 0], 64), "discard-only"),
    (v6([0x2001, 0, 0, 0, 0, 0], 32), "Teredo"),
    (v6([0x2001, 0, 0, 0, 0, 0], 23), "reserved for protocol assignments"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0], 32), "for documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0, 0, 0, 0], 20), "for documentation"),
    (v6([0x5f00, 0, 0, 0, 0, 0], 16), "for segment routing"),
    (v6([0xfc00, 0, 0, 0, 0, 0], 7), "private (unique local)"),
    (v6([0xfe80, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0, 0, 0], 10), "private (site-local)"),
    (v6([0xff00, 0, 0, 0, 0, 0], 8), "multicast"),
];

/// All that is assigned to hosts anywhere.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0], 3);

/// The network that starts with these six groups.
const fn v6([a, b, c, d, e, f]: [u16; 6], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, 0, 0), prefix)
}

fn refused_v6(ip: Ipv6Addr) -> Option<&'static str> {
    if let Some((_, reason)) = REFUSED_V6.iter().find(|(network, _)| network.contains(&ip)) {
        return Some(reason);
    }
    if !GLOBAL_UNICAST.contains(&ip) {
        return Some("outside global unicast (2000::/3)");
    }
    // ISATAP (RFC 5214 section 6.1) writes IPv4 into the lower half under any prefix: 0:5efe:a.b.c.d, with the u bit
    // (0200) and, as routers ignore it, the g bit set or not.
    let [_, _, _, _, high, low, _, _] = ip.segments();
    (high & !0x0300 == 0 && low == 0x5efe).then_some("ISATAP")
}

#[cfg(test)]
mod tests;
