use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

mod allowed;

const STRICT: TargetPolicy = TargetPolicy {
    allow_http: false,
    allow_private_networks: false,
    allowed_networks: Vec::new(),
};
const HTTP: TargetPolicy = TargetPolicy {
    allow_http: true,
    allow_private_networks: false,
    allowed_networks: Vec::new(),
};
const OPEN: TargetPolicy = TargetPolicy {
    allow_http: true,
    allow_private_networks: true,
    allowed_networks: Vec::new(),
};

/// The ranges of the contract as the registries write them, on purpose not the table of the code.
const RANGES_V4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "168.63.129.16/32",
];
const RANGES_V6: &[&str] = &[
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "::/3",
    "4000::/2",
    "8000::/1",
];

fn bounds_v4(range: &str) -> (u32, u32) {
    let (network, prefix) = range.split_once('/').unwrap();
    let first = network.parse::<Ipv4Addr>().unwrap().to_bits();
    let size = 1_u64 << (32 - prefix.parse::<u32>().unwrap());
    (first, first + (size - 1) as u32)
}

fn bounds_v6(range: &str) -> (u128, u128) {
    let (network, prefix) = range.split_once('/').unwrap();
    let first = network.parse::<Ipv6Addr>().unwrap().to_bits();
    let prefix = prefix.parse::<u32>().unwrap();
    (first, first | u128::MAX.checked_shr(prefix).unwrap_or(0))
}

fn accepted(ip: impl Into<IpAddr>) -> bool {
    check_address(&STRICT, ip.into()).is_ok()
}

fn is_isatap(bits: u128) -> bool {
    matches!((bits >> 32) as u32, 0x5efe | 0x0100_5efe | 0x0200_5efe | 0x0300_5efe)
}

#[test]
fn ranges_of_ipv4_end_where_the_registry_says() {
    let ranges: Vec<_> = RANGES_V4.iter().map(|range| bounds_v4(range)).collect();
    for &(first, last) in &ranges {
        assert!(!accepted(Ipv4Addr::from_bits(first)) && !accepted(Ipv4Addr::from_bits(last)));
        for neighbour in [first.checked_sub(1), last.checked_add(1)].into_iter().flatten() {
            let special = ranges.iter().any(|(first, last)| (first..=last).contains(&&neighbour));
            assert_eq!(
                accepted(Ipv4Addr::from_bits(neighbour)),
                !special,
                "{}",
                Ipv4Addr::from_bits(neighbour)
            );
        }
    }
}

#[test]
fn ranges_of_ipv6_end_where_the_registry_says() {
    let ranges: Vec<_> = RANGES_V6.iter().map(|range| bounds_v6(range)).collect();
    for &(first, last) in &ranges {
        assert!(!accepted(Ipv6Addr::from_bits(first)) && !accepted(Ipv6Addr::from_bits(last)));
        for neighbour in [first.checked_sub(1), last.checked_add(1)].into_iter().flatten() {
            let special = ranges.iter().any(|(first, last)| (first..=last).contains(&&neighbour));
            assert_eq!(
                accepted(Ipv6Addr::from_bits(neighbour)),
                !special,
                "{}",
                Ipv6Addr::from_bits(neighbour)
            );
        }
    }
}

