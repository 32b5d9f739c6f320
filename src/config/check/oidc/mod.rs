//! `[oidc]`: the issuer, the client, and whether apps can be protected.

mod github;
mod groups;
mod overage;
mod provider;

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::{Check, Outline};
use crate::config::file::{self, At};
use crate::config::grammar;
use crate::config::model::{
    Access, App, AppName, Oidc, OwnRealm, RealmConsole, Route, SecretSource, SignInProtocol,
};
use crate::config::preset::issuer::IssuerPreset;
use crate::config::report::suggest;

/// Parameters of the authorization request that the appliance sets itself.
const RESERVED: [&str; 12] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
];

impl Check<'_, '_> {
    pub(super) fn oidc(&mut self, at: &At<file::Oidc>, outlines: &[Outline<'_>]) -> Oidc {
        let file = &at.value;
        let preset = self.provider(at, outlines);
        let issuer = self.issuer(at, outlines, preset);
        let client_id = self.required(at, "client_id", file.client_id.as_ref());
        if file.client_secret.is_none() && !self.cut_out.any("oidc", &["client_secret"]) {
            self.problems.error_with_help(
                &at.span,
                "[oidc] needs a `client_secret`",
                "write `client_secret = { env = \"NAME\" }`, `{ file = \"path\" }` or `{ generate = \"name\" }`",
            );
        }
        let client_secret =
            file.client_secret.as_ref().and_then(|at| self.secret(&at.value, &at.span));
        let claim = |check: &mut Self, at: &Option<At<String>>, default: &str| {
            check.parse(at.as_ref(), default.to_owned(), grammar::claim)
        };
        let (issuer, served_by) = issuer.unwrap_or_default();
        let groups_overage = self.groups_overage(file.groups_overage.as_ref(), &issuer, preset);
        let groups_claim = claim(self, &file.groups_claim, preset.groups_claim);
        if groups_overage.is_some() {
            self.groups_overage_fits(at, &groups_claim);
        }
        let keycloak = served_by
            .as_ref()
            .and_then(|name| outlines.iter().find(|outline| outline.name == *name))
            .and_then(|outline| outline.keycloak.as_ref());
        Oidc {
            provider: Some(preset.name).filter(|name| !name.is_empty()),
            protocol: preset.protocol,
            audiences: self.audiences(file.audiences.as_ref()),
            issuer,
            account_actions: keycloak.is_some(),
            realm_users: keycloak.map(|realm| realm.users.clone()).unwrap_or_default(),
            realm: keycloak.map(|realm| realm.content.clone()),
            own_realm: keycloak.map(|realm| OwnRealm {
                name: realm.name.clone(),
                file: realm.file.clone(),
                test_users: realm.test_users.clone(),
                console: Some(&realm.admin_groups).filter(|groups| !groups.is_empty()).map(
                    |groups| RealmConsole {
                        url: format!("{}/admin/{}/console/", realm.url, realm.name),
                        groups: groups.clone(),
                    },
                ),
            }),
            served_by,
            dial: None,
            client_id: client_id.unwrap_or_default(),
            client_secret: client_secret.unwrap_or_else(|| SecretSource::Generate(String::new())),
            scopes: self.scopes(file.scopes.as_ref(), preset),
            user_claim: claim(self, &file.user_claim, preset.user_claim),
            email_claim: claim(self, &file.email_claim, preset.email_claim),
            groups_claim,
            groups_prefix: self.groups_prefix(file.groups_prefix.as_ref()),
            groups_only: self.groups_only(file.groups_only.as_ref()),
            groups_overage,
            roles_claim: claim(self, &file.roles_claim, preset.roles_claim),
            require_verified_email: file.require_verified_email.unwrap_or(false),
            clock_skew: self.duration(file.clock_skew.as_ref(), Duration::from_secs(30)),
            ca_file: file.ca_file.as_ref().map(|at| self.path(at)),
            login_params: self.login_params(file.login_params.as_ref(), preset.login_params),
        }
    }

    fn audiences(&mut self, at: Option<&At<Vec<String>>>) -> Vec<String> {
        let Some(at) = at else { return Vec::new() };
        if at.value.is_empty() || at.value.iter().any(String::is_empty) {
            self.problems.error_with_help(
                &at.span,
                "`audiences` names no audience: no access token would be accepted",
                "name what the tokens are for, or remove `audiences`: then it is the `client_id`",
            );
        }
        at.value.clone()
    }

    /// The issuer, and the app that serves it.
    fn issuer(
        &mut self,
        at: &At<file::Oidc>,
        outlines: &[Outline<'_>],
        preset: &IssuerPreset,
    ) -> Option<(String, Option<AppName>)> {
        let named = self.parse_some(at.issuer.as_ref(), grammar::issuer);
        let Some(served_by) = &at.served_by else {
            let known = preset.issuer.filter(|_| at.issuer.is_none()).map(str::to_owned);
            if at.issuer.is_none()
                && known.is_none()
                && !self.cut_out.any("oidc", &["issuer", "served_by", "provider"])
            {
                self.problems.error_with_help(
                    &at.span,
                    "[oidc] needs an `issuer` or `served_by`",
                    format!(
                        "write the issuer's URL, for example `{}`, or the name of the app that is the issuer",
                        preset.example
                    ),
                );
            }
            return Some((named.or(known)?, None));
        };
        let app = self.served_by(served_by, outlines)?;
        match (&app.keycloak, named) {
            (Some(realm), Some(issuer)) if issuer != realm.issuer && !realm.issuer.is_empty() => {
                let span = at.issuer.as_ref().map_or(&at.span, |at| &at.span);
                self.problems.error_with_help(
                    span,
                    format!("the issuer that `{}` serves is `{}`", app.name, realm.issuer),
                    "remove `issuer`: it follows from `served_by`",
                );
                None
            }
            (Some(realm), _) => Some((realm.issuer.clone(), Some(app.name.clone()))),
            (None, Some(issuer)) => Some((issuer, Some(app.name.clone()))),
            (None, None) => {
                if at.issuer.is_none() && !self.cut_out.any("oidc", &["issuer"]) {
                    self.problems.error_with_help(
                        &served_by.span,
                        format!("the issuer URL of `{}` is unknown", app.name),
                        "add the URL as browsers see it: `issuer = \"…\"`",
                    );
                }
                None
            }
        }
    }

    fn served_by<'o>(
        &mut self,
        at: &At<String>,
        outlines: &'o [Outline<'o>],
    ) -> Option<&'o Outline<'o>> {
        let names: Vec<&str> = outlines.iter().map(|app| app.name.as_str()).collect();
        let Some(app) = outlines.iter().find(|app| app.name.as_str() == at.value) else {
            let help = suggest::nearest(at, names.iter().copied()).map_or_else(
                || "`served_by` takes the name of an app in this file".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.problems.error_with_help(
                &at.span,
                format!("there is no app `{}`", at.value),
                help,
            );
            return None;
        };
        if !app.enabled {
            self.problems.error(
                &at.span,
                format!("`{}` is the issuer but is not enabled; enable the app", app.name),
            );
        } else if app.route.is_none() {
            self.problems.error_with_help(
                &at.span,
                format!("`{}` is the issuer, but browsers cannot reach it", app.name),
                format!("set for example `path = \"/auth\"` in [apps.{}]", app.name),
            );
        }
        Some(app)
    }

    fn required(
        &mut self,
        table: &At<file::Oidc>,
        key: &str,
        at: Option<&At<String>>,
    ) -> Option<String> {
        match at {
            Some(at) if at.trim().is_empty() => {
                self.problems.error(
                    &at.span,
                    format!(
                        "`{key}` is empty; write the client ID that is registered at the issuer"
                    ),
                );
                None
            }
            Some(at) => Some(at.value.clone()),
            None => {
                if !self.cut_out.any("oidc", &[key]) {
                    self.problems.error(
                        &table.span,
                        format!(
                            "[oidc] needs a `{key}`; write the client ID that is registered at the issuer"
                        ),
                    );
                }
                None
            }
        }
    }

    fn scopes(&mut self, at: Option<&At<Vec<String>>>, preset: &IssuerPreset) -> Vec<String> {
        let Some(at) = at else {
            return preset.scopes.iter().copied().map(str::to_owned).collect();
        };
        match preset.protocol {
            SignInProtocol::GitHub => self.github_scopes(at),
            SignInProtocol::OpenIdConnect if !at.iter().any(|scope| scope == "openid") => {
                self.problems.error(
                    &at.span,
                    "without the scope `openid` there is no ID token; add it to the list",
                );
            }
            SignInProtocol::OpenIdConnect => {}
        }
        let bad =
            |scope: &&String| scope.is_empty() || scope.contains(|c: char| !c.is_ascii_graphic());
        if let Some(scope) = at.iter().find(bad) {
            self.problems.error(
                &at.span,
                format!("`{scope}` is not a scope; use printable characters without spaces"),
            );
        }
        at.value.clone()
    }

    fn login_params(
        &mut self,
        at: Option<&At<BTreeMap<String, String>>>,
        defaults: &[(&str, &str)],
    ) -> Vec<(String, String)> {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut all: BTreeMap<String, String> = defaults.iter().map(text).collect();
        let Some(at) = at else { return all.into_iter().collect() };
        for name in at.keys().filter(|name| RESERVED.contains(&name.as_str())) {
            self.problems.error(&at.span, format!("`{name}` is set by the appliance; remove it"));
        }
        all.extend(at.value.clone());
        all.into_iter().collect()
    }

    /// The issuer's app must be public: people who open it are not signed in yet.
    pub(super) fn issuer_is_open(
        &mut self,
        apps: &[App],
        outlines: &[Outline<'_>],
        oidc: Option<&Oidc>,
    ) {
        let Some(issuer) = oidc.and_then(|oidc| oidc.served_by.as_ref()) else { return };
        let closed = |app: &&App| {
            let route = app.route.as_ref();
            app.name == *issuer
                && route
                    .is_some_and(|route| route.access != Access::Public || !route.deny.is_empty())
        };
        let outline = outlines.iter().find(|outline| outline.name == *issuer);
        if let Some(at) = outline.and_then(|outline| outline.table.idle_stop.as_ref()) {
            self.problems.error_with_help(
                &at.span,
                format!("`{issuer}` is the issuer, and nobody could sign in while it is stopped"),
                "remove `idle_stop`",
            );
        }
        let bearer = outline.and_then(|outline| outline.table.bearer.as_ref());
        if let Some(at) = bearer.filter(|at| at.value) {
            self.problems.error_with_help(
                &at.span,
                format!("`{issuer}` is the issuer, which reads the access tokens itself"),
                "remove `bearer`",
            );
        }
        if let (Some(outline), Some(_)) = (outline, apps.iter().find(closed)) {
            self.problems.error_with_help(
                outline.route.as_ref().unwrap_or(&outline.span),
                format!("`{issuer}` is the issuer, so people who open it are not signed in yet"),
                "set `access = \"public\"`: the issuer asks for passwords itself",
            );
        }
    }

    /// Without `[oidc]`, no app may need a login.
    pub(super) fn no_login_without_oidc(
        &mut self,
        apps: &[App],
        outlines: &[Outline<'_>],
        operators: Option<file::Span>,
    ) {
        let enabled = || outlines.iter().filter(|outline| outline.enabled);
        let of_apps =
            enabled().filter_map(|outline| Some(outline.table.operators.as_ref()?.span.clone()));
        for span in operators.into_iter().chain(of_apps) {
            let help = "add [oidc] with an issuer";
            self.problems.error_with_help(
                &span,
                "operators must sign in, but there is no [oidc]",
                help,
            );
        }
        for outline in enabled() {
            let app = apps.iter().find(|app| app.name == outline.name);
            if app.and_then(|app| app.route.as_ref()).is_some_and(needs_login) {
                self.problems.error_with_help(
                    outline.route.as_ref().unwrap_or(&outline.span),
                    format!("`{}` requires a login, but there is no [oidc]", outline.name),
                    "add [oidc] with an issuer, or set `access = \"public\"`",
                );
            }
        }
    }
}

fn needs_login(route: &Route) -> bool {
    route.access != Access::Public
        || !route.deny.is_empty()
        || route.rules.iter().any(|rule| rule.access != Access::Public)
}
