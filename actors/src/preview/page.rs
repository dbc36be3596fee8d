//! What a page says of itself: Open Graph first, then what HTML has for it. Pure.

use html5gum::{StartTag, Token, Tokenizer};
use wharf_domain::address::Url;

/// The longest title and description, in characters: more is not shown anywhere.
const TITLE_CHARS: usize = 200;
const DESCRIPTION_CHARS: usize = 400;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    /// The address of its picture.
    pub(super) picture: Option<String>,
}

/// The first link of a text, as it stands in it: to the next blank, without the marks that end a sentence.
pub(super) fn first_link(text: &str) -> Option<&str> {
    let begin = |scheme: &str| text.find(scheme);
    let place = [begin("https://"), begin("http://")].into_iter().flatten().min()?;
    let rest = &text[place..];
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"'));
    let link = &rest[..end.unwrap_or(rest.len())];
    let mut link = link.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~']);
    // A bracket that is closed in the link was opened in it.
    while let Some(shorter) = link.strip_suffix(')')
        && !shorter.contains('(')
    {
        link = shorter;
    }
    link.contains('.').then_some(link)
}

/// Reads the beginning of a page that lies at `address`.
pub(super) fn read(html: &[u8], address: &Url) -> Page {
    let (mut graph, mut plain) = (Page::default(), Page::default());
    let (mut in_title, mut title) = (false, String::new());
    for Ok(token) in Tokenizer::new(html) {
        match token {
            Token::StartTag(tag) if *tag.name == b"title" => in_title = plain.title.is_none(),
            Token::EndTag(tag) if *tag.name == b"title" && in_title => {
                in_title = false;
                plain.title = tidy(&title, TITLE_CHARS);
            }
            // Nothing about the page comes behind.
            Token::StartTag(tag) if *tag.name == b"body" => break,
            Token::StartTag(tag) if *tag.name == b"meta" => meta(&tag, &mut graph, &mut plain),
            Token::String(text) if in_title => title.push_str(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    let picture = graph
        .picture
        .and_then(|picture| Some(address.join(&picture).ok()?.into()));
    Page {
        title: graph.title.or(plain.title),
        description: graph.description.or(plain.description),
        picture,
    }
}

fn meta(tag: &StartTag<()>, graph: &mut Page, plain: &mut Page) {
    let attribute = |name: &[u8]| {
        let value = tag.attributes.get(name);
        value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let Some(content) = attribute(b"content") else { return };
    let name = attribute(b"property")
        .or_else(|| attribute(b"name"))
        .unwrap_or_default();
    let (place, most) = match name.to_ascii_lowercase().as_str() {
        "og:title" => (&mut graph.title, TITLE_CHARS),
        "og:description" => (&mut graph.description, DESCRIPTION_CHARS),
        "og:image" | "og:image:url" | "og:image:secure_url" => (&mut graph.picture, usize::MAX),
        "description" | "twitter:description" => (&mut plain.description, DESCRIPTION_CHARS),
        "twitter:title" => (&mut plain.title, TITLE_CHARS),
        _ => return,
    };
    if place.is_none() {
        *place = tidy(&content, most);
    }
}

/// One line without what cannot be seen; `None` when nothing is left.
fn tidy(text: &str, most: usize) -> Option<String> {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let words = words
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    if words.chars().count() <= most {
        return Some(words).filter(|words| !words.is_empty());
    }
    let cut: String = words.chars().take(most - 1).collect();
    Some(format!("{}…", cut.trim_end()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_at(html: &str) -> Page {
        read(html.as_bytes(), &"https://example.com/a/b".parse().unwrap())
    }

    #[test]
    fn a_link_ends_where_the_sentence_goes_on() {
        for (text, link) in [
            (
                "see https://example.com/a?b=c#d for more",
                Some("https://example.com/a?b=c#d"),
            ),
            ("(https://example.com/a).", Some("https://example.com/a")),
            (
                "https://en.wikipedia.org/wiki/Port_(sea)",
                Some("https://en.wikipedia.org/wiki/Port_(sea)"),
            ),
            ("http://a.b, then https://c.d", Some("http://a.b")),
            ("<https://example.com>", Some("https://example.com")),
            ("https://", None),
            ("no link", None),
        ] {
            assert_eq!(first_link(text), link, "{text}");
        }
    }

    #[test]
    fn open_graph_comes_before_what_html_has() {
        let page = read_at(
            "<!doctype html><html><head><title>Plain\n title</title><meta name=description content='plain words'>\
             <META PROPERTY=\"og:title\" content=\"Tom &amp; Jerry&#39;s\"><meta property=og:image content=/p.png>\
             <meta property='og:description' content='  many \n words '><body><meta property=og:title content=late>",
        );
        assert_eq!(page.title.as_deref(), Some("Tom & Jerry's"));
        assert_eq!(page.description.as_deref(), Some("many words"));
        assert_eq!(page.picture.as_deref(), Some("https://example.com/p.png"));
        let plain = read_at("<title>Only <b>this</title><meta name=description content=''>");
        assert_eq!(
            (plain.title.is_some(), plain.description, plain.picture),
            (true, None, None)
        );
        assert_eq!(read_at("no page"), Page::default());
        let long = read_at(&format!("<title>{}</title>", "é ".repeat(500))).title.unwrap();
        assert!(long.chars().count() <= TITLE_CHARS && long.ends_with('…'), "{long}");
    }

    proptest! {
        #[test]
        fn no_page_and_no_text_are_too_strange(html in "[<>a-z\"'=/! -]{0,300}", text in "\\PC{0,100}") {
            let _page = read_at(&format!("<meta property=og:title content={html}"));
            if let Some(link) = first_link(&format!("{text} https://{text}")) {
                prop_assert!(link.starts_with("http"));
            }
        }
    }
}
