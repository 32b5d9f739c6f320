//! Keeps the cookies of the appliance and the cookies of apps apart: an app neither receives nor sets
//! a cookie of the appliance.

use http::HeaderValue;
use http::header::{COOKIE, HeaderMap, SET_COOKIE};

/// Removes the appliance's cookies from a request to an app. All other cookies stay byte for byte.
pub(super) fn remove_own(headers: &mut HeaderMap, is_own: impl Fn(&str) -> bool) {
    let lines = headers.get_all(COOKIE);
    if !lines.iter().any(|line| pairs(line).any(|pair| has_own_name(pair, &is_own))) {
        return;
    }
    let kept: Vec<HeaderValue> = lines.iter().filter_map(|line| without(line, &is_own)).collect();
    headers.remove(COOKIE);
    for line in kept {
        headers.append(COOKIE, line);
    }
}

/// Drops each `Set-Cookie` of an app's response that uses a cookie name of the appliance.
pub(crate) fn drop_reserved(headers: &mut HeaderMap, is_own: impl Fn(&str) -> bool) {
    if !headers.get_all(SET_COOKIE).iter().any(|line| sets_own(line, &is_own)) {
        return;
    }
    let kept: Vec<HeaderValue> = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter(|line| !sets_own(line, &is_own))
        .cloned()
        .collect();
    headers.remove(SET_COOKIE);
    for line in kept {
        headers.append(SET_COOKIE, line);
    }
}

/// Whether a `Set-Cookie` line uses a cookie name of the appliance. A browser sends the nameless
/// cookie `=appliance=x` back as `appliance=x`, so a nameless cookie counts by the start of its value.
fn sets_own(line: &HeaderValue, is_own: &impl Fn(&str) -> bool) -> bool {
    let line = line.as_bytes().trim_ascii_start();
    has_own_name(line.strip_prefix(b"=").unwrap_or(line), is_own)
}

fn without(line: &HeaderValue, is_own: &impl Fn(&str) -> bool) -> Option<HeaderValue> {
    let mut kept = Vec::with_capacity(line.len());
    for pair in pairs(line).filter(|pair| !has_own_name(pair, is_own)) {
        if kept.is_empty() {
            kept.extend_from_slice(pair.trim_ascii_start());
        } else {
            kept.push(b';');
            kept.extend_from_slice(pair);
        }
    }
    if kept.trim_ascii().is_empty() { None } else { HeaderValue::from_bytes(&kept).ok() }
}

fn pairs(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line.as_bytes());
    std::iter::from_fn(move || {
        let line = rest?;
        let end = memchr::memchr(b';', line);
        rest = end.map(|end| &line[end + 1..]);
        Some(&line[..end.unwrap_or(line.len())])
    })
}

/// Whether the name of a cookie pair, before the first `=`, is a cookie name of the appliance.
fn has_own_name(pair: &[u8], is_own: &impl Fn(&str) -> bool) -> bool {
    let name = &pair[..memchr::memchr2(b'=', b';', pair).unwrap_or(pair.len())];
    std::str::from_utf8(name.trim_ascii()).is_ok_and(is_own)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::any;

    fn is_own(name: &str) -> bool {
        name == "appliance" || name.starts_with("appliance-login-")
    }

    fn sent(lines: &[&'static str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_static(line));
        }
        remove_own(&mut headers, is_own);
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
    fn an_app_cannot_set_a_cookie_of_the_appliance() {
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
        drop_reserved(&mut headers, is_own);
        let left: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(left, ["a=1", "b=appliance=1"]);
    }

    /// A name of the appliance with something around it, or any text.
    fn spelling() -> impl Strategy<Value = String> {
        let around =
            || prop::sample::select(&["", "", " ", "\t", "\u{b}", "\u{a0}", "\"", "=", "x"][..]);
        let own = prop::sample::select(&["appliance", "__Host-appliance", "Appliance"][..]);
        let spelled = (around(), own, around())
            .prop_map(|(before, name, after)| format!("{before}{name}{after}"));
        prop_oneof![2 => spelled, 1 => any::text()]
    }

    proptest! {
        /// Apps split a `Cookie` line at semicolons and trim the names.
        #[test]
        fn no_spelling_of_an_own_cookie_reaches_an_app_and_all_others_do(
            parts in prop::collection::vec((spelling(), any::text()), 0..6),
        ) {
            let is_own = |name: &str| ["appliance", "__Host-appliance"].contains(&name);
            let line: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let Ok(line) = HeaderValue::from_str(&line.join("; ")) else { return Ok(()) };
            let names = |line: &HeaderValue| -> Vec<Vec<u8>> {
                let parts = line.as_bytes().split(|byte| *byte == b';');
                let name = |part: &[u8]| part.split(|byte| *byte == b'=').next().unwrap_or_default().to_vec();
                parts.map(|part| name(part).trim_ascii().to_vec()).filter(|name| !name.is_empty()).collect()
            };
            let foreign = |name: &Vec<u8>| !str::from_utf8(name).is_ok_and(is_own);
            let wanted: Vec<_> = names(&line).into_iter().filter(foreign).collect();
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, line);
            remove_own(&mut headers, is_own);
            let found: Vec<_> = headers.get_all(COOKIE).iter().flat_map(names).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
