//! A client for Keycloak's login form: cookies, redirects, one form.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};

/// Signs in as `user`, whose password is the same word, and checks that the page shows `text`.
pub(crate) async fn opens(site: &str, user: &str, path: &str, text: &str) {
    let page = Session::new().sign_in(site, user, path).await;
    assert_eq!(page.status, StatusCode::OK, "{path} for {user}: {}", page.body);
    assert!(page.body.contains(text), "{path} for {user}: {}", page.body);
}

/// Signs in as `user` and checks for a 403 whose page names `missing`.
pub(crate) async fn is_refused(site: &str, user: &str, path: &str, missing: &str) {
    let page = Session::new().sign_in(site, user, path).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{path} for {user}: {}", page.body);
    assert!(page.body.contains(missing), "{path} for {user}: {}", page.body);
}

/// The administration and the metrics of Keycloak are not exposed.
pub(crate) async fn admin_console_is_closed(site: &str) {
    for path in ["/auth/", "/auth/admin/", "/auth/realms/master/", "/auth/metrics"] {
        let page = Session::new().get(&format!("{site}{path}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// An HTTP client that follows no redirects.
pub(crate) fn client() -> reqwest::Client {
    // reqwest needs a TLS provider, also for http. In the second test the provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

struct Page {
    status: StatusCode,
    body: String,
}

/// A client with a cookie jar for one site. Keycloak's cookies are `Secure` on localhost, too. Browsers
/// send such cookies to localhost over http; the cookie jar of a library does not.
struct Session {
    client: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

impl Session {
    fn new() -> Self {
        Self { client: client(), cookies: BTreeMap::new() }
    }

    async fn sign_in(&mut self, site: &str, user: &str, path: &str) -> Page {
        let form = self.get(&format!("{site}{path}")).await;
        let action = form.body.split_once("action=\"").expect("Keycloak's form").1;
        let action = action.split_once('"').unwrap().0.replace("&amp;", "&");
        let fields = [("username", user), ("password", user)];
        self.follow(self.client.post(&action).form(&fields)).await
    }

    async fn get(&mut self, url: &str) -> Page {
        self.follow(self.client.get(url)).await
    }

    async fn follow(&mut self, mut request: reqwest::RequestBuilder) -> Page {
        for _ in 0..10 {
            let line: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let request_with_cookies =
                request.header(ACCEPT, "text/html").header(COOKIE, line.join("; "));
            let answer = request_with_cookies.send().await.unwrap();
            for line in answer.headers().get_all(SET_COOKIE) {
                let pair = line.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            let (status, url) = (answer.status(), answer.url().clone());
            let Some(next) = answer.headers().get(LOCATION) else {
                let body = answer.text().await.unwrap();
                return Page { status, body };
            };
            request = self.client.get(url.join(next.to_str().unwrap()).unwrap());
        }
        panic!("too many redirects");
    }
}
