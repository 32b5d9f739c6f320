//! The answer, as `--json` prints it.

use serde::Serialize;
use serde_json::Value;

use crate::auth::Person;
use crate::auth::finding::{Purpose, findings};
use crate::auth::policy::{Reason, Verdict};
use crate::config::{Config, Constraints};
use crate::proxy::{Judged, PolicySource, Ruling, TrialRequest};

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) allowed: bool,
    /// The word of `reason_code`.
    pub(super) reason: &'static str,
    /// The reason for people.
    pub(super) why: String,
    pub(super) method: String,
    pub(super) host: String,
    pub(super) path: String,
    /// The app that gets the request.
    pub(super) app: Option<String>,
    /// The user name of the person.
    pub(super) user: Option<String>,
    /// The policies that must allow the request. The one that decides comes first.
    pub(super) policies: Vec<Policy>,
    /// Where in the claims the parts of a person are.
    pub(super) claims: Option<Claims>,
}

/// A policy of the configuration.
#[derive(Debug, Serialize)]
pub(super) struct Policy {
    pub(super) allowed: bool,
    pub(super) reason: &'static str,
    /// The key in the configuration file.
    pub(super) key: String,
    /// Its line; `None` if the policy is not written there.
    pub(super) line: Option<usize>,
    /// The policy as TOML.
    pub(super) text: String,
    /// The `deny` of the app as TOML.
    pub(super) deny: Option<String>,
    /// The tables of `deny`, then those of the policy; empty for somebody who is not signed in.
    pub(super) tables: Vec<Table>,
}

/// A table of a policy.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    /// `access` or `deny`
    pub(super) of: &'static str,
    /// Its number in the list, from 1.
    pub(super) number: usize,
    pub(super) met: bool,
    pub(super) keys: Vec<Compared>,
}

/// A key of a table, and how it was compared.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    pub(super) key: String,
    pub(super) met: bool,
    pub(super) values: Vec<String>,
    /// The values that match.
    pub(super) matched: Vec<String>,
    /// The claim that was compared.
    pub(super) claim: String,
    /// Its value.
    pub(super) found: Option<Value>,
    pub(super) note: Option<&'static str>,
}

/// The claims that `[oidc]` names.
#[derive(Debug, Serialize)]
pub(super) struct Claims {
    pub(super) user: String,
    pub(super) email: String,
    pub(super) groups: String,
    pub(super) roles: String,
    /// Only groups that begin with it count, and they lose it.
    pub(super) groups_prefix: Option<String>,
}

impl Report {
    pub(super) fn new(
        config: &Config,
        request: TrialRequest<'_>,
        ruling: &Ruling,
        person: Option<&Person>,
    ) -> Self {
        let (app, judged) = match ruling {
            Ruling::Policies { app, judged } => (app.as_ref(), judged.as_slice()),
            Ruling::Refused { .. } | Ruling::Own => (None, &[][..]),
        };
        let mut policies: Vec<_> =
            judged.iter().map(|one| Policy::new(config, one, person)).collect();
        // The sort is stable: without a refusal, the policy of the path as it was sent decides.
        policies.sort_by_key(|policy| policy.allowed);
        let deciding = judged.iter().find(|one| one.verdict != Verdict::Allow).or(judged.first());
        let (allowed, reason, why) = match ruling {
            Ruling::Refused { reason, text } => (false, *reason, text.clone()),
            Ruling::Own | Ruling::Policies { .. } => match deciding.zip(policies.first()) {
                Some((one, policy)) => (policy.allowed, policy.reason, why(one, policy)),
                None => (true, "own", "the appliance itself answers this path".to_owned()),
            },
        };
        Self {
            allowed,
            reason,
            why,
            method: request.method.to_string(),
            host: request.host.to_owned(),
            path: request.path.to_owned(),
            app: app.map(ToString::to_string),
            user: None,
            policies,
            claims: config.oidc.as_ref().map(|oidc| Claims {
                user: oidc.user_claim.clone(),
                email: oidc.email_claim.clone(),
                groups: oidc.groups_claim.clone(),
                roles: oidc.roles_claim.clone(),
                groups_prefix: oidc.groups_prefix.clone(),
            }),
        }
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).map(|text| text + "\n").unwrap_or_default()
    }
}

