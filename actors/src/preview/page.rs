//! What a page says of itself: Open Graph first, then what HTML has for it. Pure.

use std::{borrow::Cow, str};

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use html5gum::{DefaultEmitter, StartTag, StringReader, Token, Tokenizer};
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

/// Reads the beginning of a page that lies at `address` and is said to be of a `mime_type`.
pub(super) fn read(html: &[u8], mime_type: &str, address: &Url) -> Page {
    let (mut graph, mut plain) = (Page::default(), Page::default());
    let (mut in_title, mut title) = (false, String::new());
    for Ok(token) in tokens(decoded(html, mime_type).as_bytes()) {
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

/// A page in the encoding that its server names, else the page itself; else in UTF-8, or in what pages without a word are
/// mostly in where they are not.
fn decoded<'a>(html: &'a [u8], mime_type: &str) -> Cow<'a, str> {
    // What is cut within a character is UTF-8 all the same.
    let is_utf8 = || str::from_utf8(html).map_or_else(|error| error.error_len().is_none(), |_| true);
    let guessed = || if is_utf8() { UTF_8 } else { WINDOWS_1252 };
    let encoding = charset(mime_type).or_else(|| named_in(html)).unwrap_or_else(guessed);
    encoding.decode(html).0
}

/// What a page is made of. What stands in scripts, styles and the title is text, whatever it looks like.
fn tokens(html: &[u8]) -> Tokenizer<StringReader<'_>, DefaultEmitter> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(html, emitter)
}

/// The encoding that a page names. What names one can be read in all that are named so; UTF-16 cannot, so that it is none.
fn named_in(html: &[u8]) -> Option<&'static Encoding> {
    let tags = tokens(html).map_while(|Ok(token)| match token {
        Token::StartTag(tag) if *tag.name == b"body" => None,
        Token::StartTag(tag) if *tag.name == b"meta" => Some(Some(tag)),
        _ => Some(None),
    });
    let said = tags.flatten().find_map(|tag| {
        let attribute = |name: &[u8]| Some(String::from_utf8_lossy(tag.attributes.get(name)?).into_owned());
        let named = attribute(b"charset").and_then(|label| Encoding::for_label_no_replacement(label.as_bytes()));
        named.or_else(|| charset(&attribute(b"http-equiv").and(attribute(b"content"))?))
    });
    said.map(|named| if named.is_ascii_compatible() { named } else { UTF_8 })
}

/// The encoding in a MIME type's parameter.
fn charset(mime_type: &str) -> Option<&'static Encoding> {
    let mime_type = mime_type.to_ascii_lowercase();
    let (_, said) = mime_type.split_once("charset=")?;
    let label = said.split(';').next()?.trim_matches(['"', '\'', ' ']);
    Encoding::for_label_no_replacement(label.as_bytes())
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
        read_in("text/html", html.as_bytes())
    }

    fn read_in(mime_type: &str, html: &[u8]) -> Page {
        read(html, mime_type, &"https://example.com/a/b".parse().unwrap())
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

    #[test]
    fn what_stands_in_scripts_is_no_markup() {
        for script in [
            "w.write(\"<title>\"+document.title+\"</title>\")",
            "t = '<body>'",
            "t = '<meta property=og:title content=none>'",
            "t = '<!--'",
        ] {
            let page = read_at(&format!(
                "<script>{script}</script><style>a:before {{ content: '<body>' }}</style><title>C++ <vector></title>\
                 <meta property=og:description content=good>"
            ));
            let told = (page.title.as_deref(), page.description.as_deref());
            assert_eq!(told, (Some("C++ <vector>"), Some("good")), "{script}");
        }
    }

    #[test]
    fn a_page_is_read_in_its_encoding() {
        const LATIN: &[u8] = b"<title>Caf\xe9 \x80</title>";
        const KOI8: &[u8] = b"<title>\xed\xc9\xd2</title>";
        let with = |meta: &str, title: &[u8]| [meta.as_bytes(), title].concat();
        for (mime_type, html, title) in [
            ("text/html; charset=ISO-8859-1", LATIN.to_vec(), "Café €"),
            ("text/html", LATIN.to_vec(), "Café €"),
            ("text/html", "<title>Café</title>".as_bytes().to_vec(), "Café"),
            ("text/html", b"<title>Caf\xc3\xa9</title>\xc3".to_vec(), "Café"),
            ("text/html; Charset=\"koi8-r\"; x=y", KOI8.to_vec(), "Мир"),
            ("text/html", with("<META charset='koi8-r'>", KOI8), "Мир"),
            (
                "text/html; charset=nothing",
                with(
                    "<meta http-equiv=content-type content='text/html; charset=koi8-r'>",
                    KOI8,
                ),
                "Мир",
            ),
            ("text/html; charset=koi8-r", with("<meta charset=latin1>", KOI8), "Мир"),
            (
                "text/html",
                with("<meta charset=utf-16>", "<title>Мир</title>".as_bytes()),
                "Мир",
            ),
            (
                "text/html; charset=utf-16le",
                b"<\0t\0i\0t\0l\0e\0>\0x\0<\0/\0t\0i\0t\0l\0e\0>\0".to_vec(),
                "x",
            ),
            (
                "text/html; charset=latin1",
                b"\xef\xbb\xbf<title>Caf\xc3\xa9</title>".to_vec(),
                "Café",
            ),
        ] {
            let read = read_in(mime_type, &html);
            assert_eq!(
                read.title.as_deref(),
                Some(title),
                "{mime_type} {}",
                String::from_utf8_lossy(&html)
            );
        }
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
