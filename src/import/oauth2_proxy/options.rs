//! The options of oauth2-proxy under one name each, whether they come from variables, flags or a file.

use crate::import::draft::Table;
use crate::import::route::Route;

/// What one source says.
#[derive(Debug, Clone, Default)]
pub(in crate::import) struct Options {
    /// The file, and where in it.
    pub(in crate::import) place: String,
    values: Vec<Setting>,
    /// Upstreams of the alpha configuration.
    pub(super) routes: Vec<Route>,
    /// Headers of the alpha configuration: part of the identity, name of the header.
    pub(super) identity: Vec<(String, String)>,
    pub(super) remarks: Table,
}

/// One option.
#[derive(Debug, Clone)]
struct Setting {
    /// The key in the `.cfg`.
    name: String,
    values: Vec<String>,
    /// Where it is written.
    place: String,
}

/// Flags whose key in the `.cfg` is the plural.
const LISTS: [(&str, &str); 24] = [
    ("upstream", "upstreams"),
    ("email_domain", "email_domains"),
    ("cookie_domain", "cookie_domains"),
    ("whitelist_domain", "whitelist_domains"),
    ("skip_auth_route", "skip_auth_routes"),
    ("skip_auth_regexes", "skip_auth_regex"),
    ("api_route", "api_routes"),
    ("trusted_ip", "trusted_ips"),
    ("trusted_proxy_ip", "trusted_proxy_ips"),
    ("allowed_group", "allowed_groups"),
    ("allowed_role", "allowed_roles"),
    ("oidc_extra_audience", "oidc_extra_audiences"),
    ("oidc_audience_claim", "oidc_audience_claims"),
    ("provider_ca_file", "provider_ca_files"),
    ("keycloak_group", "keycloak_groups"),
    ("google_group", "google_groups"),
    ("github_user", "github_users"),
    ("gitlab_group", "gitlab_groups"),
    ("gitlab_project", "gitlab_projects"),
    ("htpasswd_user_group", "htpasswd_user_groups"),
    ("exclude_logging_path", "exclude_logging_paths"),
    ("tls_cipher_suite", "tls_cipher_suites"),
    ("redis_sentinel_connection_url", "redis_sentinel_connection_urls"),
    ("redis_cluster_connection_url", "redis_cluster_connection_urls"),
];

/// Options that take no value on the command line.
const SWITCHES: [&str; 31] = [
    "cookie_secure",
    "cookie_httponly",
    "cookie_csrf_per_request",
    "skip_provider_button",
    "skip_jwt_bearer_tokens",
    "skip_auth_preflight",
    "skip_auth_strip_headers",
    "skip_oidc_discovery",
    "set_xauthrequest",
    "set_authorization_header",
    "set_basic_auth",
    "pass_access_token",
    "pass_authorization_header",
    "pass_basic_auth",
    "pass_host_header",
    "pass_user_headers",
    "prefer_email_to_user",
    "reverse_proxy",
    "force_https",
    "force_json_errors",
    "proxy_websockets",
    "ssl_insecure_skip_verify",
    "ssl_upstream_insecure_skip_verify",
    "insecure_oidc_allow_unverified_email",
    "insecure_oidc_skip_issuer_verification",
    "insecure_oidc_skip_nonce",
    "request_logging",
    "auth_logging",
    "standard_logging",
    "silence_ping_logging",
    "session_cookie_minimal",
];

impl Options {
    pub(in crate::import) fn new(place: &str) -> Self {
        Self { place: place.to_owned(), ..Self::default() }
    }

    pub(super) fn add(&mut self, name: &str, values: Vec<String>) {
        let name = name.to_ascii_lowercase().replace('-', "_");
        let plural = LISTS.iter().find(|(flag, _)| *flag == name).map(|(_, key)| *key);
        let name = plural.map_or(name, str::to_owned);
        match self.values.iter_mut().find(|known| known.name == name) {
            Some(known) if is_list(&name) => known.values.extend(values),
            Some(known) => known.values = values,
            None => self.values.push(Setting { name, values, place: self.place.clone() }),
        }
    }

