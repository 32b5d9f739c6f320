//! A route that a source describes: where requests come in, where they go, and who may send them.

use super::draft::Table;
use super::value::Value;

/// Where requests are sent: the address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// `http://host:port` or `unix:/path`, as `upstream` takes it.
    pub(super) url: String,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// The path of the URL, if it has one.
    pub(super) path: Option<String>,
}

impl Target {
    /// Reads a URL. `None` if it is none that the appliance can use.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(socket) =
            text.strip_prefix("unix:").or_else(|| text.strip_prefix("http://unix:"))
        {
            let (socket, path) = socket.split_once(':').unwrap_or((socket, ""));
            let url = format!("unix:/{}", socket.trim_start_matches('/'));
            let path = Some(path).filter(|path| !path.is_empty()).map(str::to_owned);
            return Some(Self { url, host: String::new(), port: None, path });
        }
        let url = url::Url::parse(text).ok()?;
        let is_http = matches!(url.scheme(), "http" | "https");
        let host = url.host_str().filter(|_| is_http)?.to_owned();
        let port = url.port_or_known_default();
        let shown = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        // `http://host` has no path, `http://host/` has one: nginx tells them apart.
        let (_, rest) = text.split_once("://")?;
        let path = rest.find('/').map(|at| rest[at..].split(['?', '#']).next().unwrap_or("/"));
        Some(Self {
            url: format!("{}://{host}{shown}", url.scheme()),
            host,
            port,
            path: path.map(str::to_owned),
        })
    }

    /// Whether it is on the machine of the source: a program of supervisord can be behind it.
    pub(super) fn is_local(&self) -> bool {
        let names = ["localhost", "127.0.0.1", "0.0.0.0", "[::1]", "host.docker.internal"];
        names.contains(&self.host.as_str()) || self.host.starts_with("127.")
    }
}

/// Who may send requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Access {
    /// What `[access] default` says.
    #[default]
    Default,
    Public,
    /// `{ groups = […], emails = […] }`
    Limited(Vec<(String, Vec<String>)>),
}

impl Access {
    /// As the value of `access`, without what `[access] default` adds; `None` for the default.
    pub(super) fn value(&self) -> Option<Value> {
        match self {
            Self::Default => None,
            Self::Public => Some("public".into()),
            Self::Limited(kinds) => Some(Value::table(
                kinds.iter().map(|(kind, values)| (kind.clone(), Value::list(values.clone()))),
            )),
        }
    }

    /// As the value of `access` of an app or a rule, where `default` is that of `[access]`. A rule always
    /// has this value: without one it would have the policy of its app, which can be wider.
    pub(super) fn written(&self, default: Option<&Value>) -> Value {
        match (self.value(), default) {
            (None, default) => default.cloned().unwrap_or_else(|| "signed-in".into()),
            // oauth2-proxy asked for the constraints of a location on top of its own.
            (Some(Value::Table(mut all)), Some(Value::Table(default))) => {
                for (kind, values) in default {
                    if all.iter().all(|(known, _)| known != kind) {
                        all.push((kind.clone(), values.clone()));
                    }
                }
                Value::Table(all)
            }
            (Some(own), _) => own,
        }
    }
}

/// One entry of `rules`, with a path of the whole site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) path: String,
    pub(super) methods: Vec<String>,
    /// `None`: the policy stays, and `api` is set.
    pub(super) access: Option<Access>,
}

impl Rule {
    /// The rule as one of the app with this path; `None` if it is about other paths. `default` is that of
    /// `[access]`.
    pub(super) fn for_app(&self, app: &str, default: Option<&Value>) -> Option<Value> {
        let app = app.trim_end_matches('/');
        let below = |path: &str| path.is_empty() || path.starts_with('/');
        let path = match self.path.strip_prefix(app).filter(|rest| below(rest)) {
            Some("") => "/".to_owned(),
            Some(rest) => rest.to_owned(),
            // `/**` is about every app.
            None => {
                let before = self.path.strip_suffix("/**")?;
                app.strip_prefix(before).filter(|rest| below(rest))?;
                "/**".to_owned()
            }
        };
        let mut entries = vec![("path".to_owned(), Value::from(path))];
        if !self.methods.is_empty() {
            entries.push(("methods".to_owned(), Value::list(self.methods.clone())));
        }
        match &self.access {
            Some(access) => entries.push(("access".to_owned(), access.written(default))),
            None => entries.push(("api".to_owned(), true.into())),
        }
        Some(Value::Table(entries))
    }
}

