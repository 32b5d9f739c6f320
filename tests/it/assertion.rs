//! The signed identity assertion: an app receives it and verifies it.

use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJwsSigningAlgorithm};
use openidconnect::{ClientId, IssuerUrl, Nonce};

use crate::fixture::Fixture;
use crate::harness::Browser;

const HEADER: &str = "x-identity-assertion";

/// The assertions that the app receives with a request that carries forged assertions.
async fn asserted(fixture: &Fixture, browser: &mut Browser) -> Vec<String> {
    let planted = [("X-Identity-Assertion", "evil"), ("x_identity.assertion", "evil")];
    let answer = browser.fetch("/signed/", &planted).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.body.contains("evil"), "{}", answer.body);
    let seen = fixture.upstream.seen();
    seen.last().unwrap().all(HEADER).into_iter().map(str::to_owned).collect()
}

/// The subject of an assertion, if it is valid for `app`.
fn verified(fixture: &Fixture, keys: &str, app: &str, assertion: &str) -> Option<String> {
    let token: CoreIdToken = assertion.parse().unwrap();
    let issuer = IssuerUrl::new(fixture.appliance.url.clone()).unwrap();
    let keys = serde_json::from_str(keys).unwrap();
    let verifier = CoreIdTokenVerifier::new_public_client(ClientId::new(app.into()), issuer, keys)
        .set_allowed_algs([CoreJwsSigningAlgorithm::EcdsaP256Sha256]);
    let claims = token.claims(&verifier, |_: Option<&Nonce>| Ok(())).ok()?;
    Some(claims.subject().to_string())
}

#[tokio::test]
async fn an_app_can_verify_the_assertion_also_after_a_restart() {
    let mut fixture = Fixture::new().await;
    assert_eq!(asserted(&fixture, &mut fixture.browser()).await, [""; 0], "nobody is signed in");
    let mut alice = fixture.signed_in("alice").await;
    let first = asserted(&fixture, &mut alice).await;
    let [one] = first.as_slice() else { panic!("{first:?}") };
    assert_eq!(asserted(&fixture, &mut alice).await, first, "the assertion is cached");

    let answer = fixture.browser().fetch("/oauth2/jwks", &[]).await;
    assert_eq!(answer.headers["cache-control"], "public, max-age=300");
    let keys = answer.body;
    assert!(verified(&fixture, &keys, "signed", one).is_some());
    assert_eq!(verified(&fixture, &keys, "app", one), None, "an assertion is for one app only");

    assert_eq!(fixture.appliance.stop().await, 0);
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    assert_eq!(fixture.browser().fetch("/oauth2/jwks", &[]).await.body, keys);
    let again = asserted(&fixture, &mut alice).await;
    assert_eq!(
        verified(&fixture, &keys, "signed", &again[0]),
        verified(&fixture, &keys, "signed", one)
    );
}
