//! Options of oauth2-proxy as settings: the issuer, sessions, who may log in, upstreams.

use super::options::Options;
use super::pattern::patterns;
use super::reasons::reason;
use crate::import::draft::{Draft, Table};
use crate::import::identity::{DEFAULT_IDENTITY, identity};
use crate::import::route::{Access, Route, Rule, Target, prefix};
use crate::import::secret::Secrets;
use crate::import::text;
use crate::import::value::{Value, literal, readable};

/// What the options say about routes. The rest is in the draft.
#[derive(Debug, Default)]
pub(in crate::import) struct Gate {
    pub(in crate::import) place: String,
    /// Its upstreams.
    pub(in crate::import) routes: Vec<Route>,
    pub(in crate::import) rules: Vec<Rule>,
    /// Where it listens.
    pub(in crate::import) listen: Option<String>,
    pub(in crate::import) port: u16,
    /// It expects a proxy in front, whose addresses it does not name.
    pub(in crate::import) is_behind_one: bool,
    /// Settings of every routed app.
    pub(in crate::import) every_app: Table,
}

/// An address that is certainly not one, where the source has none that can be used.
pub(in crate::import) const UNKNOWN_ISSUER: &str = "https://issuer.invalid";

/// Options that hold secrets.
const SECRETS: [&str; 9] = [
    "client_secret",
    "cookie_secret",
    "basic_auth_password",
    "redis_password",
    "redis_sentinel_password",
    "redis_connection_url",
    "signature_key",
    "jwt_key",
    "google_service_account_json",
];

pub(in crate::import) fn carry(
    options: &Options,
    secrets: &mut Secrets<'_>,
    draft: &mut Draft,
) -> Gate {
    for name in SECRETS {
        options.list(name).into_iter().for_each(|value| secrets.hide(value));
    }
    let mut carry = Carry {
        options,
        place: &options.place,
        secrets,
        gate: Gate { place: options.place.clone(), ..Gate::default() },
    };
    carry.server(&mut draft.server, &mut draft.log);
    carry.issuer(&mut draft.oidc);
    carry.client(&mut draft.oidc);
    carry.claims(&mut draft.oidc);
    carry.session(&mut draft.session);
    carry.access(&mut draft.access);
    carry.upstreams(&mut draft.head);
    carry.rules(&mut draft.head);
    carry.every_app(&mut draft.head);
    draft.head.remarks.extend(options.remarks.remarks.iter().cloned());
    for name in options.names() {
        if let Some(why) = reason(name, options.is_on(name), options.is_off(name)) {
            draft.head.missing(options.place_of(name), format!("`{name}`: {why}"));
        }
    }
    carry.gate
}

struct Carry<'c, 'l> {
    options: &'c Options,
    place: &'c str,
    secrets: &'c mut Secrets<'l>,
    gate: Gate,
}

impl Carry<'_, '_> {
    /// The text of an option, as the file has it.
    fn text(&self, name: &str) -> Option<String> {
        self.options.get(name).map(|text| self.secrets.literal(text))
    }

    /// A URL. A variable without a value would make the file wrong, so that it gets one.
    fn url(&self, text: &str, table: &mut Table, key: &str) -> String {
        let written = self.secrets.literal(text);
        if written == literal(text, |_| true) {
            return written;
        }
        table.missing(
            self.options.place_of(key),
            format!("`{key}` is {}: set the variable, or write the address", readable(text)),
        );
        let whole = literal(text, |_| true).starts_with("${");
        let default = if whole { ":-https://unset.invalid}" } else { ":-unset.invalid}" };
        written.replace(":-}", default)
    }

    fn server(&mut self, server: &mut Table, log: &mut Table) {
        if let Some(url) = self.options.get("redirect_url").map(str::to_owned) {
            let url = self.url(&url, server, "redirect_url");
            // Only the origin counts; the path is always `/oauth2/callback`.
            let path = url.split_once("://").and_then(|(scheme, rest)| {
                let at = rest.find('/').filter(|at| !rest[..*at].contains("${"))?;
                Some((scheme.len() + 3 + at, &rest[at..]))
            });
            match path {
                Some((at, path)) => {
                    if path != "/oauth2/callback" && path != "/" {
                        server.missing(
                            self.options.place_of("redirect_url"),
                            format!("`redirect_url`: people come back to `/oauth2/callback`, not to `{path}`; register it at the issuer"),
                        );
                    }
                    server.set("public_url", &url[..at]);
                }
                None => server.set("public_url", url.trim_end_matches("/oauth2/callback")),
            }
        }
        let address = self.options.get("http_address").unwrap_or("127.0.0.1:4180");
        let address = address.trim_start_matches("http://");
        let (host, port) = address.rsplit_once(':').unwrap_or(("", "4180"));
        self.gate.port = port.parse().unwrap_or(4180);
        if self.options.get("http_address").is_some() {
            let host = if host.is_empty() { "0.0.0.0" } else { host };
            self.gate.listen = Some(format!("{host}:{}", self.gate.port));
        }
        if let Some(address) = self.text("metrics_address").filter(|text| text.contains(':')) {
            let address =
                if address.starts_with(':') { format!("0.0.0.0{address}") } else { address };
            if address.parse::<std::net::SocketAddr>().is_ok() {
                server.set("metrics", address);
            }
        }
        let proxies = self.options.list("trusted_proxy_ips");
        if proxies.is_empty() {
            self.gate.is_behind_one = self.options.is_on("reverse_proxy");
        } else {
            server.set("trusted_proxies", Value::list(proxies));
        }
        if self.options.is_off("request_logging") {
            log.set("access", false);
        }
    }