    /// Adds a text, in which a list has commas.
    pub(super) fn add_text(&mut self, name: &str, text: &str) {
        let key = name.to_ascii_lowercase().replace('-', "_");
        let key = LISTS.iter().find(|(flag, _)| *flag == key).map_or(key.as_str(), |(_, key)| key);
        let parts = |text: &str| text.split(',').map(|part| part.trim().to_owned()).collect();
        self.add(key, if is_list(key) { parts(text) } else { vec![text.to_owned()] });
    }

    /// Variables `OAUTH2_PROXY_…`. Returns whether there is one.
    pub(in crate::import) fn add_variables<'v>(
        &mut self,
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) -> bool {
        let mut found = false;
        for (name, value) in variables {
            if let Some(option) = name.strip_prefix("OAUTH2_PROXY_") {
                self.add_text(option, value);
                found = true;
            }
        }
        found
    }

    /// Flags of a command. Words that belong to no flag are returned.
    pub(in crate::import) fn add_flags(&mut self, words: &[String]) -> Vec<String> {
        let mut rest = words;
        let mut others = Vec::new();
        while let [word, after @ ..] = rest {
            rest = after;
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                others.push(word.clone());
                continue;
            };
            match (flag.split_once('='), after) {
                (Some((name, value)), _) => self.add_text(name, value),
                (None, [value, more @ ..])
                    if !SWITCHES.contains(&flag.replace('-', "_").as_str())
                        && !value.starts_with("--") =>
                {
                    self.add_text(flag, value);
                    rest = more;
                }
                _ => self.add_text(flag, "true"),
            }
        }
        others
    }

    /// A `.cfg`, which is TOML. Returns the path in `alpha_config`, if there is one.
    pub(in crate::import) fn add_toml(&mut self, table: &toml::Table) {
        for (name, value) in table {
            let values = match value {
                toml::Value::Array(items) => items.iter().map(text).collect(),
                toml::Value::String(one) => {
                    self.add_text(name, one);
                    continue;
                }
                other => vec![text(other)],
            };
            self.add(name, values);
        }
    }

    /// The values of later sources win.
    pub(super) fn merge(&mut self, other: Self) {
        for setting in other.values {
            match self.values.iter_mut().find(|known| known.name == setting.name) {
                Some(known) => *known = setting,
                None => self.values.push(setting),
            }
        }
        self.routes.extend(other.routes);
        self.identity.extend(other.identity);
        self.remarks.remarks.extend(other.remarks.remarks);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.routes.is_empty()
    }

    /// The first value that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.list(name).first().copied()
    }

    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        let values = self.values.iter().filter(|known| known.name == name);
        let values = values.flat_map(|known| &known.values);
        values.map(String::as_str).filter(|value| !value.is_empty()).collect()
    }

    /// Where an option is written; for one that is not, where the options are from.
    pub(super) fn place_of(&self, name: &str) -> &str {
        let known = self.values.iter().find(|known| known.name == name);
        known.map_or(&self.place, |known| &known.place)
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "t"))
    }

    pub(super) fn is_off(&self, name: &str) -> bool {
        self.get(name).is_some() && !self.is_on(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|known| known.name.as_str())
    }
}

fn is_list(name: &str) -> bool {
    LISTS.iter().any(|(_, key)| *key == name) || name == "extra_jwt_issuers"
}

fn text(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_write_an_option_are_one() {
        let mut variables = Options::new("x");
        assert!(
            variables.add_variables([("OAUTH2_PROXY_EMAIL_DOMAINS", "a.org, b.org"), ("X", "")])
        );
        let mut flags = Options::new("x");
        let words = ["--email-domain=a.org", "-email-domain", "b.org", "--reverse-proxy", "rest"];
        let others = flags.add_flags(&words.map(str::to_owned));
        assert_eq!(others, ["rest"]);
        assert!(flags.is_on("reverse_proxy"));
        let mut file = Options::new("x");
        file.add_toml(
            &"email_domains = [\"a.org\", \"b.org\"]\ncookie_secure = false".parse().unwrap(),
        );
        assert!(file.is_off("cookie_secure") && !file.is_off("pass_access_token"));
        for options in [&variables, &flags, &file] {
            assert_eq!(options.list("email_domains"), ["a.org", "b.org"]);
        }
        file.merge(flags);
        assert_eq!(file.list("email_domains"), ["a.org", "b.org"]);
    }
}
