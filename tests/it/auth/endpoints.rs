//! The endpoints that report the signed-in person.

use appliance::auth::Reply;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::Stack;

#[tokio::test]
async fn userinfo_and_auth_request_report_the_signed_in_person() {
    let stack = Stack::new().await;
    let browser = stack.signed_in("bob").await;
    let Reply::Json { status, body, .. } = stack.auth.userinfo(&browser.headers()).await else {
        panic!("no JSON")
    };
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(body["user"], "bob");
    assert_eq!(body["groups"], json!(["staff", "group1"]));
    let nobody = stack.auth.userinfo(&HeaderMap::new()).await;
    assert_eq!(super::status(&nobody), StatusCode::UNAUTHORIZED);
    for (query, want) in [
        ("", 202),
        ("allowed_groups=", 202),
        ("allowed_groups=group1", 202),
        ("allowed_groups=group2", 403),
        ("allowed_groups=group2,group1", 202),
        ("allowed_groups=group2&allowed_groups=staff", 202),
        ("allowed_groups=GROUP1", 403),
        ("allowed_groups=group%31", 202),
        ("allowed_emails=x@y,bob%40other.example", 202),
        ("allowed_email_domains=ther.example", 403),
        ("allowed_groups=staff&allowed_emails=x@y", 403),
    ] {
        let Reply::Empty { status, headers } =
            stack.auth.auth_request(query, &browser.headers()).await
        else {
            panic!("not empty")
        };
        assert_eq!(status, want, "{query}");
        assert_eq!(headers.contains_key("x-auth-request-user"), want == 202);
    }
}
