//! Where somebody goes after a login or a sign-out: a path of ours, or `/`.
//!
//! A browser drops tabs and line ends from an address, takes `\` for `/` and reads `//host` as
//! another place. So nothing of that is let through; the query is of no concern and is kept
//! byte for byte.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Over it an attempt's cookie would grow too large; the way back is `/` then.
const MAX: usize = 2048;

const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');

/// The checked path, for a `Location`: from `rd`, which may be a path or an address of `origin`.
pub(crate) fn checked(rd: &str, origin: &str) -> String {
    let path = rd.strip_prefix(origin).unwrap_or(rd);
    if is_ours(path) { utf8_percent_encode(path, UNSAFE).to_string() } else { "/".to_owned() }
}

fn is_ours(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.len() <= MAX
        && bytes.first() == Some(&b'/')
        && bytes.get(1) != Some(&b'/')
        && !bytes.iter().any(|b| b.is_ascii_control() || *b == b'\\')
        && !has_dots(path)
        && !is_an_endpoint(path)
}

/// A browser takes `/x/../oauth2/sign_out` for what it leads to, and `%2e` for a dot; admission
/// refuses such paths, so nobody came from one.
fn has_dots(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split('/').any(|segment| {
        matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
    })
}

/// Back to `/oauth2/…` would sign out at once, or in for ever.
fn is_an_endpoint(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    decoded == "/oauth2" || decoded.starts_with("/oauth2/")
}

/// `/oauth2/start?rd=…`
pub(crate) fn login_path(path_and_query: &str) -> String {
    let rd = if path_and_query.len() <= MAX { path_and_query } else { "/" };
    let rd: String = form_urlencoded::byte_serialize(rd.as_bytes()).collect();
    format!("/oauth2/start?rd={rd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://apps.example";

    #[test]
    fn a_path_of_ours_is_kept_byte_for_byte() {
        for path in [
            "/",
            "/app/deep?x=1",
            "/app/p%20q/a;b?next=https://x//y&z=%2Fq&empty=&n=%C3%BC",
            "/a?//b\u{7e}",
            "/oauth2-docs/",
            "/a.b/..c/...?../x=/../",
        ] {
            assert_eq!(checked(path, ORIGIN), path);
            assert_eq!(checked(&format!("{ORIGIN}{path}"), ORIGIN), path);
        }
        assert_eq!(checked("/a b/ü", ORIGIN), "/a%20b/%C3%BC");
    }

    #[test]
    fn everything_else_leads_home() {
        for rd in [
            "",
            "app",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "\t//evil.example",
            " //evil.example",
            "/app\r\nSet-Cookie: evil=1",
            "/a\0b",
            "https://evil.example",
            "HTTPS://apps.example/x",
            "https://apps.example",
            "https://apps.example@evil.example/",
            "https://apps.example.evil.example/",
            "https://apps.example:80/",
            "https://apps.example//evil.example",
            "http:evil.example",
            "javascript:alert(1)",
            "/oauth2/sign_out",
            "/oauth2/start?rd=/x",
            "/%6fauth2/sign_out",
            "/oauth2?x",
            "/x/../oauth2/sign_out",
            "/x/%2E%2e/oauth2/sign_out",
            "/./oauth2/sign_out",
            "/a/.%2e?x",
        ] {
            assert_eq!(checked(rd, ORIGIN), "/", "{rd:?}");
        }
        assert_eq!(checked(&format!("/{}", "x".repeat(MAX)), ORIGIN), "/");
    }

    #[test]
    fn a_login_remembers_the_way() {
        assert_eq!(login_path("/a?b=c&d"), "/oauth2/start?rd=%2Fa%3Fb%3Dc%26d");
        assert_eq!(login_path(&"x".repeat(3000)), "/oauth2/start?rd=%2F");
    }
}
