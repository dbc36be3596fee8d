//! What a reaction may be.

use crate::InvalidField;

/// The longest emoji are families of four with skin tones: 41 bytes.
const EMOJI_MAX_BYTES: usize = 64;
/// Has the character before it shown as a picture.
const AS_PICTURE: char = '\u{fe0f}';
/// Puts the character before it on a key.
const KEYCAP: char = '\u{20e3}';

/// # Errors
/// `InvalidField` naming `field` when it cannot be one emoji, or none.
pub fn check_emoji(field: &'static str, emoji: &str) -> Result<(), InvalidField> {
    match emoji.len() <= EMOJI_MAX_BYTES && !is_text(emoji) {
        true => Ok(()),
        false => Err(InvalidField::new(
            field,
            "must be one emoji, or empty to take a reaction back",
        )),
    }
}

/// Whether something in it is no part of any emoji.
fn is_text(emoji: &str) -> bool {
    let mut shown = emoji.chars().filter(|c| *c != AS_PICTURE).peekable();
    while let Some(c) = shown.next() {
        let is_key = matches!(c, '0'..='9' | '#' | '*') && shown.peek() == Some(&KEYCAP);
        // Some emoji count as letters (Ⓜ, ℹ, 🅰); those of scripts lie below.
        let is_letter = c.is_control() || c.is_whitespace() || (c.is_alphabetic() && c < '\u{2000}');
        if is_letter || (c.is_ascii() && !is_key) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_is_no_text() {
        let good = "👍 ❤️ 👨‍👩‍👧‍👦 🇧🇷 1️⃣ #⃣ *️⃣ 🅰️ ℹ️";
        for good in good.split(' ').chain([""]) {
            assert!(check_emoji("emoji", good).is_ok(), "{good}");
        }
        let bad = "ok :+1: +1 100 !! <3 1 1️ 12️⃣ +⃣ 👍!";
        for bad in bad.split(' ').chain(["👍 👍", "\n", &"👍".repeat(17)]) {
            assert!(check_emoji("emoji", bad).is_err(), "{bad}");
        }
    }
}
