//! `replicas`: whether an app can have several processes.

use crate::config::check::context::{Check, Outline};
use crate::config::file;
use crate::config::model::Upstream;

/// Most processes of one app.
pub(in crate::config::check) const MOST: i64 = 64;

impl Check<'_, '_> {
    /// Number of processes of an app, whether sessions stay with one of them, and the addresses of one.
    /// `port`: the port of the file.
    pub(in crate::config::check) fn replicas_and_upstreams(
        &mut self,
        table: &file::App,
        outline: &Outline<'_>,
        oidc: Option<&file::Oidc>,
        port: Option<u16>,
    ) -> (u32, bool, Vec<Upstream>) {
        let replicas = self.replicas(table, outline, oidc);
        // Each of several processes has a port of its own.
        let port = port.filter(|_| replicas == 1);
        let sticky = self.sticky(table, &outline.name, replicas);
        (replicas, sticky, self.upstreams(table, &outline.name, port))
    }

    fn replicas(
        &mut self,
        table: &file::App,
        outline: &Outline<'_>,
        oidc: Option<&file::Oidc>,
    ) -> u32 {
        let Some(at) = &table.replicas else { return 1 };
        let number = self.number(Some(at), 1..=MOST, "`replicas`").unwrap_or(1_u32);
        if number == 1 {
            return 1;
        }
        let name = outline.name.as_str();
        let served_by = oidc.and_then(|oidc| oidc.served_by.as_ref());
        if outline.keycloak.is_some() || served_by.is_some_and(|issuer| issuer.value == name) {
            self.problems.error_with_help(
                &at.span,
                format!("`{name}` is the issuer, which has one process"),
                "remove `replicas`",
            );
        } else {
            self.refuse_if_app_ends(table, "replicas", &at.span);
        }
        self.address_of_each(table, name, number);
        number
    }

    /// Each process must be reachable on its own.
    fn address_of_each(&mut self, table: &file::App, name: &str, number: u32) {
        if let Some(port) = &table.port
            && (1..=65535).contains(&port.value)
            && port.value + i64::from(number) - 1 > 65535
        {
            self.problems.error_with_help(
                &port.span,
                format!(
                    "the {number} processes of `{name}` need the ports from {} on, and the last port is 65535",
                    port.value
                ),
                "write a smaller `port`, or remove it",
            );
        }
        if let Some(upstream) = table.upstream.as_ref().filter(|_| table.command.is_some())
            && upstream.0.iter().any(|at| at.starts_with("unix:") || !at.contains("{port}"))
        {
            self.problems.error_with_help(
                &upstream.span,
                format!("each of the {number} processes of `{name}` needs an address of its own"),
                "write `http://127.0.0.1:{port}`, or remove `upstream` or `replicas`",
            );
        }
    }
}
