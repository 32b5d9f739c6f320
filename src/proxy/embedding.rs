//! What lets pages of other sites show an app in a frame: the headers of the responses, and the cookie of
//! the frame.

use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, HeaderMap, X_FRAME_OPTIONS};

use super::answer::pages;
use crate::auth::cookie::EmbedCookie;
use crate::config::{AppName, Config, Route};

const ANCESTORS: &[u8] = b"frame-ancestors";

/// An app with `embed`.
#[derive(Debug)]
pub(crate) struct Embedding {
    /// The cookie of the app in frames.
    pub cookie: EmbedCookie,
    /// The directive of the app's responses.
    ancestors: HeaderValue,
    /// The whole policy of the appliance's pages in place of the app.
    page_policy: HeaderValue,
}

impl Embedding {
    /// `None` for an app without `embed`.
    pub(crate) fn new(app: &AppName, route: &Route, config: &Config) -> Option<Self> {
        if route.embed.is_empty() {
            return None;
        }
        // Every page around the frame must be allowed, also one of the app that frames itself.
        let allowed = format!("'self' {}", route.embed.join(" "));
        let (session, secure) = (&config.session.cookie, config.server.public_url.secure);
        Some(Self {
            cookie: EmbedCookie::new(session, app, &route.embed, secure),
            ancestors: HeaderValue::try_from(format!("frame-ancestors {allowed}")).ok()?,
            page_policy: pages::policy_with_script(config, &allowed),
        })
    }

    /// Lets the origins frame a response of the app, whatever the app says about frames. All else of the
    /// app's policies stays.
    pub(crate) fn allow(&self, headers: &mut HeaderMap) {
        headers.remove(X_FRAME_OPTIONS);
        let values = headers.get_all(CONTENT_SECURITY_POLICY).iter();
        let kept: Vec<_> = values.filter_map(without_ancestors).collect();
        headers.remove(CONTENT_SECURITY_POLICY);
        for value in kept {
            headers.append(CONTENT_SECURITY_POLICY, value);
        }
        // Policies add up, so this one changes nothing else.
        headers.append(CONTENT_SECURITY_POLICY, self.ancestors.clone());
    }

    /// Lets the origins frame a page of the appliance that comes in place of the app.
    pub(crate) fn allow_page(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_SECURITY_POLICY, self.page_policy.clone());
    }
}

/// A value of `Content-Security-Policy` without its directives about frames; `None` if nothing is left. A
/// value is a list of policies, and a policy is a list of directives (CSP Level 3 section 2.2).
fn without_ancestors(value: &HeaderValue) -> Option<HeaderValue> {
    let is_about_frames = |directive: &&[u8]| {
        let directive = directive.trim_ascii();
        let name = directive.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        name.eq_ignore_ascii_case(ANCESTORS)
    };
    let directives = |policy| <[u8]>::split(policy, |byte| *byte == b';');
    let mut policies = value.as_bytes().split(|byte| *byte == b',');
    if !policies.any(|policy| directives(policy).any(|one| is_about_frames(&one))) {
        return Some(value.clone());
    }
    let policies = value.as_bytes().split(|byte| *byte == b',').filter_map(|policy| {
        let kept: Vec<_> = directives(policy).filter(|one| !is_about_frames(one)).collect();
        let kept = kept.join(&b';');
        (!kept.trim_ascii().is_empty()).then_some(kept)
    });
    let kept = policies.collect::<Vec<_>>().join(&b',');
    if kept.is_empty() { None } else { HeaderValue::from_bytes(kept.trim_ascii()).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::tests::{app, config};

    fn embedding() -> Embedding {
        let mut app = app("app1", "/app1", 1);
        let route = app.route.as_mut().unwrap();
        route.embed = vec!["https://wiki.example.org".into(), "https://b.example.org".into()];
        let route = route.clone();
        Embedding::new(&app.name, &route, &config(8080, Vec::new())).unwrap()
    }

    fn allowed(lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        embedding().allow(&mut headers);
        assert!(!headers.contains_key(X_FRAME_OPTIONS));
        let values = headers.get_all(CONTENT_SECURITY_POLICY).iter();
        let mut values: Vec<_> = values.map(|one| one.to_str().unwrap().to_owned()).collect();
        let own = "frame-ancestors 'self' https://wiki.example.org https://b.example.org";
        assert_eq!(values.pop().as_deref(), Some(own), "{lines:?}");
        values
    }

    #[test]
    fn only_what_an_app_says_about_frames_is_replaced() {
        let csp = "content-security-policy";
        assert!(allowed(&[]).is_empty());
        assert!(allowed(&[("x-frame-options", "DENY")]).is_empty());
        for (value, left) in [
            ("default-src 'self'", Some("default-src 'self'")),
            ("default-src 'self'; img-src *;", Some("default-src 'self'; img-src *;")),
            ("frame-ancestors 'none'", None),
            (" Frame-Ancestors 'self' ;", None),
            ("frame-ancestors", None),
            (
                "default-src 'self'; frame-ancestors 'none'; img-src *",
                Some("default-src 'self'; img-src *"),
            ),
            ("frame-ancestors 'none';default-src 'self'", Some("default-src 'self'")),
            ("frame-ancestors\t'none', script-src 'self'", Some("script-src 'self'")),
            (
                "script-src 'self', frame-ancestors a; img-src b",
                Some("script-src 'self', img-src b"),
            ),
            ("frame-ancestors a, frame-ancestors b", None),
            ("frame-ancestors-x a; frame-src b", Some("frame-ancestors-x a; frame-src b")),
        ] {
            assert_eq!(allowed(&[(csp, value)]), left.into_iter().collect::<Vec<_>>(), "{value}");
        }
        let two = [(csp, "frame-ancestors 'none'"), (csp, "img-src *")];
        assert_eq!(allowed(&two), ["img-src *"]);
        let report = ("content-security-policy-report-only", "frame-ancestors 'none'");
        let mut headers = HeaderMap::new();
        headers.insert(report.0, HeaderValue::from_static(report.1));
        embedding().allow(&mut headers);
        assert_eq!(headers[report.0], report.1);
    }

    #[test]
    fn a_page_of_the_appliance_has_the_same_ancestors() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'"));
        embedding().allow_page(&mut headers);
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy
                .contains("frame-ancestors 'self' https://wiki.example.org https://b.example.org;"),
            "{policy}"
        );
        assert!(policy.contains("default-src 'none'; ") && policy.contains("script-src 'self'; "));
    }

    #[test]
    fn without_the_setting_nothing_is_embedded() {
        let app = app("app1", "/app1", 1);
        let route = app.route.clone().unwrap();
        assert!(Embedding::new(&app.name, &route, &config(8080, Vec::new())).is_none());
    }
}