#[test]
fn neighbours_by_hand() {
    let public = [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2000::",
        "2001:200::",
        "2001:db7:ffff::",
        "2001:db9::",
        "2003::",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "3ffe:ffff::",
        "3fff:1000::",
        "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ];
    for text in public {
        assert_eq!(check_address(&STRICT, text.parse().unwrap()), Ok(()), "{text}");
    }
}

#[test]
fn reasons_name_the_rule() {
    let rows = [
        ("127.0.0.1", "127.0.0.1 is loopback"),
        ("10.1.2.3", "10.1.2.3 is private"),
        ("169.254.169.254", "169.254.169.254 is link-local"),
        ("100.64.0.1", "100.64.0.1 is carrier-grade NAT"),
        ("198.19.0.1", "198.19.0.1 is for benchmarks"),
        ("203.0.113.9", "203.0.113.9 is for documentation"),
        ("239.1.1.1", "239.1.1.1 is multicast"),
        ("255.255.255.255", "255.255.255.255 is broadcast"),
        ("250.0.0.1", "250.0.0.1 is reserved"),
        ("0.0.0.0", "0.0.0.0 is in \"this network\" (0.0.0.0/8)"),
        ("::", ":: is unspecified"),
        ("::1", "::1 is loopback"),
        ("::7f00:1", "::7f00:1 is IPv4-compatible"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1 is IPv4-mapped"),
        ("::ffff:8.8.8.8", "::ffff:8.8.8.8 is IPv4-mapped"),
        ("64:ff9b::7f00:1", "64:ff9b::7f00:1 is NAT64"),
        ("2002:7f00:1::", "2002:7f00:1:: is 6to4"),
        (
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2 is Teredo",
        ),
        ("2606:4700::5efe:10.0.0.1", "2606:4700::5efe:a00:1 is ISATAP"),
        ("2606:4700::200:5efe:8.8.8.8", "2606:4700::200:5efe:808:808 is ISATAP"),
        ("fd00:ec2::254", "fd00:ec2::254 is private (unique local)"),
        ("fe80::1", "fe80::1 is link-local"),
        ("ff02::1", "ff02::1 is multicast"),
        ("4000::1", "4000::1 is outside global unicast (2000::/3)"),
    ];
    for (text, reason) in rows {
        assert_eq!(check_address(&STRICT, text.parse().unwrap()), Err(reason.to_owned()));
        assert_eq!(check_address(&OPEN, text.parse().unwrap()), Ok(()));
    }
}

#[test]
fn urls_that_are_refused() {
    let long = format!("https://example.com/{}", "a".repeat(LONGEST_URL_BYTES));
    let long_encoded = format!("https://example.com/{}", "é".repeat(700));
    let long_part = format!("https://{}.com/", "a".repeat(64));
    let long_name = format!("https://{}com/", "a.".repeat(126));
    let rows = [
        ("https://example..com/", "parts"),
        ("https://.com/", "parts"),
        ("https://example.com../", "parts"),
        (long_part.as_str(), "parts"),
        (long_name.as_str(), "parts"),
        ("", "absolute URL"),
        ("/hook", "absolute URL"),
        ("example.com/hook", "absolute URL"),
        ("//example.com/hook", "absolute URL"),
        ("https:example.com", "absolute URL"),
        ("https:/example.com", "absolute URL"),
        ("https:\\\\example.com", "absolute URL"),
        ("https://example.com\\@127.0.0.1/", "absolute URL"),
        ("https://", "absolute URL"),
        ("https:///hook", "absolute URL"),
        ("https://exa mple.com/", "spaces"),
        (" https://example.com/", "spaces"),
        ("https://exam\nple.com/", "control"),
        ("ftp://example.com/", "must be https, not ftp"),
        ("file:///etc/passwd", "must be https, not file"),
        ("javascript:alert(1)", "must be https"),
        ("http://example.com/", "must be https"),
        ("https://user@example.com/", "user name"),
        ("https://:secret@example.com/", "user name"),
        ("https://example.com:0/", "port 0"),
        ("https://example.com:65536/", "invalid port number"),
        ("https://example.com/#/hook", "fragment"),
        (long.as_str(), "at most 2048 bytes, not"),
        (long_encoded.as_str(), "after percent-encoding"),
    ];
    for (text, part) in rows {
        let error = check_url(&STRICT, text).unwrap_err();
        assert_eq!(error.field, "webhook_url");
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

#[test]
fn loopback_in_every_notation() {
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0X7F.1",
        "017700000001",
        "0177.0.0.01",
        "127.0.0.1.",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "0",
        "0.0.0.0",
        "[::]",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "①②⑦.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "a.b.localhost.",
        "%6cocalhost",
        "169.254.169.254",
        "192.168.1.1",
        "10.1",
    ];
    for host in hosts {
        let text = format!("https://{host}:8443/hook");
        let error = check_url(&STRICT, &text).unwrap_err();
        assert!(
            error.message.starts_with("must point to a public address; "),
            "{text}: {error}"
        );
        assert!(
            error.message.ends_with("(delivery.allowed_networks can admit it)"),
            "{error}"
        );
        assert!(check_url(&OPEN, &text).is_ok(), "{text}");
    }
}

#[test]
fn urls_that_are_accepted() {
    for text in [
        "https://example.com",
        "https://example.com/hook?secret=1&x=%20",
        "HTTPS://Example.COM/hook",
        "https://example.com:8443/",
        "https://example.com./",
        "https://münchen.example/",
        "https://8.8.8.8/",
        "https://134744072/",
        "https://[2606:4700:4700::1111]:8443/hook",
        "https://localhost.example.com/",
        "https://notlocalhost/",
        "https://with_underscore.example.com/",
    ] {
        assert!(
            check_url(&STRICT, text).is_ok(),
            "{text}: {:?}",
            check_url(&STRICT, text)
        );
    }
    assert!(check_url(&HTTP, "http://example.com/").is_ok());
    assert!(
        check_url(&HTTP, "http://127.0.0.1/").is_err(),
        "allow_http opens no network"
    );
    let private = TargetPolicy {
        allow_private_networks: true,
        ..STRICT
    };
    assert!(check_url(&private, "https://127.0.0.1/").is_ok());
    assert!(
        check_url(&private, "http://127.0.0.1/").is_err(),
        "allow_private_networks admits no http"
    );
}

proptest! {
    #[test]
    fn every_ipv4_address_is_judged_by_the_ranges(bits: u32, range in 0..RANGES_V4.len(), offset: u32) {
        let (first, last) = bounds_v4(RANGES_V4[range]);
        let inside = first + (u64::from(offset) % (u64::from(last - first) + 1)) as u32;
        prop_assert!(!accepted(Ipv4Addr::from_bits(inside)), "{}", Ipv4Addr::from_bits(inside));
        let special = RANGES_V4.iter().map(|range| bounds_v4(range)).any(|(first, last)| (first..=last).contains(&bits));
        prop_assert_eq!(accepted(Ipv4Addr::from_bits(bits)), !special, "{}", Ipv4Addr::from_bits(bits));
        // The same address hidden in IPv6, in every way, is refused, special or not.
        let v4 = u128::from(bits);
        let isatap = (0x2606_4700_u128 << 96) | (0x5efe << 32) | v4;
        for hidden in [v4, (0xffff << 32) | v4, (0x64_ff9b << 96) | v4, (0x2002 << 112) | (v4 << 80), isatap] {
            prop_assert!(!accepted(Ipv6Addr::from_bits(hidden)), "{}", Ipv6Addr::from_bits(hidden));
        }
    }

    #[test]
    fn every_ipv6_address_is_judged_by_the_ranges(bits: u128, range in 0..RANGES_V6.len(), offset: u128) {
        let (first, last) = bounds_v6(RANGES_V6[range]);
        let inside = first + (last - first).checked_add(1).map_or(offset, |size| offset % size);
        prop_assert!(!accepted(Ipv6Addr::from_bits(inside)), "{}", Ipv6Addr::from_bits(inside));
        // Most of the space is not global unicast: fold the bits into it, so that both answers are tried.
        for bits in [bits, (bits >> 3) | (1 << 125)] {
            let special = is_isatap(bits as u64 as u128)
                || RANGES_V6.iter().map(|range| bounds_v6(range)).any(|(first, last)| (first..=last).contains(&bits));
            prop_assert_eq!(accepted(Ipv6Addr::from_bits(bits)), !special, "{}", Ipv6Addr::from_bits(bits));
        }
    }

    #[test]
    fn no_text_panics_and_what_is_accepted_reads_back(text in "\\PC*|https?://\\PC{0,40}") {
        if let Ok(url) = check_url(&STRICT, &text) {
            prop_assert_eq!(url.scheme(), "https");
            prop_assert!(url.has_host());
            prop_assert_eq!(check_url(&STRICT, url.as_str()), Ok(url.clone()));
        }
    }
}

#[test]
fn what_is_as_long_as_it_may_be_is_accepted() {
    let (strict, of) = (TargetPolicy::default(), |bytes: usize| {
        let start = "https://example.com/";
        format!("{start}{}", "a".repeat(bytes - start.len()))
    });
    assert!(check_url(&strict, &of(LONGEST_URL_BYTES)).is_ok());
    assert!(check_url(&strict, &of(LONGEST_URL_BYTES + 1)).is_err());
    // Three bytes more when it is encoded: as long as it may be, and one byte more.
    let encoded = |bytes: usize| format!("{}é", of(bytes - 6));
    assert_eq!(
        check_url(&strict, &encoded(LONGEST_URL_BYTES)).unwrap().as_str().len(),
        LONGEST_URL_BYTES
    );
    assert!(check_url(&strict, &encoded(LONGEST_URL_BYTES + 1)).is_err());
    let parts = |last: usize| format!("https://{0}.{0}.{0}.{1}/", "a".repeat(63), "b".repeat(last));
    assert!(check_url(&strict, &parts(61)).is_ok(), "253 bytes");
    assert!(check_url(&strict, &parts(62)).is_err());
}

#[test]
fn a_control_character_is_refused_and_not_dropped() {
    for text in ["https://example.com/a\u{7f}", "https://example.com/a\u{1}"] {
        assert!(check_url(&TargetPolicy::default(), text).is_err(), "{text:?}");
    }
}

#[test]
fn an_address_that_only_looks_like_isatap_is_admitted() {
    for text in [
        "2606:4700::1:5efe:808:808",
        "2606:4700::1234:5efe:808:808",
        "2606:4700::5eff:808:808",
    ] {
        assert_eq!(
            refused_as(&TargetPolicy::default(), text.parse().unwrap()),
            None,
            "{text}"
        );
    }
}
