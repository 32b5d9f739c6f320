//! `appliance doctor`.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{Fixture, SECRET};
use crate::harness::Appliance;
use crate::issuer::Issuer;

/// The exit code, and the verdict of each question.
fn ask(appliance: &Appliance) -> (Option<i32>, BTreeMap<String, String>, String) {
    // The issuer and the front answer on other threads meanwhile.
    let output = tokio::task::block_in_place(|| appliance.cli(&["doctor", "--json"]));
    let text = String::from_utf8(output.stdout).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let findings = json["findings"].as_array().cloned().unwrap_or_default();
    let verdicts = findings.iter().map(|finding| {
        let word = |key: &str| finding[key].as_str().unwrap().to_owned();
        (word("question"), word("verdict"))
    });
    (output.status.code(), verdicts.collect(), text)
}

/// What stands in front of the appliance: changes each line of a request's head, or leaves it out.
async fn front(listener: TcpListener, to: u16, change: fn(&str) -> Option<String>) {
    while let Ok((mut client, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await?);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let lines = head.trim_end().split("\r\n").filter_map(change);
            let changed: String = lines.map(|line| line + "\r\n").collect();
            let mut server = TcpStream::connect(("127.0.0.1", to)).await?;
            server.write_all(format!("{changed}Connection: close\r\n\r\n").as_bytes()).await?;
            tokio::io::copy(&mut server, &mut client).await
        });
    }
}

/// An appliance behind such a front, and its issuer.
async fn behind(change: fn(&str) -> Option<String>) -> (Appliance, Issuer) {
    let issuer = Issuer::new().await;
    issuer.order(|orders| orders.client_secret = SECRET.into());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front_port = listener.local_addr().unwrap().port();
    let oidc = format!("[oidc]\nissuer = \"{}\"\nclient_id = \"appliance\"\n", issuer.url);
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:{{PORT}}\"\npublic_url = \"http://localhost:{front_port}\"\n\
         state_dir = \"{{STATE}}/state\"\n{oidc}client_secret = {{ generate = \"oidc-client\" }}\n\
         [apps.a]\npath = \"/a\"\nupstream = \"http://127.0.0.1:9\"\n"
    );
    let appliance = Appliance::start_with(&config);
    tokio::spawn(front(listener, appliance.port, change));
    appliance.wait_ready().await;
    (appliance, issuer)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well() {
    let fixture = Fixture::new().await;
    let (code, verdicts, text) = ask(&fixture.appliance);
    assert_eq!(code, Some(0), "{text}");
    for question in
        ["state folder", "disk", "apps", "address", "host header", "websocket", "issuer"]
    {
        assert_eq!(verdicts[question], "ok", "{question}: {text}");
    }
    assert!(!text.contains(SECRET), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_that_changes_requests_is_found() {
    let all: fn(&str) -> Option<String> = |line| Some(line.to_owned());
    let other_host: fn(&str) -> Option<String> = |line| {
        let is_host = line.to_ascii_lowercase().starts_with("host:");
        Some(if is_host { "Host: internal".to_owned() } else { line.to_owned() })
    };
    let no_upgrade: fn(&str) -> Option<String> = |line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        (!["upgrade", "connection"].contains(&name.as_str())).then(|| line.to_owned())
    };
    for (change, failed) in
        [(all, None), (other_host, Some("host header")), (no_upgrade, Some("websocket"))]
    {
        let (appliance, _issuer) = behind(change).await;
        let (code, verdicts, text) = ask(&appliance);
        match failed {
            None => assert_eq!(verdicts["address"], "ok", "{text}"),
            Some(question) => {
                assert_eq!((code, verdicts[question].as_str()), (Some(1), "failed"), "{text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_skipped_and_what_is_away_has_failed() {
    let mut fixture = Fixture::new().await;
    fixture.appliance.stop().await;
    let (code, verdicts, text) = ask(&fixture.appliance);
    assert_eq!(code, Some(0), "{text}");
    for question in ["apps", "address", "host header", "websocket"] {
        assert_eq!(verdicts[question], "skipped", "{text}");
    }
    let Fixture { appliance, issuer, .. } = fixture;
    drop(issuer);
    let (code, verdicts, text) = ask(&appliance);
    assert_eq!((code, verdicts["issuer"].as_str()), (Some(1), "failed"), "{text}");
}