/// One route.
#[derive(Debug, Clone, Default)]
pub(super) struct Route {
    pub(super) place: String,
    pub(super) host: Option<String>,
    /// The prefix, without a slash at its end; `/` for all.
    pub(super) path: String,
    /// Only this path, and nothing below it.
    pub(super) is_exact: bool,
    pub(super) targets: Vec<Target>,
    pub(super) access: Access,
    /// Every setting that needs no more thought: `strip_prefix`, `max_body`, `timeout`, `identity`.
    pub(super) table: Table,
    pub(super) rules: Vec<Rule>,
}

/// The prefix as `path` takes it.
pub(super) fn prefix(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_addresses_and_a_path() {
        let of = |text: &str| {
            let target = Target::parse(text)?;
            Some((target.url.clone(), target.port, target.path.clone(), target.is_local()))
        };
        let none = None::<String>;
        for (text, url, port, path, local) in [
            ("http://localhost:8501", "http://localhost:8501", Some(8501), none.clone(), true),
            ("http://localhost:8501/", "http://localhost:8501", Some(8501), Some("/".into()), true),
            ("http://api/v1?x=1", "http://api", Some(80), Some("/v1".into()), false),
            ("https://x.org:444/a", "https://x.org:444", Some(444), Some("/a".into()), false),
            ("http://unix:/run/a.sock:/b", "unix:/run/a.sock", None, Some("/b".into()), false),
        ] {
            assert_eq!(of(text), Some((url.to_owned(), port, path, local)), "{text}");
        }
        for bad in ["file:///srv", "static://202", "", "$backend", "http://"] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn rules_become_relative_to_their_app() {
        let rule = |path: &str| Rule {
            path: path.to_owned(),
            methods: Vec::new(),
            access: Some(Access::Public),
        };
        for (path, app, relative) in [
            ("/health", "/", Some("/health")),
            ("/app1/static/**", "/app1", Some("/static/**")),
            ("/app1", "/app1/", Some("/")),
            ("/**", "/app1", Some("/**")),
            ("/app1/**", "/app1", Some("/**")),
            ("/app1/**", "/app10", None),
            ("/app2", "/app1", None),
        ] {
            let found = rule(path).for_app(app, None).map(|value| value.to_string());
            let expected = relative.map(|p| format!("{{ path = \"{p}\", access = \"public\" }}"));
            assert_eq!(found, expected, "{path} of {app}");
        }
    }

    #[test]
    fn a_rule_always_says_who_may_open_it() {
        let limited = |kind: &str, value: &str| {
            Access::Limited(vec![(kind.to_owned(), vec![value.to_owned()])])
        };
        let default = limited("email_domains", "a.org").value();
        for (access, default, written) in [
            (Access::Default, None, r#""signed-in""#),
            (Access::Default, default.as_ref(), r#"{ email_domains = ["a.org"] }"#),
            (Access::Public, None, r#""public""#),
            (Access::Public, default.as_ref(), r#""public""#),
            (limited("groups", "g"), None, r#"{ groups = ["g"] }"#),
            (
                limited("groups", "g"),
                default.as_ref(),
                r#"{ groups = ["g"], email_domains = ["a.org"] }"#,
            ),
            (
                limited("email_domains", "b.org"),
                default.as_ref(),
                r#"{ email_domains = ["b.org"] }"#,
            ),
        ] {
            assert_eq!(access.written(default).to_string(), written);
            let rule = Rule { path: "/x".into(), methods: Vec::new(), access: Some(access) };
            let rule = rule.for_app("/", default).unwrap().to_string();
            assert_eq!(rule, format!(r#"{{ path = "/x", access = {written} }}"#));
        }
    }
}
