//! Bearer tokens. Only their hashes are ever compared or looked up.

use warp::http::{HeaderMap, header};
use wharf_domain::TokenHash;

/// Longer tokens are not hashed: ours have 70 characters.
const TOKEN_MAX: usize = 512;

/// The hash of the token of the one `Authorization: Bearer TOKEN`.
pub(super) fn token_of(headers: &HeaderMap) -> Option<TokenHash> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (given.next(), given.next()) else {
        return None;
    };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let sane = scheme.eq_ignore_ascii_case("bearer") && (1..=TOKEN_MAX).contains(&token.len());
    sane.then(|| TokenHash::of(token))
}
