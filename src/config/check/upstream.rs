//! `upstream`: the addresses of an app, and how their TLS is verified.

use std::sync::Arc;

use super::context::Check;
use crate::config::file::{self, At};
use crate::config::grammar;
use crate::config::grammar::placeholder::fill;
use crate::config::model::{AppName, AppTls, CertificateFiles, Dial, LoopbackPort, Upstream};
use crate::config::ownership::app_socket::UnixSocket;

/// Most addresses of one app.
const MOST: usize = 64;

impl Check<'_, '_> {
    /// Addresses of the app; port 0 is replaced by [`crate::config::Config::assign_ports`].
    pub(in crate::config::check) fn upstreams(
        &mut self,
        table: &file::App,
        name: &AppName,
        port: Option<u16>,
    ) -> Vec<Upstream> {
        self.needs_https_upstream(table, name);
        if table.static_files.is_some() {
            return Vec::new();
        }
        let Some(at) = &table.upstream else {
            let dial = Dial::Loopback(LoopbackPort::new(port.unwrap_or(0)));
            return vec![Upstream::new(dial)];
        };
        if at.0.is_empty() {
            self.problems.error(
                &at.span,
                "`upstream` is an empty list; write the address where the app runs",
            );
        }
        if let Some(one_more) = at.0.get(MOST) {
            let message = format!("`upstream` has more than {MOST} addresses");
            let help = "put a load balancer in front of them, or name its address";
            self.problems.error_with_help(&one_more.span, message, help);
        }
        let runs = table.command.is_some();
        let chosen = port.unwrap_or(0).to_string();
        let words = [("port", chosen.as_str()), ("name", name.as_str())];
        let dir = self.dir;
        let one = |text: &str| {
            if text.contains("{port}") && !runs {
                return Err(
                    "`{port}` needs a `command`, which this app does not have; write the port number"
                        .to_owned(),
                );
            }
            let mut upstream = grammar::upstream(&fill(text, &words))?;
            match &mut upstream.dial {
                Dial::Unix(socket) => {
                    *socket = UnixSocket::new(dir.join(socket.path()));
                    Ok(upstream)
                }
                Dial::Tcp(_, 0) if !text.contains("{port}") => {
                    Err("port 0 is not a port; write the port that the app listens on".to_owned())
                }
                Dial::Tcp(..) | Dial::Loopback(_) => Ok(upstream),
            }
        };
        let mut upstreams: Vec<_> =
            at.0.iter().filter_map(|text| self.parse_some(Some(text), one)).collect();
        if let Some(tls) = self.app_tls(table, name) {
            let secure = upstreams.iter_mut().filter(|upstream| upstream.tls.is_some());
            secure.for_each(|upstream| upstream.tls = Some(Arc::clone(&tls)));
        }
        upstreams
    }

    /// Whether sessions stay with one of several addresses or processes.
    pub(in crate::config::check) fn sticky(
        &mut self,
        table: &file::App,
        name: &AppName,
        replicas: u32,
    ) -> bool {
        let Some(at) = &table.sticky else { return replicas > 1 };
        let addresses = table.upstream.as_ref().map_or(1, |at| at.0.len());
        let path = format!("apps.{name}");
        if replicas == 1 && addresses == 1 && !self.cut_out.any(&path, &["upstream", "replicas"]) {
            self.problems.error_with_help(
                &at.span,
                format!("`{name}` has one address and one process, so every session stays there"),
                "remove `sticky`, or write a list of addresses as `upstream`",
            );
        }
        at.value
    }

    /// The TLS settings of the app; `None` without an `https://` address.
    fn app_tls(&mut self, table: &file::App, name: &AppName) -> Option<Arc<AppTls>> {
        let pair = [("client_cert", &table.client_cert), ("client_key", &table.client_key)];
        for ((key, at), (missing, other)) in [(pair[0], pair[1]), (pair[1], pair[0])] {
            let is_cut_out = self.cut_out.any(&format!("apps.{name}"), &[missing]);
            if let (Some(at), None, false) = (at, other, is_cut_out) {
                self.problems.error_with_help(
                    &at.span,
                    format!("`{name}` has a `{key}` without a `{missing}`"),
                    "name the PEM files of the certificate and of its private key, or none of them",
                );
            }
        }
        let ca_file = table.ca_file.as_ref().map(|at| self.path(at));
        let server_name = self.parse_some(table.server_name.as_ref(), grammar::server_name);
        let client = table.client_cert.as_ref().zip(table.client_key.as_ref());
        let client = client
            .map(|(cert, key)| CertificateFiles { cert: self.path(cert), key: self.path(key) });
        is_https(table).then(|| Arc::new(AppTls::new(ca_file, server_name, client)))
    }

    /// Refuses settings of TLS for an app without an `https://` address.
    fn needs_https_upstream(&mut self, table: &file::App, name: &AppName) {
        if is_https(table) || self.cut_out.any(&format!("apps.{name}"), &["upstream"]) {
            return;
        }
        for (key, at) in tls_keys(table) {
            self.problems.error_with_help(
                &at.span,
                format!("`{key}` needs an `https://` upstream, and `{name}` has none"),
                "write the address as `https://…`, or remove the key",
            );
        }
    }
}

/// Whether an address of the file begins with `https://`, valid or not.
fn is_https(table: &file::App) -> bool {
    let scheme = |at: &At<String>| at.get(..8).is_some_and(|s| s.eq_ignore_ascii_case("https://"));
    table.upstream.as_ref().is_some_and(|at| at.0.iter().any(scheme))
}

fn tls_keys(table: &file::App) -> impl Iterator<Item = (&'static str, &At<String>)> {
    let keys = [
        ("ca_file", &table.ca_file),
        ("server_name", &table.server_name),
        ("client_cert", &table.client_cert),
        ("client_key", &table.client_key),
    ];
    keys.into_iter().filter_map(|(key, at)| Some((key, at.as_ref()?)))
}
