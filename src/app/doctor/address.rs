//! Whether the address that people type leads here, unchanged, and lets WebSockets through.

use super::ask::{Answer, Asker, NAVIGATION};
use super::finding::Finding;
use crate::config::{Access, Config};

const ADDRESS: &str = "address";
const HOST: &str = "host header";
const WEBSOCKET: &str = "websocket";

/// A handshake as browsers send it (RFC 6455, section 4.1), with the headers of a page beside: without
/// `Upgrade`, the appliance takes it for a page and answers with the login.
const HANDSHAKE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

pub(super) async fn findings(config: &Config, asker: &Asker, is_running: bool) -> Vec<Finding> {
    if !is_running {
        let why = "needs a running appliance";
        return [ADDRESS, HOST, WEBSOCKET].map(|question| Finding::skipped(question, why)).into();
    }
    let url = config.server.public_url.to_string();
    let live = asker.get(&format!("{url}/_appliance/live"), &[]).await;
    let address = reached(&url, live);
    if address.verdict != super::Verdict::Ok {
        return vec![address];
    }
    let portal = asker.get(&format!("{url}/_appliance/"), &[("accept", "application/json")]).await;
    let mut findings = vec![address, host(&url, portal)];
    let guarded = config.apps.iter().filter_map(|app| app.route.as_ref()).find(|route| {
        route.host.is_none() && route.access != Access::Public && route.files.is_none()
    });
    findings.push(match guarded {
        Some(route) => {
            let page = format!("{url}{}/", route.path.trim_end_matches('/'));
            let headers = [&HANDSHAKE[..], &NAVIGATION[..]].concat();
            websocket(asker.get(&page, &headers).await)
        }
        None => Finding::skipped(WEBSOCKET, "no app below this address needs a login"),
    });
    findings
}

fn reached(url: &str, live: Result<Answer, String>) -> Finding {
    match live {
        Ok(live) if live.status == 200 && live.headers.contains_key("x-request-id") => {
            Finding::ok(ADDRESS, format!("{url} leads to an appliance"))
        }
        Ok(live) => Finding::failed(
            ADDRESS,
            format!("{url} answers {} and is no appliance", live.status),
            "set `public_url` to the address that people type, or correct what stands in front",
        ),
        Err(why) if why.contains("certificate") => Finding::failed(
            ADDRESS,
            format!("{url}: {why}"),
            "with an authority of your own, let this machine trust it: `appliance ca` says how",
        ),
        Err(why) => Finding::failed(
            ADDRESS,
            format!("{url} cannot be reached from here: {why}"),
            "check the name, the port and the firewall; in a container, publish the port with `-p`",
        ),
    }
}

fn host(url: &str, portal: Result<Answer, String>) -> Finding {
    match portal.map(|portal| portal.status) {
        Ok(421) => Finding::failed(
            HOST,
            "what stands in front replaces the header `Host`",
            "let it pass on `Host` unchanged: docs/behind-a-proxy.md",
        ),
        Ok(401 | 503) => Finding::ok(HOST, "arrives as browsers send it"),
        Ok(308) => Finding::failed(
            HOST,
            format!("{url} arrives as http"),
            "let what stands in front send `X-Forwarded-Proto`, and name it in `trusted_proxies`",
        ),
        Ok(status) => Finding::warning(
            HOST,
            format!("the portal answers {status} to a program without a login"),
            "something in front answers itself: docs/behind-a-proxy.md",
        ),
        Err(why) => Finding::skipped(HOST, why),
    }
}

fn websocket(answer: Result<Answer, String>) -> Finding {
    match answer.map(|answer| answer.status) {
        Ok(401) => Finding::ok(WEBSOCKET, "the handshake arrives"),
        Ok(302 | 303) => Finding::failed(
            WEBSOCKET,
            "what stands in front takes `Upgrade: websocket` away",
            "let it pass on WebSockets: docs/behind-a-proxy.md",
        ),
        Ok(503) => Finding::skipped(WEBSOCKET, "the sign-in is not ready"),
        Ok(status) => Finding::warning(
            WEBSOCKET,
            format!("a handshake without a login is answered with {status}"),
            "something in front answers itself: docs/behind-a-proxy.md",
        ),
        Err(why) => Finding::skipped(WEBSOCKET, why),
    }
}