impl Policy {
    fn new(config: &Config, one: &Judged, person: Option<&Person>) -> Self {
        let (key, line) = place(config, one);
        let rule = match &one.source {
            PolicySource::Rule(app, number) => {
                let route = config.app(app.as_str()).and_then(|app| app.route.as_ref());
                route.and_then(|route| route.rules.get(*number))
            }
            PolicySource::App(_) | PolicySource::Operators | PolicySource::AppOperators(_) => None,
        };
        let deny = tables("deny", &one.deny, person, Purpose::Deny);
        let access = tables("access", one.access.tables(), person, Purpose::Access);
        Self {
            allowed: one.verdict == Verdict::Allow,
            reason: one.reason().as_str(),
            key,
            line,
            text: rule
                .map_or_else(|| config.access_text(&one.access), |rule| config.rule_text(rule)),
            deny: (!one.deny.is_empty()).then(|| config.deny_text(&one.deny)),
            tables: deny.chain(access).collect(),
        }
    }
}

/// The key that decides, and its line.
fn place(config: &Config, one: &Judged) -> (String, Option<usize>) {
    let is_denied = one.reason() == Reason::Denied;
    match &one.source {
        PolicySource::Operators => {
            let key = ["server", "operators"];
            (key.join("."), config.line_of(&key))
        }
        PolicySource::AppOperators(app) => {
            let key = ["apps", app.as_str(), "operators"];
            (key.join("."), config.line_of(&key))
        }
        PolicySource::App(app) | PolicySource::Rule(app, _) if is_denied => {
            let key = ["apps", app.as_str(), "deny"];
            (key.join("."), config.line_of(&key))
        }
        PolicySource::Rule(app, number) => {
            let key = format!("apps.{app}.rules[{number}]");
            let number = number.to_string();
            (key, config.line_of(&["apps", app.as_str(), "rules", &number]))
        }
        PolicySource::App(app) => {
            let key = ["apps", app.as_str(), "access"];
            let issuer = config.oidc.as_ref().and_then(|oidc| oidc.served_by.as_ref());
            match config.line_of(&key) {
                // The preset of the issuer has a policy of its own.
                None if issuer != Some(app) => {
                    ("access.default".to_owned(), config.line_of(&["access", "default"]))
                }
                line => (key.join("."), line),
            }
        }
    }
}

fn tables<'a>(
    of: &'static str,
    tables: &'a [Constraints],
    person: Option<&'a Person>,
    purpose: Purpose,
) -> impl Iterator<Item = Table> + 'a {
    let both = person
        .into_iter()
        .flat_map(move |person| tables.iter().map(move |table| findings(table, person, purpose)));
    both.enumerate().map(move |(at, found)| Table {
        of,
        number: at + 1,
        met: found.iter().all(|one| one.is_met),
        keys: found
            .into_iter()
            .map(|one| Compared {
                key: one.key,
                met: one.is_met,
                values: one.values.to_vec(),
                matched: one.matched.into_iter().map(str::to_owned).collect(),
                claim: one.claim.to_owned(),
                found: one.found.cloned(),
                note: one.note,
            })
            .collect(),
    })
}

/// The reason for people.
fn why(one: &Judged, policy: &Policy) -> String {
    let met = |of| {
        let table = policy.tables.iter().find(|table| table.of == of && table.met);
        let keys = table.into_iter().flat_map(|table| &table.keys);
        let keys: Vec<_> =
            keys.map(|key| format!("{} has {}", key.key, key.matched.join(", "))).collect();
        let number = table.map_or(1, |table| table.number);
        format!("table {number} of {of} is met: {}", keys.join("; "))
    };
    match (&one.verdict, one.reason()) {
        (Verdict::Allow, Reason::Public) => "everybody has access".to_owned(),
        (Verdict::Allow, Reason::SignedIn) => "everybody who is signed in has access".to_owned(),
        (Verdict::Allow, _) => met("access"),
        (Verdict::SignIn, _) => {
            "nobody is signed in, and only signed-in people have access".to_owned()
        }
        (Verdict::Deny(_), Reason::Denied) => met("deny"),
        (Verdict::Deny(lack), _) => format!("the person needs {}", lack.what),
    }
}
