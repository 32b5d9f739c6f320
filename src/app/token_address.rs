//! `APPLIANCE_TOKEN_URL`: the address where the programs of apps get access tokens. The port is bound when
//! the first app needs it, and kept until the end.

use std::io;

use crate::config::{App, Config};
use crate::tokens::Server;

/// Gives the address to each app that asks for access tokens. `bound`: the port that running programs
/// know. Without it, and if some app needs it, a port is bound.
///
/// # Errors
/// No port can be bound.
pub(super) fn offer(config: &mut Config, bound: Option<u16>) -> io::Result<Option<Server>> {
    if config.oidc.is_none() || !config.apps.iter().any(App::asks_for_tokens) {
        return Ok(None);
    }
    let new = match bound {
        Some(_) => None,
        None => Some(Server::bind(&config.named_ports())?),
    };
    let Some(port) = bound.or(new.as_ref().map(Server::port)) else { return Ok(None) };
    for app in config.apps.iter_mut().filter(|app| app.asks_for_tokens()) {
        let url = Server::url(port, &app.name);
        if let Some(run) = &mut app.run {
            run.token_url = Some(url);
        }
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OIDC: &str = "[oidc]\nissuer = \"https://idp.test\"\nclient_id = \"a\"\nclient_secret = { generate = \"s\" }\n";
    const IDENTITY: &str = "identity = { access_token = \"X-Token\" }\n";

    fn config(text: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("appliance.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path, |_| None).unwrap()
    }

    fn urls(config: &Config) -> Vec<Option<&str>> {
        config.processes().map(|app| app.run.as_ref()?.token_url.as_deref()).collect()
    }

    #[test]
    fn only_a_program_that_gets_access_tokens_needs_the_address() {
        let app = |name: &str, lines: &str| format!("[apps.{name}]\npath = \"/{name}\"\n{lines}");
        let command = "command = [\"true\"]\n";
        let upstream = "upstream = \"http://127.0.0.1:1\"\n";
        let idle = app("a", command) + &app("b", &[upstream, IDENTITY].concat());
        let mut none = config(&[OIDC, &idle].concat());
        assert!(offer(&mut none, None).unwrap().is_none());
        let asking = app("c", &[command, IDENTITY, "replicas = 2\n"].concat());
        let mut some = config(&[OIDC, &idle, &asking].concat());
        let server = offer(&mut some, None).unwrap().unwrap();
        some.assign_ports().unwrap();
        let url = format!("http://127.0.0.1:{}/token/c", server.port());
        assert_eq!(urls(&some), [None, None, Some(&*url), Some(&url)]);
        let mut again = config(&[OIDC, &asking].concat());
        assert!(offer(&mut again, Some(server.port())).unwrap().is_none(), "the port is kept");
        again.assign_ports().unwrap();
        assert_eq!(urls(&again), [Some(&*url), Some(&url)]);
    }
}
