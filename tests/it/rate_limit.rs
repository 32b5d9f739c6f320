//! Limits of the requests and logins of one client.

use reqwest::Method;

use crate::harness::{Appliance, Browser, FETCH, NAVIGATION};
use crate::upstream::Upstream;

fn appliance(limit: &str) -> (Appliance, Upstream) {
    let app = Upstream::start();
    let config = format!(
        "{limit}[apps.app]\nupstream = \"http://127.0.0.1:{}\"\npath = \"/app\"\naccess = \"public\"\n",
        app.port
    );
    (Appliance::start(&config), app)
}

#[tokio::test]
async fn a_client_over_its_limit_gets_429_until_it_has_waited() {
    let limit = "trusted_proxies = [\"127.0.0.1\"]\nrate_limit = { rate = \"2/h\", burst = 3 }\n";
    let (appliance, app) = appliance(limit);
    appliance.wait_ready().await;
    let browser = Browser::new(&appliance.url);
    let ask = async |client: &str, path: &str, more: &[(&str, &str)]| {
        let headers = [more, &[("x-forwarded-for", client)]].concat();
        browser.send(Method::GET, path, &headers).await.unwrap()
    };
    for expected in [200, 200, 200, 429, 429] {
        assert_eq!(ask("192.0.2.1", "/app/", FETCH).await.status, expected);
    }
    assert_eq!(app.seen().len(), 3, "what is refused reaches no app");
    let program = ask("192.0.2.1", "/app/", FETCH).await;
    let wait: u32 = program.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1790..=1801).contains(&wait), "{wait}");
    assert!(program.json().is_string(), "{}", program.body);
    let page = ask("192.0.2.1", "/app/", NAVIGATION).await;
    assert_eq!(page.status, 429);
    assert!(page.body.contains("Too many requests"), "{}", page.body);
    assert_eq!(ask("192.0.2.2", "/app/", FETCH).await.status, 200, "another client");
    for _ in 0..9 {
        assert_eq!(ask("192.0.2.1", "/_appliance/live", FETCH).await.status, 200);
    }
    let line = appliance.log();
    assert!(line.contains("too many requests"), "{line}");
}

#[tokio::test]
async fn a_reload_changes_the_limit() {
    let (appliance, _app) = appliance("rate_limit = \"1/h\"\n");
    appliance.wait_ready().await;
    let browser = Browser::new(&appliance.url);
    let ask = async || browser.send(Method::GET, "/app/", FETCH).await.unwrap().status;
    assert_eq!((ask().await.as_u16(), ask().await.as_u16()), (200, 429));
    let path = appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("1/h", "1000/s")).unwrap();
    assert!(appliance.cli(&["reload"]).status.success());
    for _ in 0..5 {
        assert_eq!(ask().await, 200);
    }
}