    fn issuer(&self, oidc: &mut Table) {
        let provider = self.options.get("provider").unwrap_or("google").to_owned();
        let derived = || {
            let login = self.options.get("login_url")?;
            let (issuer, _) = login.split_once("/protocol/openid-connect/")?;
            Some(issuer.to_owned())
        };
        let by_provider = || match provider.as_str() {
            "google" => Some("https://accounts.google.com".to_owned()),
            "gitlab" => Some("https://gitlab.com".to_owned()),
            "azure" | "entra-id" => {
                let tenant = self.options.get("azure_tenant")?;
                Some(format!("https://login.microsoftonline.com/{tenant}/v2.0"))
            }
            _ => None,
        };
        let issuer = self.options.get("oidc_issuer_url").map(str::to_owned);
        if let Some(issuer) = issuer.or_else(derived).or_else(by_provider) {
            let issuer = self.url(&issuer, oidc, "oidc_issuer_url");
            oidc.set("issuer", issuer);
        } else {
            oidc.missing(
                self.place,
                format!("`provider = {provider}`: no issuer with OpenID Connect discovery is named; write its URL as `issuer`"),
            );
            oidc.set("issuer", UNKNOWN_ISSUER);
        }
    }

    fn client(&mut self, oidc: &mut Table) {
        let id = self.text("client_id").filter(|id| !id.is_empty() && !id.ends_with(":-}"));
        if id.is_none() {
            oidc.missing(
                self.options.place_of("client_id"),
                "`client_id`: write the client that is registered at the issuer",
            );
        }
        oidc.set("client_id", id.unwrap_or_else(|| "appliance".to_owned()));
        if let Some(file) = self.text("client_secret_file") {
            oidc.set("client_secret", Value::table([("file", file)]));
        } else {
            oidc.set("client_secret", Value::variable("OAUTH2_PROXY_CLIENT_SECRET"));
            oidc.missing(
                self.options.place_of("client_secret"),
                "`client_secret` is not copied: the appliance reads it from the variable OAUTH2_PROXY_CLIENT_SECRET, so set it where the appliance starts: `export OAUTH2_PROXY_CLIENT_SECRET=…`",
            );
        }
        if let Some(scope) = self.options.get("scope") {
            let mut scopes: Vec<&str> = scope.split_whitespace().collect();
            if !scopes.contains(&"openid") {
                scopes.insert(0, "openid");
            }
            oidc.set("scopes", Value::list(scopes));
        }
        let params = ["prompt", "acr_values"];
        let params = params.iter().filter_map(|name| Some((*name, self.text(name)?)));
        let params: Vec<_> = params.collect();
        if !params.is_empty() {
            oidc.set("login_params", Value::table(params));
        }
    }

    fn claims(&self, oidc: &mut Table) {
        for (option, key) in
            [("oidc_email_claim", "email_claim"), ("oidc_groups_claim", "groups_claim")]
        {
            if let Some(claim) =
                self.text(option).filter(|claim| claim != "email" || key != "email_claim")
            {
                oidc.set(key, claim);
            }
        }
        match self.text("user_id_claim") {
            Some(claim) => oidc.set("user_claim", claim),
            None => oidc.hint("oauth2-proxy sent the claim `sub` as X-Forwarded-User; the appliance sends the name that people sign in with. `user_claim = \"sub\"` keeps `sub`."),
        }
        let files = self.options.list("provider_ca_files");
        if let Some(file) = files.first() {
            oidc.set("ca_file", self.secrets.literal(file));
            if files.len() > 1 {
                oidc.missing(
                    self.options.place_of("provider_ca_files"),
                    "`provider_ca_files`: join the files into one for `ca_file`",
                );
            }
        }
    }

    fn session(&self, session: &mut Table) {
        if let Some(name) = self.text("cookie_name") {
            let plain = name.trim_start_matches("__Host-").trim_start_matches("__Secure-");
            if plain != "_oauth2_proxy" && !plain.contains("${") {
                session.set("cookie", plain);
            }
        }
        match self.text("cookie_expire").as_deref() {
            Some("0" | "0s") => session
                .missing(self.place, "`cookie_expire = 0`: a session always ends after `lifetime`"),
            Some(time) if humantime::parse_duration(time).is_ok() => session.set("lifetime", time),
            Some(_) => session.missing(
                self.options.place_of("cookie_expire"),
                "`cookie_expire`: write it as `lifetime`",
            ),
            None => {}
        }
    }

