//! Writes the whole configuration.

use super::app::show_app;
use super::page::Page;
use super::value::{access, count, duration, list, rate_limit, secret, table, tls};
use crate::config::model::{
    AlertFormat, Color, Config, GroupsOverage, Listen, LogFormat, Oidc, Users,
};

impl Config {
    /// The whole configuration as TOML. A port that is not chosen yet is shown as `{port}`.
    pub fn expanded(&self) -> String {
        self.page().text(&self.secrets)
    }

    /// All settings with their values, not masked.
    pub(crate) fn page(&self) -> Page {
        let mut page = Page::default();
        self.server(&mut page);
        page.table("log");
        page.key(
            "format",
            match self.log.format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            },
        );
        page.key("level", self.log.level.as_str());
        page.key("access", self.log.access);
        page.key(
            "color",
            match self.log.color {
                Color::Auto => "auto",
                Color::Always => "always",
                Color::Never => "never",
            },
        );
        if let Some(oidc) = &self.oidc {
            show_oidc(oidc, &mut page);
        }
        page.table("session");
        page.key("lifetime", duration(self.session.lifetime));
        page.key("idle", duration(self.session.idle.unwrap_or_default()));
        page.key("cookie", self.session.cookie.as_str());
        page.key("keys", secret(&self.session.keys));
        page.key("recheck", duration(self.session.recheck));
        if let Some(alerts) = &self.alerts {
            page.table("alerts");
            page.key("webhook", secret(&alerts.webhook));
            page.key("events", list(&alerts.events, |event| event.as_str().to_owned()));
            page.key(
                "format",
                match alerts.format {
                    AlertFormat::Json => "json",
                    AlertFormat::Slack => "slack",
                },
            );
        }
        for app in &self.apps {
            show_app(app, &mut page);
        }
        page
    }

    fn server(&self, page: &mut Page) {
        let server = &self.server;
        page.table("server");
        page.key(
            "listen",
            list(&server.listen, |listen| match listen {
                Listen::Tcp(address) => address.to_string(),
                Listen::Unix(path) => format!("unix:{}", path.display()),
            }),
        );
        page.key("public_url", server.public_url.to_string());
        page.some("tls", server.tls.as_ref().map(tls));
        page.some("redirect_http", server.redirect_http.map(|address| address.to_string()));
        page.key("http2", server.http2);
        page.key("h2c", server.h2c);
        page.some("hsts", server.hsts.map(duration));
        page.key("state_dir", server.state_dir.display().to_string());
        page.some("users", (server.users == Users::PerApp).then_some("per-app"));
        page.key("trusted_proxies", list(&server.trusted_proxies, ToString::to_string));
        page.key("proxy_protocol", server.proxy_protocol);
        page.key("max_connections", count(server.max_connections));
        page.some("max_connections_per_ip", server.max_connections_per_ip.map(count));
        page.some("rate_limit", server.rate_limit.map(rate_limit));
        page.key("max_header_bytes", format!("{}B", server.max_header_bytes));
        page.key("header_timeout", duration(server.header_timeout));
        page.key("idle_timeout", duration(server.idle_timeout));
        page.key("body_timeout", duration(server.body_timeout));
        page.key("send_timeout", duration(server.send_timeout));
        page.key("compression", server.compression);
        page.key("shutdown_timeout", duration(server.shutdown_timeout));
        page.some("parallel_starts", server.parallel_starts.map(count));
        page.some("metrics", server.metrics.map(|address| address.to_string()));
        page.some("operators", server.operators.as_ref().map(access));
        page.some("title", server.title.clone());
        page.some("logo", server.logo.clone());
        page.some("color", server.color.map(|color| color.to_string()));
        page.some("contact", server.contact.clone());
    }
}

fn show_oidc(oidc: &Oidc, page: &mut Page) {
    page.table("oidc");
    page.some("provider", oidc.provider);
    page.key("issuer", oidc.issuer.as_str());
    page.some("served_by", oidc.served_by.as_ref().map(ToString::to_string));
    page.key("client_id", oidc.client_id.as_str());
    page.key("client_secret", secret(&oidc.client_secret));
    page.key("scopes", oidc.scopes.clone());
    if !oidc.audiences.is_empty() {
        page.key("audiences", oidc.audiences.clone());
    }
    page.key("user_claim", oidc.user_claim.as_str());
    page.key("email_claim", oidc.email_claim.as_str());
    page.key("groups_claim", oidc.groups_claim.as_str());
    page.some("groups_prefix", oidc.groups_prefix.clone());
    if !oidc.groups_only.is_empty() {
        page.key("groups_only", list(&oidc.groups_only, ToString::to_string));
    }
    if let Some(GroupsOverage { url, field }) = &oidc.groups_overage {
        let entries = [("url", url), ("field", field)];
        let entries = entries.map(|(key, value)| (key.to_owned(), value.as_str()));
        page.key("groups_overage", table(entries));
    }
    page.key("roles_claim", oidc.roles_claim.as_str());
    page.key("require_verified_email", oidc.require_verified_email);
    page.key("clock_skew", duration(oidc.clock_skew));
    page.some("ca_file", oidc.ca_file.as_ref().map(|path| path.display().to_string()));
    if !oidc.login_params.is_empty() {
        let params = oidc.login_params.iter().map(|(name, value)| (name.clone(), value.as_str()));
        page.key("login_params", table(params));
    }
}
