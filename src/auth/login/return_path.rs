//! The return path: where the browser goes after a login or a sign-out. Always a path of the
//! appliance, so that `rd` cannot lead to another site.
//!
//! Browsers drop tabs and line breaks from a URL, read `\` as `/` and `//host` as another host, so
//! a path with any of these is not accepted. The query is kept byte for byte.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Limits in bytes: of the path, and of the request line that carries it to the login. A longer one
/// is replaced by `/`.
const MAX: usize = 15 * 1024;
const MAX_START: usize = 16 * 1024 - 64;

const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');

/// The path in `rd` for a `Location` header; `/` if it is not acceptable. `rd` may be a path or a
/// URL that begins with `origin`.
pub(super) fn checked(rd: &str, origin: &str) -> String {
    let path = rd.strip_prefix(origin).unwrap_or(rd);
    if is_acceptable(path) { utf8_percent_encode(path, UNSAFE).to_string() } else { "/".to_owned() }
}

fn is_acceptable(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.len() <= MAX
        && bytes.first() == Some(&b'/')
        && bytes.get(1) != Some(&b'/')
        && !bytes.iter().any(|b| b.is_ascii_control() || *b == b'\\')
        && !has_dots(path)
        && !is_an_endpoint(path)
}

/// Whether the path has a `.` or `..` segment. Browsers resolve `/x/../oauth2/sign_out` and read
/// `%2e` as a dot. The proxy refuses such paths, so no request with one led here.
fn has_dots(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split('/').any(|segment| {
        matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
    })
}

/// The window in which people sign in for a frame of another site.
const WINDOW: &str = "/oauth2/embed";

/// Whether the path is below `/oauth2`. Returning there would sign out at once, or sign in again
/// and again. The window of a frame changes nothing by itself.
fn is_an_endpoint(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path == WINDOW {
        return false;
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    decoded == "/oauth2" || decoded.starts_with("/oauth2/")
}

/// The path that starts a login which returns to `path_and_query`: `/oauth2/start?rd=…`.
pub(super) fn start_path(path_and_query: &str) -> String {
    start_path_with(path_and_query, &[])
}

/// The same with more parameters.
pub(crate) fn start_path_with(path_and_query: &str, more: &[(&str, &str)]) -> String {
    let path = |rd: &str| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("rd", rd).extend_pairs(more);
        format!("/oauth2/start?{}", query.finish())
    };
    let whole = path(path_and_query);
    if path_and_query.len() <= MAX && whole.len() <= MAX_START { whole } else { path("/") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::any;

    const ORIGIN: &str = "https://apps.example";

    #[test]
    fn an_acceptable_path_is_kept_byte_for_byte() {
        for path in [
            "/",
            "/app/deep?x=1",
            "/app/p%20q/a;b?next=https://x//y&z=%2Fq&empty=&n=%C3%BC",
            "/a?//b\u{7e}",
            "/oauth2-docs/",
            "/oauth2/embed?app=app1",
            "/a.b/..c/...?../x=/../",
        ] {
            assert_eq!(checked(path, ORIGIN), path);
            assert_eq!(checked(&format!("{ORIGIN}{path}"), ORIGIN), path);
        }
        assert_eq!(checked("/a b/ü", ORIGIN), "/a%20b/%C3%BC");
    }

    #[test]
    fn everything_else_becomes_the_root_path() {
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
    fn the_start_path_contains_the_return_path() {
        assert_eq!(start_path("/a?b=c&d"), "/oauth2/start?rd=%2Fa%3Fb%3Dc%26d");
        let long = format!("/app?s={}", "a".repeat(14_000));
        assert!(start_path(&long).ends_with(&"a".repeat(14_000)));
        for long in ["x".repeat(MAX + 1), "ü".repeat(5000)] {
            assert_eq!(start_path(&long), "/oauth2/start?rd=%2F");
        }
        let again = start_path_with("/a", &[("again", "1")]);
        assert_eq!(again, "/oauth2/start?rd=%2Fa&again=1");
    }

    proptest! {
        /// Browsers resolve the path as the URL standard says.
        #[test]
        fn a_return_path_never_leaves_the_appliance(
            begin in prop::sample::select(&["", "/", ORIGIN, "https://apps.example/"][..]),
            rest in any::text(),
        ) {
            let rd = format!("{begin}{rest}");
            let path = checked(&rd, ORIGIN);
            prop_assert!(http::HeaderValue::from_str(&path).is_ok());
            let url = url::Url::parse(ORIGIN).unwrap().join(&path).unwrap();
            prop_assert_eq!(url.origin().ascii_serialization(), ORIGIN);
            prop_assert!(url.username().is_empty() && url.password().is_none());
            let decoded = percent_decode_str(url.path()).decode_utf8_lossy();
            prop_assert!(decoded.split('/').nth(1) != Some("oauth2"), "{path}");
        }

        #[test]
        fn the_start_path_gives_back_any_acceptable_path(rd in any::text()) {
            let start = start_path(&rd);
            let query = start.strip_prefix("/oauth2/start?").unwrap();
            let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
            prop_assert_eq!(&pairs[..], &[("rd".into(), rd.as_str().into())][..]);
        }
    }
}
