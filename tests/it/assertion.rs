//! The signed assertion as an app gets and checks it.

use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJwsSigningAlgorithm};
use openidconnect::{ClientId, IssuerUrl, Nonce};

use crate::harness::Browser;
use crate::world::World;

const HEADER: &str = "x-identity-assertion";

/// The assertions that the app got with a request that brings some of its own.
async fn asserted(world: &World, browser: &mut Browser) -> Vec<String> {
    let planted = [("X-Identity-Assertion", "evil"), ("x_identity.assertion", "evil")];
    let answer = browser.fetch("/signed/", &planted).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.body.contains("evil"), "{}", answer.body);
    let seen = world.upstream.seen();
    seen.last().unwrap().all(HEADER).into_iter().map(str::to_owned).collect()
}

/// The subject, when `app` believes it.
fn believed(world: &World, keys: &str, app: &str, assertion: &str) -> Option<String> {
    let token: CoreIdToken = assertion.parse().unwrap();
    let issuer = IssuerUrl::new(world.appliance.url.clone()).unwrap();
    let keys = serde_json::from_str(keys).unwrap();
    let verifier = CoreIdTokenVerifier::new_public_client(ClientId::new(app.into()), issuer, keys)
        .set_allowed_algs([CoreJwsSigningAlgorithm::EcdsaP256Sha256]);
    let claims = token.claims(&verifier, |_: Option<&Nonce>| Ok(())).ok()?;
    Some(claims.subject().to_string())
}

#[tokio::test]
async fn an_app_can_check_who_is_there_also_after_a_restart() {
    let mut world = World::new().await;
    assert_eq!(asserted(&world, &mut world.browser()).await, [""; 0], "nobody is signed in");
    let mut alice = world.signed_in("alice").await;
    let first = asserted(&world, &mut alice).await;
    let [one] = first.as_slice() else { panic!("{first:?}") };
    assert_eq!(asserted(&world, &mut alice).await, first, "it is kept");

    let answer = world.browser().fetch("/oauth2/jwks", &[]).await;
    assert_eq!(answer.headers["cache-control"], "public, max-age=300");
    let keys = answer.body;
    assert!(believed(&world, &keys, "signed", one).is_some());
    assert_eq!(believed(&world, &keys, "app", one), None, "it is for one app only");

    assert_eq!(world.appliance.stop().await, 0);
    world.appliance.restart();
    world.appliance.wait_ready().await;
    assert_eq!(world.browser().fetch("/oauth2/jwks", &[]).await.body, keys);
    let again = asserted(&world, &mut alice).await;
    assert_eq!(
        believed(&world, &keys, "signed", &again[0]),
        believed(&world, &keys, "signed", one)
    );
}
