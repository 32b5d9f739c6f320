//! Whether the issuer is the one of the configuration, knows this address, and has the same time.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::ask::{Answer, Asker, NAVIGATION};
use super::finding::Finding;
use crate::config::{Config, Oidc, SignInProtocol};

const ISSUER: &str = "issuer";
const CLOCK: &str = "clock";
const REDIRECT: &str = "redirect address";
const GROUPS: &str = "groups";

/// An HTTP date has whole seconds, and the response was on its way.
const NEAR: Duration = Duration::from_secs(3);

pub(super) async fn findings(config: &Config, asker: &Asker) -> Vec<Finding> {
    let Some(oidc) = &config.oidc else {
        return vec![Finding::ok(ISSUER, "none: no app needs a login")];
    };
    if oidc.protocol == SignInProtocol::GitHub {
        let why =
            "GitHub publishes no document about itself; `appliance status` says whether it answers";
        return vec![Finding::skipped(ISSUER, why)];
    }
    let url = format!("{}/.well-known/openid-configuration", oidc.issuer.trim_end_matches('/'));
    let answer = match asker.get(&url, &[]).await {
        Ok(answer) if answer.status == 200 => answer,
        Ok(answer) => {
            let found = format!("{url} answers {}", answer.status);
            let advice = "wait if it starts; otherwise correct `[oidc] issuer`";
            return vec![Finding::failed(ISSUER, found, advice)];
        }
        Err(why) => {
            let advice =
                "check that this machine reaches the issuer, by the name that browsers use";
            return vec![Finding::failed(ISSUER, format!("{url}: {why}"), advice)];
        }
    };
    let Ok(document) = serde_json::from_str::<Value>(&answer.body) else {
        let found = format!("{url} is no discovery document");
        return vec![Finding::failed(ISSUER, found, "correct `[oidc] issuer`")];
    };
    vec![
        is_same(oidc, &document),
        clock(&answer, oidc.clock_skew),
        redirect(config, oidc, &document, asker).await,
        groups(oidc, &document),
    ]
}

fn is_same(oidc: &Oidc, document: &Value) -> Finding {
    let named = document["issuer"].as_str().unwrap_or_default();
    if named == oidc.issuer {
        return Finding::ok(ISSUER, format!("{named} answers"));
    }
    let found = format!("says that it is `{named}`, the configuration says `{}`", oidc.issuer);
    let advice = "make both equal byte for byte: `[oidc] issuer`, `public_url`, or the hostname of the issuer";
    Finding::failed(ISSUER, found, advice)
}

fn clock(answer: &Answer, skew: Duration) -> Finding {
    let date = answer.headers.get("date").and_then(|date| date.to_str().ok());
    let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        return Finding::skipped(CLOCK, "the issuer does not say its time");
    };
    let now = SystemTime::now();
    let apart = now.duration_since(theirs).unwrap_or_else(|error| error.duration());
    let found = format!("{} s apart from the issuer's", apart.as_secs());
    let advice =
        "set both clocks by NTP; tokens are refused when they are further apart than `clock_skew`";
    if apart > skew {
        Finding::failed(CLOCK, found, advice)
    } else if apart > NEAR {
        Finding::warning(CLOCK, found, advice)
    } else {
        Finding::ok(CLOCK, found)
    }
}

/// Begins a login and looks whether the issuer refuses its redirect address.
async fn redirect(config: &Config, oidc: &Oidc, document: &Value, asker: &Asker) -> Finding {
    let callback = format!("{}/oauth2/callback", config.server.public_url);
    let endpoint = document["authorization_endpoint"].as_str().unwrap_or_default();
    let Ok(mut url) = url::Url::parse(endpoint) else {
        return Finding::failed(
            REDIRECT,
            "the issuer names no authorization endpoint",
            "correct `[oidc] issuer`",
        );
    };
    url.query_pairs_mut()
        .append_pair("client_id", &oidc.client_id)
        .append_pair("redirect_uri", &callback)
        .append_pair("response_type", "code")
        .append_pair("scope", &oidc.scopes.join(" "))
        .append_pair("state", "doctor")
        .append_pair("nonce", "doctor")
        .append_pair("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
        .append_pair("code_challenge_method", "S256");
    match asker.get(url.as_str(), &NAVIGATION).await.map(|answer| answer.status) {
        Ok(status) if status < 400 => {
            Finding::ok(REDIRECT, format!("the issuer takes {callback} for {}", oidc.client_id))
        }
        Ok(status) => Finding::failed(
            REDIRECT,
            format!("the issuer answers {status} to a login with {callback}"),
            format!("register {callback} for the client {} at the issuer", oidc.client_id),
        ),
        Err(why) => Finding::skipped(REDIRECT, why),
    }
}

fn groups(oidc: &Oidc, document: &Value) -> Finding {
    let listed = |key: &str| -> Vec<&str> {
        document[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let claim = oidc.groups_claim.split('.').next().unwrap_or_default();
    let found = if listed("claims_supported").contains(&claim) {
        format!("the issuer lists the claim `{claim}`")
    } else {
        format!("the issuer does not list the claim `{claim}`, which some send all the same")
    };
    let found = format!("{found}; sign in and open /oauth2/userinfo to see yours");
    Finding::skipped(GROUPS, found)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn clocks_are_compared_with_the_skew() {
        for (ahead, verdict) in [
            (0, Verdict::Ok),
            (10, Verdict::Warning),
            (40, Verdict::Failed),
            (-40, Verdict::Failed),
        ] {
            let distance = Duration::from_secs(i64::unsigned_abs(ahead));
            let now = SystemTime::now();
            let theirs = if ahead < 0 { now - distance } else { now + distance };
            let mut headers = http::HeaderMap::new();
            headers.insert("date", httpdate::fmt_http_date(theirs).parse().unwrap());
            let answer = Answer { status: 200, headers, body: String::new() };
            let finding = clock(&answer, Duration::from_secs(30));
            assert_eq!(finding.verdict, verdict, "{ahead}: {finding:?}");
        }
    }
}
