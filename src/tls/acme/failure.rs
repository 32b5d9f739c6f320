//! Why an order failed.

use instant_acme::{Error, Identifier, Problem};

use crate::telemetry::root_cause;

/// The problems of RFC 8555 section 6.7 that a host of the order has, and other hosts need not have.
const OF_HOSTS: [&str; 8] = [
    "caa",
    "connection",
    "dns",
    "incorrectResponse",
    "rejectedIdentifier",
    "tls",
    "unauthorized",
    "unsupportedIdentifier",
];

/// Why there is no certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The problem in the words of the authority, or of the network.
    pub(super) why: String,
    pub(super) about: About,
}

/// What has to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    /// The authority does not know the account.
    Account,
    /// Some of the hosts: these, as far as the authority names them. An order without them can succeed.
    Hosts(Vec<String>),
    /// Anything else, such as the network or a limit of the authority. Another order would fail as well.
    Other,
}

impl Failure {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), about: About::Other }
    }

    /// A failure that these hosts have caused.
    pub(super) fn of_hosts(hosts: Vec<String>, why: impl Into<String>) -> Self {
        Self { why: why.into(), about: About::Hosts(hosts) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let about = match &error {
            Error::Api(problem) => about(problem),
            _ => About::Other,
        };
        let why = root_cause(&error).unwrap_or_else(|| error.to_string());
        Self { why, about }
    }
}

fn about(problem: &Problem) -> About {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    match kind.strip_prefix("urn:ietf:params:acme:error:") {
        Some("accountDoesNotExist") => About::Account,
        Some(kind) if OF_HOSTS.contains(&kind) => {
            let named = problem.subproblems.iter().filter_map(|one| one.identifier.as_ref());
            About::Hosts(named.filter_map(host).collect())
        }
        _ => About::Other,
    }
}

fn host(identifier: &Identifier) -> Option<String> {
    match identifier {
        Identifier::Dns(name) => Some(name.clone()),
        Identifier::Ip(address) => Some(address.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_of_the_account_of_hosts_or_of_all_orders() {
        let hosts = |hosts: &[&str]| About::Hosts(hosts.iter().map(ToString::to_string).collect());
        for (kind, subproblems, wanted) in [
            ("accountDoesNotExist", "[]", About::Account),
            ("rateLimited", "[]", About::Other),
            ("serverInternal", "[]", About::Other),
            ("caa", "[]", hosts(&[])),
            (
                "rejectedIdentifier",
                r#"[{ "identifier": { "type": "dns", "value": "wiki.lan" } }]"#,
                hosts(&["wiki.lan"]),
            ),
        ] {
            let problem = format!(
                r#"{{ "type": "urn:ietf:params:acme:error:{kind}", "subproblems": {subproblems} }}"#
            );
            let problem: Problem = serde_json::from_str(&problem).unwrap();
            assert_eq!(Failure::from(Error::Api(problem)).about, wanted, "{kind}");
        }
        assert_eq!(Failure::from(Error::Str("x")).about, About::Other);
    }
}