    fn access(&self, access: &mut Table) {
        let mut kinds: Vec<(String, Vec<String>)> = Vec::new();
        let domains = self.options.list("email_domains");
        if !domains.contains(&"*") && !domains.is_empty() {
            let subdomains = domains.iter().any(|d| d.starts_with('.') || d.starts_with("*."));
            if subdomains {
                access.missing(
                    self.options.place_of("email_domains"),
                    "`email_domains`: subdomains do not match; name each",
                );
            }
            let exact = domains.iter().map(|d| d.trim_start_matches("*.").trim_start_matches('.'));
            kinds.push(("email_domains".to_owned(), exact.map(str::to_owned).collect()));
        }
        if let Some(file) = self.options.get("authenticated_emails_file") {
            let text = text::read(std::path::Path::new(file)).unwrap_or_default();
            let emails = text.lines().map(str::trim).filter(|l| l.matches('@').count() == 1);
            let emails: Vec<String> = emails.map(str::to_owned).collect();
            access.missing(
                self.options.place_of("authenticated_emails_file"),
                format!("`authenticated_emails_file`: {} addresses were copied; changes of {file} do not count any more", emails.len()),
            );
            if emails.is_empty() {
                // Nobody, until somebody writes who.
                kinds.push(("emails".to_owned(), vec!["nobody@unset.invalid".to_owned()]));
            } else {
                kinds.push(("emails".to_owned(), emails));
            }
        }
        for (option, kind) in [("allowed_groups", "groups"), ("allowed_roles", "roles")] {
            let values = self.options.list(option);
            if !values.is_empty() {
                kinds.push((kind.to_owned(), values.into_iter().map(str::to_owned).collect()));
            }
        }
        let has = |kind: &str| kinds.iter().any(|(known, _)| known == kind);
        if has("groups") && has("roles") || has("emails") && has("email_domains") {
            access.missing(
                self.place,
                "oauth2-proxy let people in who had one of these; here all keys of `access` must match",
            );
        }
        if let Some(value) = Access::Limited(kinds.clone()).value().filter(|_| !kinds.is_empty()) {
            access.set("default", value);
        }
    }

    fn upstreams(&mut self, head: &mut Table) {
        for text in self.options.list("upstreams") {
            let Some(target) = Target::parse(text) else {
                // The usual answer where nginx asks for the login only.
                if !text.starts_with("static://") {
                    head.missing(
                        self.options.place_of("upstreams"),
                        format!("`upstreams`: {} is no address of an app", readable(text)),
                    );
                }
                continue;
            };
            let path = prefix(target.path.as_deref().unwrap_or("/"));
            self.gate.routes.push(Route {
                place: self.place.to_owned(),
                path,
                targets: vec![target],
                ..Route::default()
            });
        }
        self.gate.routes.extend(self.options.routes.iter().cloned());
    }

    fn rules(&mut self, head: &mut Table) {
        for (option, access) in [
            ("skip_auth_routes", Some(Access::Public)),
            ("skip_auth_regex", Some(Access::Public)),
            ("api_routes", None),
        ] {
            for text in self.options.list(option) {
                let (method, expression) = match text.split_once('=') {
                    Some((method, rest)) if method.bytes().all(|b| b.is_ascii_uppercase()) => {
                        (Some(method).filter(|method| !method.is_empty()), rest)
                    }
                    _ => (None, text),
                };
                match patterns(expression) {
                    Some(paths) => self.gate.rules.extend(paths.into_iter().map(|path| Rule {
                        path,
                        methods: method.into_iter().map(str::to_owned).collect(),
                        access: access.clone(),
                    })),
                    None => head.missing(
                        self.options.place_of(option),
                        format!("`{option}`: `{text}` cannot be a pattern of paths; write a rule of the app, for example `rules = [{{ path = \"/public/**\", access = \"public\" }}]`"),
                    ),
                }
            }
        }
    }

    fn every_app(&mut self, head: &mut Table) {
        let all = &mut self.gate.every_app;
        let mut pairs = self.options.identity.clone();
        if self.options.is_on("pass_access_token") {
            let token = ("access_token", "X-Forwarded-Access-Token");
            for (part, name) in DEFAULT_IDENTITY.into_iter().chain([token]) {
                if pairs.iter().all(|(known, _)| known != part) {
                    pairs.push((part.to_owned(), name.to_owned()));
                }
            }
        }
        if let Some(headers) = identity(pairs, self.place, head) {
            all.set("identity", headers);
        } else if self.options.is_off("pass_user_headers") {
            all.set("identity", false);
        }
        if self.options.is_on("force_json_errors") {
            all.set("api", true);
        }
        if let Some(time) = self.options.get("upstream_timeout") {
            match humantime::parse_duration(time) {
                Ok(_) => all.set("timeout", time),
                Err(_) => head.missing(
                    self.options.place_of("upstream_timeout"),
                    "`upstream_timeout`: write it as `timeout`",
                ),
            }
        }
    }
}
