//! Who asks, how they want to be answered, and whether they may.

use std::sync::Arc;

use http::header::{ACCEPT, COOKIE, HeaderMap, ORIGIN, REFERER};
use http::{HeaderName, HeaderValue, Method};

use super::refusal::Refusal;
use super::routes::{Policy, Target};
use crate::auth::policy::{Verdict, decide};
use crate::auth::{Auth, Authentication, Person, Session};
use crate::config::Access;

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Who asks.
#[derive(Debug, Default)]
pub(super) struct Caller {
    /// Their session.
    pub session: Option<Arc<Session>>,
    /// Who they are.
    pub person: Option<Arc<Person>>,
    /// `Set-Cookie` values to be sent with the answer.
    pub cookies: Vec<HeaderValue>,
}

/// Looks at the session cookie. Nobody needs one where everything is public and nobody listens.
pub(super) async fn authenticate(
    auth: Option<&Auth>,
    headers: &HeaderMap,
    target: &Target,
    policy: Policy<'_>,
) -> Result<Caller, Refusal> {
    let optional = *policy.access == Access::Public && policy.deny.is_none();
    let silent = target.identity.is_empty() || !headers.contains_key(COOKIE);
    let Some(auth) = auth.filter(|_| !(optional && silent)) else { return Ok(Caller::default()) };
    match identify(auth, headers).await {
        Err(Refusal::IssuerDown) if optional => Ok(Caller::default()),
        other => other,
    }
}

/// The same without an app.
pub(super) async fn identify(auth: &Auth, headers: &HeaderMap) -> Result<Caller, Refusal> {
    match auth.authenticate(headers).await {
        Authentication::Anonymous { clear } => Ok(Caller { cookies: clear, ..Caller::default() }),
        Authentication::SignedIn { session, set_cookie } => Ok(Caller {
            person: Some(session.person()),
            session: Some(session),
            cookies: set_cookie.into_iter().collect(),
        }),
        Authentication::Unavailable => Err(Refusal::IssuerDown),
    }
}

/// Applies the policy.
pub(super) fn authorise(
    caller: &Caller,
    target: &Target,
    policy: Policy<'_>,
    navigation: bool,
    path_and_query: &str,
) -> Result<(), Refusal> {
    match decide(policy.access, policy.deny, caller.person.as_deref()) {
        Verdict::Allow => Ok(()),
        Verdict::SignIn => Err(sign_in(navigation && !policy.api, path_and_query)),
        Verdict::Deny(missing) => Err(denied(caller, Some(target.title.clone()), missing)),
    }
}

/// Somebody must sign in first.
pub(super) fn sign_in(navigation: bool, path_and_query: &str) -> Refusal {
    Refusal::SignIn { login: navigation.then(|| Auth::login_path(path_and_query)) }
}

/// They may not; `app` is `None` for the operator page.
pub(super) fn denied(caller: &Caller, app: Option<String>, missing: String) -> Refusal {
    let user = caller.person.as_ref().map_or_else(String::new, |person| person.user.clone());
    Refusal::Denied { app, missing, user }
}

/// Whether a person reads the answer. Browsers say so themselves, but not over plain http to
/// another machine; there a script that takes HTML is known by what jQuery and others add.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    if let Some(mode) = headers.get(FETCH_MODE) {
        return mode == "navigate";
    }
    let script = headers
        .get(REQUESTED_WITH)
        .is_some_and(|by| by.as_bytes().eq_ignore_ascii_case(b"XMLHttpRequest"));
    let takes_html = |accept: &HeaderValue| {
        let mut types = accept.as_bytes().split(|&b| b == b',' || b == b';');
        types.any(|one| one.trim_ascii().eq_ignore_ascii_case(b"text/html"))
    };
    !script && headers.get_all(ACCEPT).iter().any(takes_html)
}

/// Whether a redirect can lead a person somewhere and back.
pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether another site made the browser ask. Browsers say so themselves, but not over plain http
/// to another machine; there it is seen by where the page came from.
pub(super) fn is_cross_site(headers: &HeaderMap, own: &str) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return site == "cross-site";
    }
    let Some(from) = headers.get(ORIGIN).or_else(|| headers.get(REFERER)) else { return false };
    let (origin, rest) = from.as_bytes().split_at(own.len().min(from.len()));
    !origin.eq_ignore_ascii_case(own.as_bytes()) || !matches!(rest.first(), None | Some(b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn people_and_programs() {
        let html = ("accept", "text/html,*/*;q=0.8");
        for (lines, wanted) in [
            (vec![html], true),
            (vec![("sec-fetch-mode", "navigate")], true),
            (vec![html, ("sec-fetch-mode", "cors")], false),
            (vec![("accept", "application/xml, Text/HTML;q=0.9")], true),
            (vec![html, ("x-requested-with", "XMLHttpRequest")], false),
            // An Android app that shows pages.
            (vec![html, ("x-requested-with", "com.example.app")], true),
            (vec![("accept", "text/htmlx")], false),
            (vec![("accept", "*/*")], false),
            (vec![("accept", "application/json")], false),
            (vec![], false),
        ] {
            assert_eq!(wants_page(&map(&lines)), wanted, "{lines:?}");
        }
    }

    #[test]
    fn cross_site() {
        let own = "http://a.test";
        for (lines, wanted) in [
            (vec![], false),
            (vec![("sec-fetch-site", "same-origin")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("sec-fetch-site", "cross-site")], true),
            (vec![("origin", "http://a.test")], false),
            (vec![("origin", "http://evil.test")], true),
            (vec![("origin", "null")], true),
            (vec![("origin", "http://a.test.evil.test")], true),
            (vec![("referer", "http://a.test/app1/")], false),
            (vec![("referer", "http://evil.test/")], true),
            (vec![("referer", "http://a.tes")], true),
        ] {
            assert_eq!(is_cross_site(&map(&lines), own), wanted, "{lines:?}");
        }
    }
}
