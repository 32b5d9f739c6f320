//! What scripts try at Keycloak with the session of a person who is signed in.

use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::browser::Browser;

/// A code that needs no question, for a client whose codes anybody can redeem.
fn silent(client: &str) -> String {
    format!(
        "/auth/realms/appliance/protocol/openid-connect/auth?client_id={client}&response_type=code\
         &scope=openid&prompt=none&code_challenge_method=S256\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )
}

const FETCH: &str = "fetch(arguments[0], arguments[1])
    .then(a => a.text().then(t => done([a.status, a.url, t])));";

/// What a page finds in a window that it opens: `cut off`, when it holds the window no longer.
const WINDOW: &str = "const other = window.open(arguments[0]); if (!other) return done('blocked');
    const until = Date.now() + 15000;
    const look = () => {
        if (other.closed) return done('cut off');
        let found = null;
        try { found = other.document.querySelector(arguments[1]) } catch (e) { /* cut off soon */ }
        if (found || Date.now() > until) done(found ? 'found' : 'nothing');
        else setTimeout(look, 20);
    };
    look();";

const ACCOUNT: &str = "/auth/realms/appliance/account/";
const TOKEN: &str = "/auth/realms/appliance/protocol/openid-connect/token";

/// A script of a page of this origin, as of any app beside Keycloak.
pub(crate) async fn get_nothing_of_keycloak(browser: &Browser) {
    for path in [
        silent("account-console"),
        silent("appliance"),
        silent("appliance").replace("prompt=none", "kc_action=UPDATE_PASSWORD"),
        format!("{TOKEN}?client_id=account-console"),
        "/auth/realms/appliance/protocol/openid-connect/userinfo".to_owned(),
    ] {
        let answer = browser.script(FETCH, vec![json!(path), json!({})]).await;
        assert_eq!(answer[0], 403, "{answer}");
        assert!(!answer[1].as_str().unwrap_or_default().contains("code="), "{answer}");
    }
    let answer = browser.script(FETCH, vec![json!(ACCOUNT), json!({})]).await;
    assert_eq!(answer[0], 404, "{answer}");
    let keys = "/auth/realms/appliance/protocol/openid-connect/certs";
    let answer = browser.script(FETCH, vec![json!(keys), json!({})]).await;
    assert_eq!(answer[0], 200, "{answer}");

    // Neither a frame nor a window of the page shows it the form.
    let frame = "const frame = document.createElement('iframe'); frame.src = arguments[0];
        frame.onload = () => { let seen; try { seen = frame.contentDocument.body.innerHTML }
        catch (e) { seen = 'another origin' } frame.remove(); done(seen) };
        document.body.append(frame);";
    let login = silent("appliance").replace("prompt=none", "prompt=login");
    let seen = browser.script(frame, vec![json!(login)]).await;
    assert!(!seen.to_string().contains("password"), "{seen}");
    let seen = browser.script(WINDOW, vec![json!(login), json!("#password")]).await;
    assert_eq!(seen, "cut off", "a window of the sign-in page is open to the page that opened it");
    browser.closes_other_windows().await;
}

/// The consoles are scripts of this origin as well, so more is open for them: not the codes.
pub(crate) async fn get_no_code_of_a_console(browser: &Browser) {
    let master = silent("security-admin-console").replace("/realms/appliance/", "/realms/master/");
    for path in [silent("account-console"), silent("security-admin-console"), master] {
        let answer = browser.script(FETCH, vec![json!(path), json!({})]).await;
        assert_eq!(answer[0], 403, "{path} {answer}");
    }
    for (path, part) in [(ACCOUNT, "input"), ("/auth/admin/master/console/", "nav")] {
        let seen = browser.script(WINDOW, vec![json!(path), json!(part)]).await;
        assert_eq!(seen, "cut off", "{path}");
        browser.closes_other_windows().await;
    }
}

/// From another origin the answers of Keycloak are out of reach.
pub(crate) async fn of_another_origin_read_nothing(browser: &Browser, issuer: &str) {
    let url = format!("{issuer}{}", silent("account-console").trim_start_matches("/auth"));
    let fetch = "fetch(arguments[0], { credentials: 'include' })
        .then(a => done([a.status, a.url]), e => done('refused'));";
    assert_eq!(browser.script(fetch, vec![json!(url)]).await, "refused");
}

/// What the realm itself refuses, whoever asks.
pub(crate) async fn without_a_browser_get_no_token(site: &str) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    for id in ["admin-cli", "account", "account-console", "security-admin-console"] {
        let form = format!("grant_type=password&client_id={id}&username=test&password=test");
        let request = hyper::Request::post(format!("{site}{TOKEN}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::from(form))
            .unwrap();
        let answer = client.request(request).await.unwrap();
        assert_eq!(answer.status(), 400, "{id}");
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        let text: Value = serde_json::from_slice(&text).unwrap();
        assert!(text.get("access_token").is_none() && text.get("error").is_some(), "{id} {text}");
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    for id in ["account", "account-console"] {
        let url = format!("{site}{}&redirect_uri={site}{ACCOUNT}", silent(id));
        let answer = client.get(url.parse().unwrap()).await.unwrap();
        let location = answer.headers()["location"].to_str().unwrap();
        assert!(location.contains("error=invalid_client"), "{location}");
    }
}
