//! Our cookies and an app's: neither sees the other's.

use http::HeaderValue;
use http::header::{COOKIE, HeaderMap, SET_COOKIE};

/// Takes our cookies out of what goes to an app; all others stay byte for byte.
pub(super) fn withhold(headers: &mut HeaderMap, is_ours: impl Fn(&str) -> bool) {
    let lines = headers.get_all(COOKIE);
    if !lines.iter().any(|line| crumbs(line).any(|crumb| is_ours_in(crumb, &is_ours))) {
        return;
    }
    let kept: Vec<HeaderValue> = lines.iter().filter_map(|line| without(line, &is_ours)).collect();
    headers.remove(COOKIE);
    for line in kept {
        headers.append(COOKIE, line);
    }
}

/// Drops what an app sets under a name of ours.
pub(crate) fn keep_names(headers: &mut HeaderMap, is_ours: impl Fn(&str) -> bool) {
    if !headers.get_all(SET_COOKIE).iter().any(|line| sets_ours(line, &is_ours)) {
        return;
    }
    let kept: Vec<HeaderValue> = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter(|line| !sets_ours(line, &is_ours))
        .cloned()
        .collect();
    headers.remove(SET_COOKIE);
    for line in kept {
        headers.append(SET_COOKIE, line);
    }
}

/// A browser sends `=appliance=x` back as `appliance=x`: a cookie without a name is called what its
/// value begins with.
fn sets_ours(line: &HeaderValue, is_ours: &impl Fn(&str) -> bool) -> bool {
    let line = line.as_bytes().trim_ascii_start();
    is_ours_in(line.strip_prefix(b"=").unwrap_or(line), is_ours)
}

fn without(line: &HeaderValue, is_ours: &impl Fn(&str) -> bool) -> Option<HeaderValue> {
    let mut kept = Vec::with_capacity(line.len());
    for crumb in crumbs(line).filter(|crumb| !is_ours_in(crumb, is_ours)) {
        if kept.is_empty() {
            kept.extend_from_slice(crumb.trim_ascii_start());
        } else {
            kept.push(b';');
            kept.extend_from_slice(crumb);
        }
    }
    if kept.trim_ascii().is_empty() { None } else { HeaderValue::from_bytes(&kept).ok() }
}

fn crumbs(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line.as_bytes());
    std::iter::from_fn(move || {
        let line = rest?;
        let end = memchr::memchr(b';', line);
        rest = end.map(|end| &line[end + 1..]);
        Some(&line[..end.unwrap_or(line.len())])
    })
}

/// By the name before the first `=`.
fn is_ours_in(crumb: &[u8], is_ours: &impl Fn(&str) -> bool) -> bool {
    let name = &crumb[..memchr::memchr2(b'=', b';', crumb).unwrap_or(crumb.len())];
    std::str::from_utf8(name.trim_ascii()).is_ok_and(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ours(name: &str) -> bool {
        name == "appliance" || name.starts_with("appliance-login-")
    }

    fn sent(lines: &[&'static str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_static(line));
        }
        withhold(&mut headers, is_ours);
        let lines = headers.get_all(COOKIE).iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn other_cookies_stay_byte_for_byte() {
        let line = r#"a="1 2"; appliance=x; b=x=y==; appliance-login-q=1; appliance2=m; c=%20; appliance=y"#;
        assert_eq!(sent(&[line]), [r#"a="1 2"; b=x=y==; appliance2=m; c=%20"#]);
        assert_eq!(sent(&["appliance=x; a=1;b=2"]), ["a=1;b=2"]);
        assert_eq!(sent(&["a=1;;  b ; =x"]), ["a=1;;  b ; =x"]);
        assert_eq!(sent(&["appliance=x"]), Vec::<String>::new());
        assert_eq!(sent(&[" appliance = x; ", "a=1"]), ["a=1"]);
    }

    #[test]
    fn an_app_cannot_set_ours() {
        let mut headers = HeaderMap::new();
        for line in [
            "a=1",
            "appliance=evil; Path=/",
            "b=appliance=1",
            "appliance-login-1=; Path=/",
            "=appliance=evil; Path=/",
            " = appliance=evil",
        ] {
            headers.append(SET_COOKIE, HeaderValue::from_static(line));
        }
        keep_names(&mut headers, is_ours);
        let left: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(left, ["a=1", "b=appliance=1"]);
    }
}
