//! The style sheets carry the color and the logo of the file, also for browsers that nobody has signed in.

use reqwest::Response;
use reqwest::header::{CACHE_CONTROL, ETAG, HOST, IF_NONE_MATCH};

use crate::harness::{Appliance, eventually};
use crate::replicas::{edit, run};

async fn sheet(appliance: &Appliance, name: &str, tag: &str) -> Response {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("{}/_appliance/{name}.css", appliance.url));
    // Keycloak may have a host of its own.
    request.header(HOST, "auth.example.org").header(IF_NONE_MATCH, tag).send().await.unwrap()
}

#[tokio::test]
async fn a_reload_changes_the_color_of_all_pages_and_the_logo_of_the_sign_in_page() {
    // The issuer does not answer, hence nobody can sign in.
    let appliance = Appliance::start(
        "color = \"#7a1fa2\"\nlogo = \"/app/logo.svg\"\n\
         [oidc]\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"a\"\nclient_secret = { generate = \"s\" }\n\
         [apps.app]\nupstream = \"http://127.0.0.1:9\"\npath = \"/app\"\naccess = \"public\"\n",
    );
    eventually("the appliance listens", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", appliance.port)).await.ok()
    })
    .await;
    let first = sheet(&appliance, "sign-in", "").await;
    assert_eq!(
        (first.status().as_u16(), &first.headers()[CACHE_CONTROL]),
        (200, &"no-cache".parse().unwrap())
    );
    let tag = first.headers()[ETAG].to_str().unwrap().to_owned();
    let text = first.text().await.unwrap();
    let logo = format!("url(\"{}/app/logo.svg\")", appliance.url);
    assert!(text.contains("--button: #7a1fa2;") && text.contains(&logo), "{text}");
    assert_eq!(sheet(&appliance, "sign-in", &tag).await.status(), 304);
    let pages = sheet(&appliance, "style", "").await.text().await.unwrap();
    assert!(pages.contains("--button: #7a1fa2;") && !pages.contains("appliance-logo"), "{pages}");

    edit(&appliance, "#7a1fa2", "#ffc107");
    assert_eq!(run(&appliance, &["reload"]), "update server: color\n");
    let next = eventually("another style sheet", async || {
        let answer = sheet(&appliance, "sign-in", &tag).await;
        (answer.status() == 200).then_some(answer)
    })
    .await;
    let text = next.text().await.unwrap();
    assert!(text.contains("--button: #ffc107;") && !text.contains("#7a1fa2"), "{text}");
}
