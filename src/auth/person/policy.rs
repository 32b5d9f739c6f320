//! Access policy: decides from groups, roles, addresses and claims whether a person may open an
//! app.
//!
//! The policy fails closed: a claim that is missing matches no list.

use serde_json::Value;

use super::claims::plain_group;
use super::identity::Person;
use super::{claims, email, exclusion};
use crate::config::{Access, Constraints};

/// The decision about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The request may go on.
    Allow,
    /// The request has no session and the app needs one.
    SignIn,
    /// This person may not. Holds what the person lacks, as a phrase for the error page:
    /// `the group group2`.
    Deny(String),
}

/// Decides whether `person`, or a request without a session, may pass `access` and is not matched
/// by `deny`.
pub fn decide(access: &Access, deny: Option<&Constraints>, person: Option<&Person>) -> Verdict {
    let Some(person) = person else {
        return if *access == Access::Public { Verdict::Allow } else { Verdict::SignIn };
    };
    if deny.is_some_and(|deny| exclusion::matches(deny, person)) {
        return Verdict::Deny("an account that is not excluded".to_owned());
    }
    match access {
        Access::Public | Access::SignedIn => Verdict::Allow,
        Access::Only(constraints) => match missing(constraints, person) {
            None => Verdict::Allow,
            Some(what) => Verdict::Deny(what),
        },
    }
}

/// The first constraint that the person does not meet, as a phrase for people; `None` if all are
/// met. A value must be exactly what the issuer vouches for.
pub(crate) fn missing(constraints: &Constraints, person: &Person) -> Option<String> {
    let Constraints { groups, roles, emails, email_domains, claims } = constraints;
    let email = person.email.known();
    if !groups.is_empty() && !in_group(groups, person) {
        return Some(one_of("group", groups));
    }
    if !roles.is_empty() && !roles.iter().any(|role| person.roles.contains(role)) {
        return Some(one_of("role", roles));
    }
    if !emails.is_empty() && !email.is_some_and(|email| is_listed(emails, email)) {
        return Some("an e-mail address that is on the list".to_owned());
    }
    if !email_domains.is_empty() && !email.is_some_and(|email| is_at(email_domains, email)) {
        return Some(format!("an e-mail address at {}", email_domains.join(" or ")));
    }
    let claim = claims.iter().find(|(name, accepted)| !has_claim(name, accepted, person));
    claim.map(|(name, _)| format!("an accepted value of the claim {name}"))
}

fn one_of(what: &str, names: &[String]) -> String {
    match names {
        [name] => format!("the {what} {name}"),
        names => format!("one of the {what}s {}", names.join(", ")),
    }
}

fn in_group(groups: &[String], person: &Person) -> bool {
    let is_theirs = |wanted: &String| {
        person.groups.iter().any(|group| plain_group(wanted) == plain_group(group))
    };
    groups.iter().any(is_theirs)
}

/// Local part and domain of an address; `None` unless it has exactly one `@` with text on both
/// sides.
fn address(email: &str) -> Option<(&str, &str)> {
    let (local, domain) = email.split_once('@')?;
    (!local.is_empty() && !domain.is_empty() && !domain.contains('@')).then_some((local, domain))
}

fn is_listed(emails: &[String], email: &str) -> bool {
    let Some((local, domain)) = address(email) else { return false };
    emails
        .iter()
        .filter_map(|listed| address(listed))
        .any(|(theirs, at)| theirs == local && at.eq_ignore_ascii_case(domain))
}

/// Domains are exact. An address with more than one `@` belongs to no domain.
fn is_at(domains: &[String], email: &str) -> bool {
    let Some((_, domain)) = address(email) else { return false };
    domains.iter().any(|listed| listed.eq_ignore_ascii_case(domain))
}

