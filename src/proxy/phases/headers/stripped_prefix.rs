//! Restores the path prefix in responses. With `strip_prefix` an app does not see its prefix, so the
//! paths in its `Location` and `Set-Cookie` headers lack it, unless the app was told its prefix.

use std::borrow::Cow;

use http::HeaderValue;
use http::header::{HeaderMap, LOCATION, SET_COOKIE};
use percent_encoding::percent_decode;

use super::own_location::split_authority;
use crate::config::{Reading, below};

/// The name prefix of cookies that belong to a whole host (RFC 6265bis section 4.1.3.2).
const HOST: &[u8] = b"__Host-";

/// Puts `prefix` before the paths of `Location` and of cookies. `host` is the `Host` header of the
/// request: an absolute URL with this host leads to the app. A path that is already below `prefix`
/// stays: the app knows its prefix, from `X-Forwarded-Prefix` or a setting of its own.
pub(crate) fn restore_prefix(headers: &mut HeaderMap, prefix: &str, host: &str) {
    if prefix == "/" {
        return;
    }
    if let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok())
        && let Some(restored) = location_under(location, prefix, host)
        && let Ok(value) = HeaderValue::from_str(&restored)
    {
        headers.insert(LOCATION, value);
    }
    restore_cookies(headers, prefix);
}

fn location_under(location: &str, prefix: &str, host: &str) -> Option<String> {
    if location.starts_with('/') && !location.starts_with("//") {
        return (!has_prefix(location.as_bytes(), prefix)).then(|| format!("{prefix}{location}"));
    }
    let (scheme, rest) = location.split_once("//")?;
    let (authority, path) = split_authority(rest);
    let own = matches!(scheme, "" | "http:" | "https:") && authority.eq_ignore_ascii_case(host);
    let lacks = own && !has_prefix(path.as_bytes(), prefix);
    lacks.then(|| format!("{scheme}//{authority}{prefix}{path}"))
}

/// Whether a path, with or without a query, is the prefix or lies below it. Segments count: `/app2` is
/// not below `/app`.
fn has_prefix(path: &[u8], prefix: &str) -> bool {
    let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let decoded: Cow<'_, [u8]> = percent_decode(path).into();
    below(&decoded, prefix, Reading::Decoded).is_some()
}

fn restore_cookies(headers: &mut HeaderMap, prefix: &str) {
    let rewritten: Vec<HeaderValue> = headers
        .get_all(SET_COOKIE)
        .iter()
        .map(|line| cookie_under(line, prefix).unwrap_or_else(|| line.clone()))
        .collect();
    headers.remove(SET_COOKIE);
    for line in rewritten {
        headers.append(SET_COOKIE, line);
    }
}

/// A `Set-Cookie` line with the prefix in its `Path`; `None` if the line stays as it is. The path of
/// a `__Host-` cookie must be `/`: browsers drop such a cookie with another path.
fn cookie_under(line: &HeaderValue, prefix: &str) -> Option<HeaderValue> {
    let bytes = line.as_bytes();
    let bound =
        bytes.trim_ascii_start().get(..7).is_some_and(|name| name.eq_ignore_ascii_case(HOST));
    if bound || !bytes.contains(&b';') {
        return None;
    }
    let restored: Vec<_> = bytes
        .split(|&b| b == b';')
        .enumerate()
        .map(|(place, attribute)| {
            let path = if place == 0 { None } else { absolute_path(attribute) };
            match path {
                Some(b"/") => Cow::Owned([b" Path=", prefix.as_bytes()].concat()),
                Some(path) if has_prefix(path, prefix) => Cow::Borrowed(attribute),
                Some(path) => Cow::Owned([b" Path=", prefix.as_bytes(), path].concat()),
                None => Cow::Borrowed(attribute),
            }
        })
        .collect();
    HeaderValue::from_bytes(&restored.join(&b';')).ok()
}

/// The path of the attribute `Path=/…`; `None` for every other attribute.
fn absolute_path(attribute: &[u8]) -> Option<&[u8]> {
    let equals = attribute.iter().position(|&b| b == b'=')?;
    let (name, value) = (attribute[..equals].trim_ascii(), attribute[equals + 1..].trim_ascii());
    (name.eq_ignore_ascii_case(b"path") && value.starts_with(b"/")).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_restored_in_locations_on_the_same_host() {
        for (from, to) in [
            ("/x?y", Some("/s/x?y")),
            ("/", Some("/s/")),
            ("http://a.test/x", Some("http://a.test/s/x")),
            ("https://A.TEST", Some("https://A.TEST/s")),
            ("http://other.test/x", None),
            ("//a.test/x", Some("//a.test/s/x")),
            ("//evil.test/x", None),
            ("x//a.test/x", None),
            ("x/y", None),
            ("ftp://a.test/x", None),
            // The app knows its prefix.
            ("/s", None),
            ("/s/x?y", None),
            ("/s?y", None),
            ("/s#y", None),
            ("http://a.test/s/x", None),
            ("http://a.test/s", None),
            ("//a.test/s/x", None),
            ("/sx/y", Some("/s/sx/y")),
            ("/S/y", Some("/s/S/y")),
            ("/x/s/y", Some("/s/x/s/y")),
            ("/?s=/s/", Some("/s/?s=/s/")),
            ("http://a.test/sx", Some("http://a.test/s/sx")),
        ] {
            assert_eq!(location_under(from, "/s", "a.test").as_deref(), to, "{from}");
        }
    }

    #[test]
    fn the_prefix_is_restored_in_cookie_paths() {
        for (from, to) in [
            ("a=1; Path=/; HttpOnly", "a=1; Path=/s; HttpOnly"),
            ("a=1; HttpOnly; path=/x", "a=1; HttpOnly; Path=/s/x"),
            ("a=path=/x", "a=path=/x"),
            ("a=1; Path=", "a=1; Path="),
            ("a=1; Secure", "a=1; Secure"),
            ("a=1; Path=/x; Path=/", "a=1; Path=/s/x; Path=/s"),
            ("a=1; Path=/s; Secure", "a=1; Path=/s; Secure"),
            ("a=1; path=/s/x", "a=1; path=/s/x"),
            ("a=1; Path=/sx", "a=1; Path=/s/sx"),
            ("__Host-a=1; Path=/; Secure", "__Host-a=1; Path=/; Secure"),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(SET_COOKIE, HeaderValue::from_static(from));
            restore_cookies(&mut headers, "/s");
            assert_eq!(headers[SET_COOKIE], to);
        }
    }
}
