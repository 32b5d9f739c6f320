//! An https issuer is asked over https alone.
//!
//! Its discovery document names the addresses that the client's secret, codes and tokens are sent
//! to, and where the keys come from. One http:// address among them hands all of that to anybody on
//! the network (OpenID Connect Discovery 1.0 §3, RFC 8414 §2, RFC 9700 §2.6).

use serde_json::{Map, Value};
use url::Url;

use super::untrusted_text::one_line;

/// Why the document of an https issuer is not right: it names an address in clear. Also addresses
/// that the appliance does not use count: the slip that made them is the issuer's whole setup.
pub(super) fn weakness(document: &Map<String, Value>, issuer: &str) -> Option<String> {
    if !has_scheme(issuer, "https") {
        return None;
    }
    let (name, url) = document.iter().find_map(|(name, value)| {
        let url = value.as_str().filter(|url| is_address(name) && has_scheme(url, "http"))?;
        Some((one_line(name), one_line(url)))
    })?;
    Some(format!(
        "names {url} as its {name} although the issuer is https; make the issuer name https \
         addresses only (Keycloak behind a TLS proxy: start it with --hostname={})",
        one_line(base(issuer)),
    ))
}

/// What Keycloak's `--hostname` is for this issuer.
fn base(issuer: &str) -> &str {
    issuer.split("/realms/").next().unwrap_or(issuer)
}

fn is_address(name: &str) -> bool {
    name == "jwks_uri" || name.ends_with("_endpoint")
}

fn has_scheme(url: &str, scheme: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == scheme)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(issuer: &str, document: Value) -> Option<String> {
        let Value::Object(document) = document else { panic!("no object") };
        weakness(&document, issuer)
    }

    #[test]
    fn every_address_of_an_https_issuer_is_https() {
        let issuer = "https://id.example/auth/realms/x";
        for name in [
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "userinfo_endpoint",
            "end_session_endpoint",
            "revocation_endpoint",
            "introspection_endpoint",
        ] {
            for url in ["http://id.example/x", "HTTP://id.example/x", "http://127.0.0.1:9/x"] {
                let why = found(issuer, json!({ name: url })).unwrap_or_default();
                assert!(why.contains(name) && why.contains(url), "{name} {why}");
                assert!(why.contains("--hostname=https://id.example/auth)"), "{why}");
            }
            assert_eq!(found(issuer, json!({ name: "https://other.example/x" })), None);
        }
    }

    #[test]
    fn other_members_and_http_issuers_may_be_in_clear() {
        let document = json!({"op_policy_uri": "http://id.example/p", "x_endpoint": 7});
        assert_eq!(found("https://id.example", document), None);
        let document =
            json!({"token_endpoint": "http://localhost:8080/t", "jwks_uri": "https://x"});
        assert_eq!(found("http://localhost:8080", document), None);
    }
}
