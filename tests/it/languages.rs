//! The languages of the pages, through the built appliance.

use reqwest::Method;

use crate::fixture::Fixture;
use crate::harness::{Answer, Appliance, Browser, NAVIGATION, PATIENCE, free_port};

/// What a browser gets that reads these languages.
async fn page(browser: &Browser, path: &str, languages: &str) -> Answer {
    let headers = [NAVIGATION, &[("accept-language", languages)]].concat();
    browser.send(Method::GET, path, &headers).await.unwrap()
}

fn assert_page(answer: &Answer, language: &str, words: &str) {
    assert_eq!(answer.headers["content-language"], language, "{answer:?}");
    assert_eq!(answer.headers["vary"], "accept-language", "{answer:?}");
    assert!(answer.body.contains(&format!("<html lang=\"{language}\">")), "{answer:?}");
    assert!(answer.body.contains(words), "{words}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_pages_in_their_language() {
    let fixture = Fixture::new().await;
    let bob = fixture.signed_in("bob").await;
    for (path, languages, language, words) in [
        (
            "/two/",
            "de-AT,de;q=0.9,en;q=0.8",
            "de",
            "Für two ist Folgendes nötig: die Gruppe group2.",
        ),
        ("/two/", "ja", "ja", "two へのアクセス権がありません"),
        (
            "/two/",
            "xx,tlh;q=0.9",
            "en",
            "You are signed in as bob, but two needs the group group2.",
        ),
        ("/_appliance/", "de", "de", "Ihre Apps"),
        ("/_appliance/", "ja;q=0.5,en;q=0.4", "ja", "アプリ一覧"),
        ("/_appliance/", "xx", "en", "Your apps"),
        ("/_appliance/session", "fr", "fr", "Dernière utilisation"),
        ("/oauth2/sign_in", "es-MX", "es", "Inicie sesión para abrir sus aplicaciones."),
        ("/oauth2/sign_in", "pt-BR", "pt-BR", "Faça login para abrir seus aplicativos."),
        ("/none", "zh-CN,zh;q=0.9", "zh-Hans", "找不到页面"),
    ] {
        assert_page(&page(&bob, path, languages).await, language, words);
    }
    let hostile = "de-x,".repeat(1600);
    assert_page(&page(&bob, "/two/", &hostile).await, "de", "die Gruppe group2");
    // The issuer is asked for the same language, unless the person prefers one that it may know.
    for (languages, asked) in [("zh-CN,en;q=0.8", Some("zh-Hans")), ("ko,en;q=0.8", None)] {
        let answer = page(&fixture.browser(), "/oauth2/start", languages).await;
        let url = url::Url::parse(answer.location()).unwrap();
        let sent = url.query_pairs().find(|(name, _)| name == "ui_locales");
        assert_eq!(sent.as_ref().map(|(_, value)| &**value), asked, "{url}");
    }
    // Programs and the log stay with English.
    let german = [("accept-language", "de"), ("accept", "application/json")];
    let answer = bob.send(Method::GET, "/two/", &german).await.unwrap();
    assert!(answer.body.contains("but two needs the group group2."), "{answer:?}");
    assert!(answer.headers.get("content-language").is_none(), "{answer:?}");
    fixture.appliance.logs("the group group2").await;
    // The app gets the header as the browser has sent it.
    let answer = page(&bob, "/app/headers", "de-AT, fr;q=0.3").await;
    assert!(answer.body.contains("de-AT, fr;q=0.3"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_starting_page_is_in_the_language_of_the_person() {
    let appliance = Appliance::start(&format!(
        "[oidc]\nissuer = \"http://127.0.0.1:{}\"\nclient_id = \"a\"\n\
         client_secret = {{ generate = \"a\" }}\n[apps.app]\npath = \"/app\"\n\
         upstream = \"http://127.0.0.1:{}\"\n",
        free_port(),
        free_port()
    ));
    let browser = Browser::new(&appliance.url);
    tokio::time::timeout(PATIENCE, async {
        while browser.send(Method::GET, "/_appliance/live", &[]).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    for (languages, language, words) in [
        ("de", "de", "Diese Seite lädt sich von selbst neu."),
        ("ja", "ja", "このページは自動的に更新されます。"),
        ("xx", "en", "This page refreshes automatically."),
    ] {
        let answer = page(&browser, "/app/", languages).await;
        assert_eq!(answer.status, 503);
        assert_page(&answer, language, words);
    }
}
