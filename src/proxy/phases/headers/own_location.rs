//! Gives absolute redirects of apps to the appliance's own host the scheme that the browser uses.
//!
//! An app that does not read `X-Forwarded-Proto` writes `http://` also behind https.

use http::HeaderValue;
use http::header::{HeaderMap, LOCATION};

/// Sets the scheme of an absolute `Location` whose host and port are `host`, the `Host` header of the
/// request. `secure` is whether the browser uses https.
pub(crate) fn set_scheme(headers: &mut HeaderMap, host: &str, secure: bool) {
    if let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok())
        && let Some(changed) = with_scheme(location, host, secure)
        && let Ok(value) = HeaderValue::from_str(&changed)
    {
        headers.insert(LOCATION, value);
    }
}

/// The location with the scheme of the browser; `None` if it stays as it is.
fn with_scheme(location: &str, host: &str, secure: bool) -> Option<String> {
    let (scheme, rest) = location.split_once("://")?;
    let (other, own) = if secure { ("http", "https") } else { ("https", "http") };
    let (authority, _) = split_authority(rest);
    let is_own = scheme.eq_ignore_ascii_case(other) && authority.eq_ignore_ascii_case(host);
    is_own.then(|| format!("{own}://{rest}"))
}

/// Splits what follows `//` in a URL into the authority and the rest (RFC 3986 section 3.2).
pub(super) fn split_authority(text: &str) -> (&str, &str) {
    text.split_at(text.find(['/', '?', '#']).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_to_the_own_host_get_the_scheme_of_the_browser() {
        for (from, secure, to) in [
            ("http://a.test/x?y", true, Some("https://a.test/x?y")),
            ("HTTP://A.test", true, Some("https://A.test")),
            ("https://a.test/x", false, Some("http://a.test/x")),
            ("https://a.test/x", true, None),
            ("http://a.test/x", false, None),
            ("http://a.test:81/x", true, None),
            ("http://a.test.evil/x", true, None),
            ("http://u@a.test/x", true, None),
            ("ftp://a.test/x", true, None),
            ("//a.test/x", true, None),
            ("/x?u=http://a.test/", true, None),
        ] {
            assert_eq!(with_scheme(from, "a.test", secure).as_deref(), to, "{from}");
        }
    }
}