/// Whether the claim is an accepted value, or a list that contains one. Numbers and truth values
/// are compared by their text. An unverified address admits nobody, whatever claim holds it.
fn has_claim(name: &str, accepted: &[String], person: &Person) -> bool {
    let is_accepted = |value: &Value| match value {
        Value::String(text) => {
            accepted.contains(text)
                && !email::is_unverified(&person.claims, &person.paths.email, text)
        }
        Value::Number(_) | Value::Bool(_) => accepted.contains(&value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    match claims::at(&person.claims, name) {
        Some(Value::Array(values)) => values.iter().any(is_accepted),
        Some(value) => is_accepted(value),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::person::fixtures::person;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn allows(constraints: Constraints, claims: Value) -> bool {
        decide(&Access::Only(constraints), None, Some(&person(claims))) == Verdict::Allow
    }

    fn groups(list: &[&str]) -> Constraints {
        Constraints { groups: texts(list), ..Constraints::default() }
    }

    #[test]
    fn without_a_session_only_public_apps_are_open() {
        assert_eq!(decide(&Access::Public, None, None), Verdict::Allow);
        assert_eq!(decide(&Access::SignedIn, None, None), Verdict::SignIn);
        assert_eq!(decide(&Access::Only(groups(&["g"])), None, None), Verdict::SignIn);
    }

    #[test]
    fn groups_match_exactly_except_for_the_slash_of_a_top_level_group() {
        for (wanted, theirs, want) in [
            ("group2", json!(["group1", "group2"]), true),
            ("/group2", json!(["group2"]), true),
            ("group2", json!(["/group2"]), true),
            ("/a/admin", json!(["/a/admin"]), true),
            ("/a/admin", json!(["/b/admin"]), false),
            ("a/admin", json!(["/a/admin"]), false),
            ("admin", json!(["/a/admin"]), false),
            ("group", json!(["group2"]), false),
            ("GROUP2", json!(["group2"]), false),
            ("group2", json!("group2"), false),
            ("group2", json!("group1,group2"), false),
            ("group2", json!(["group1,group2"]), false),
            ("group2", json!(null), false),
            ("group2", json!({"group2": true}), false),
        ] {
            assert_eq!(allows(groups(&[wanted]), json!({"groups": theirs})), want, "{theirs}");
        }
    }

    #[test]
    fn roles_and_groups_are_separate() {
        let roles = |list: &[&str]| Constraints { roles: texts(list), ..Constraints::default() };
        let bob = json!({"groups": ["staff"], "realm_access": {"roles": ["admin"]}});
        assert!(allows(roles(&["admin"]), bob.clone()));
        assert!(!allows(groups(&["admin", "role:admin"]), bob.clone()));
        assert!(!allows(roles(&["staff"]), bob));
    }

    #[test]
    fn every_constraint_must_be_met() {
        let both = Constraints { roles: texts(&["admin"]), ..groups(&["staff"]) };
        assert!(!allows(both.clone(), json!({"groups": ["staff"]})));
        let admin = json!({"groups": ["staff"], "realm_access": {"roles": ["admin"]}});
        assert!(allows(both, admin));
    }

    #[test]
    fn domains_match_exactly_after_a_single_at_sign() {
        let at = Constraints { email_domains: texts(&["example.com"]), ..Constraints::default() };
        for (email, want) in [
            ("a@example.com", true),
            ("A@EXAMPLE.COM", true),
            ("a@evilexample.com", false),
            ("a@sub.example.com", false),
            ("a@example.com.evil.org", false),
            ("a@evil.org@example.com", false),
            ("a@example.com@evil.org", false),
            ("example.com", false),
            ("@example.com", false),
            ("a@example.com ", false),
            ("", false),
        ] {
            assert_eq!(allows(at.clone(), json!({"email": email})), want, "{email}");
        }
        assert!(!allows(at.clone(), json!({})));
        assert!(!allows(at, json!({"email": "a@example.com", "email_verified": false})));
    }

    #[test]
    fn addresses_match_as_a_whole_and_only_the_domain_ignores_case() {
        let only = Constraints { emails: texts(&["Al@example.com"]), ..Constraints::default() };
        assert!(allows(only.clone(), json!({"email": "Al@EXAMPLE.com"})));
        assert!(!allows(only.clone(), json!({"email": "al@example.com"})));
        assert!(!allows(only, json!({"email": "l@example.com"})));
    }

    #[test]
    fn a_claim_matches_by_its_value_or_by_a_member() {
        let claim = |name: &str, accepted: &[&str]| Constraints {
            claims: [(name.to_owned(), texts(accepted))].into(),
            ..Constraints::default()
        };
        let claims = json!({"d": "sales", "t": ["w", "x"], "n": 3, "deep": {"er": "y"}});
        assert!(allows(claim("d", &["sales", "board"]), claims.clone()));
        assert!(allows(claim("t", &["x"]), claims.clone()));
        assert!(allows(claim("n", &["3"]), claims.clone()));
        assert!(allows(claim("deep.er", &["y"]), claims.clone()));
        assert!(!allows(claim("d", &["sale"]), claims.clone()));
        assert!(!allows(claim("none", &["x"]), claims.clone()));
        assert!(!allows(claim("deep", &["y"]), claims));
    }

    #[test]
    fn an_unverified_address_admits_nobody_by_another_name() {
        let by = |name: &str| Constraints {
            claims: [(name.to_owned(), texts(&["ceo@corp.example"]))].into(),
            ..Constraints::default()
        };
        let claims = |verified: bool| {
            json!({"email": "ceo@corp.example", "mails": ["ceo@corp.example"],
                "email_verified": verified})
        };
        for name in ["email", "mails"] {
            assert!(!allows(by(name), claims(false)), "{name}");
            assert!(allows(by(name), claims(true)), "{name}");
        }
    }

    #[test]
    fn a_denial_names_what_is_missing() {
        let bob = person(json!({"groups": ["group1"]}));
        let verdict = |constraints| decide(&Access::Only(constraints), None, Some(&bob));
        assert_eq!(verdict(groups(&["group2"])), Verdict::Deny("the group group2".into()));
        let two = verdict(groups(&["a", "b"]));
        assert_eq!(two, Verdict::Deny("one of the groups a, b".into()));
    }
}
