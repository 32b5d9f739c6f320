//! An app that does not see its prefix names paths without it: answers get it again.

use http::HeaderValue;
use http::header::{HeaderMap, LOCATION, SET_COOKIE};

/// Puts `prefix` before the paths of `Location` and of cookies. `host` is the browser's `Host`:
/// absolute URLs of it are the app's own.
pub(super) fn restore_prefix(headers: &mut HeaderMap, prefix: &str, host: &str) {
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
        return Some(format!("{prefix}{location}"));
    }
    let (scheme, rest) = location.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let ours = matches!(scheme, "http" | "https") && authority.eq_ignore_ascii_case(host);
    ours.then(|| format!("{scheme}://{authority}{prefix}{path}"))
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

/// A cookie whose `Path` is absolute, with the prefix in it.
fn cookie_under(line: &HeaderValue, prefix: &str) -> Option<HeaderValue> {
    let bytes = line.as_bytes();
    let mut at = bytes.iter().position(|&b| b == b';')?;
    loop {
        let start = at + 1;
        let end = bytes[start..].iter().position(|&b| b == b';').map_or(bytes.len(), |n| start + n);
        let attribute = &bytes[start..end];
        let name = attribute.split(|&b| b == b'=').next().unwrap_or_default();
        if name.trim_ascii().eq_ignore_ascii_case(b"path") {
            let path = attribute.get(name.len() + 1..).unwrap_or_default().trim_ascii();
            if !path.starts_with(b"/") {
                return None;
            }
            let path = if path == b"/" { b"" } else { path };
            let restored =
                [&bytes[..start], b" Path=", prefix.as_bytes(), path, &bytes[end..]].concat();
            return HeaderValue::from_bytes(&restored).ok();
        }
        if end == bytes.len() {
            return None;
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        for (from, to) in [
            ("/x?y", Some("/s/x?y")),
            ("/", Some("/s/")),
            ("http://a.test/x", Some("http://a.test/s/x")),
            ("https://A.TEST", Some("https://A.TEST/s")),
            ("http://other.test/x", None),
            ("//evil.test/x", None),
            ("x/y", None),
            ("ftp://a.test/x", None),
        ] {
            assert_eq!(location_under(from, "/s", "a.test").as_deref(), to, "{from}");
        }
    }

    #[test]
    fn cookie_paths() {
        for (from, to) in [
            ("a=1; Path=/; HttpOnly", "a=1; Path=/s; HttpOnly"),
            ("a=1; HttpOnly; path=/x", "a=1; HttpOnly; Path=/s/x"),
            ("a=path=/x", "a=path=/x"),
            ("a=1; Path=", "a=1; Path="),
            ("a=1; Secure", "a=1; Secure"),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(SET_COOKIE, HeaderValue::from_static(from));
            restore_cookies(&mut headers, "/s");
            assert_eq!(headers[SET_COOKIE], to);
        }
    }
}
