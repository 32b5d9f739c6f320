//! The endpoints that report the signed-in person.

use std::collections::BTreeMap;

use appliance::auth::Reply;
use appliance::auth::policy::Reason;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{Stack, visitor};

fn reasons() -> BTreeMap<&'static str, Reason> {
    BTreeMap::from([("app", Reason::SignedIn)])
}

#[tokio::test]
async fn userinfo_and_auth_request_report_the_signed_in_person() {
    let stack = Stack::new().await;
    let browser = stack.signed_in("bob").await;
    let Reply::Json { status, body, .. } =
        stack.auth.userinfo(visitor(&browser.headers()), |_| reasons()).await
    else {
        panic!("no JSON")
    };
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(body["user"], "bob");
    assert_eq!(body["groups"], json!(["staff", "group1"]));
    assert_eq!(body["reasons"], json!({"app": "signed_in"}));
    let nobody = stack.auth.userinfo(visitor(&HeaderMap::new()), |_| reasons()).await;
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
            stack.auth.auth_request(query, visitor(&browser.headers())).await
        else {
            panic!("not empty")
        };
        assert_eq!(status, want, "{query}");
        assert_eq!(headers.contains_key("x-auth-request-user"), want == 202);
    }
}

#[tokio::test]
async fn an_unverified_address_is_told_to_nobody() {
    let stack = Stack::new().await;
    for (user, address) in [("carol", None), ("alice", Some("alice@example.com"))] {
        let mut browser = stack.signed_in(user).await;
        let headers = browser.headers();
        let Reply::Json { body, .. } = stack.auth.userinfo(visitor(&headers), |_| reasons()).await
        else {
            panic!("no JSON")
        };
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["email"], json!(address));
        let Reply::Empty { headers, .. } = stack.auth.auth_request("", visitor(&headers)).await
        else {
            panic!("not empty")
        };
        let told = headers.get("x-auth-request-email").map(|value| value.to_str().unwrap());
        assert_eq!(told, address);
        let person = stack.session(&mut browser).await.unwrap().person();
        assert_eq!(person.email.known(), address);
        assert_eq!(person.headers.email.is_some(), address.is_some());
    }
}
