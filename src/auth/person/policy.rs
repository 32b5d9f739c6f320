//! Access policy: decides from groups, roles, addresses and claims whether a person may open an
//! app.
//!
//! The policy fails closed: a claim that is missing matches no list.

use serde_json::Value;

use super::claims;
use super::identity::Person;
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
    if deny.is_some_and(|deny| unmet(deny, person, Purpose::ShutOut).is_none()) {
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
/// met.
pub(crate) fn missing(constraints: &Constraints, person: &Person) -> Option<String> {
    unmet(constraints, person, Purpose::Admit)
}

/// What constraints decide. Both fail closed: an admission needs an exact match with what the issuer
/// vouches for; an exclusion ignores letter case and also counts an unverified address, because
/// people could avoid it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// `access`
    Admit,
    /// `deny`
    ShutOut,
}

impl Purpose {
    fn same(self, a: &str, b: &str) -> bool {
        a == b || self == Self::ShutOut && folded(a) == folded(b)
    }

    /// The address that counts.
    fn email(self, person: &Person) -> Option<&str> {
        match self {
            Self::Admit => person.email.known(),
            Self::ShutOut => person.email.claimed(),
        }
    }
}

/// Text without its letter case and without blanks around it.
fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}

fn unmet(constraints: &Constraints, person: &Person, purpose: Purpose) -> Option<String> {
    let Constraints { groups, roles, emails, email_domains, claims } = constraints;
    let email = purpose.email(person);
    if !groups.is_empty() && !in_group(groups, person, purpose) {
        return Some(one_of("group", groups));
    }
    if !roles.is_empty() && !has_role(roles, person, purpose) {
        return Some(one_of("role", roles));
    }
    if !emails.is_empty() && !email.is_some_and(|email| is_listed(emails, email, purpose)) {
        return Some("an e-mail address that is on the list".to_owned());
    }
    if !email_domains.is_empty() && !email.is_some_and(|email| is_at(email_domains, email, purpose))
    {
        return Some(format!("an e-mail address at {}", email_domains.join(" or ")));
    }
    let claim = claims.iter().find(|(name, accepted)| !has_claim(name, accepted, person, purpose));
    claim.map(|(name, _)| format!("an accepted value of the claim {name}"))
}

fn one_of(what: &str, names: &[String]) -> String {
    match names {
        [name] => format!("the {what} {name}"),
        names => format!("one of the {what}s {}", names.join(", ")),
    }
}

fn in_group(groups: &[String], person: &Person, purpose: Purpose) -> bool {
    let is_theirs = |wanted: &String| {
        person.groups.iter().any(|group| purpose.same(plain(wanted), plain(group)))
    };
    groups.iter().any(is_theirs)
}

/// A group without the leading `/` of a top-level group. Keycloak writes such a group as `/name` or
/// as `name`, depending on "Full group path" in its mapper. Deeper paths are compared as a whole:
/// `/a/admin` and `/b/admin` are different groups.
fn plain(group: &str) -> &str {
    group.strip_prefix('/').filter(|rest| !rest.contains('/')).unwrap_or(group)
}

fn has_role(roles: &[String], person: &Person, purpose: Purpose) -> bool {
    roles.iter().any(|role| person.roles.iter().any(|theirs| purpose.same(role, theirs)))
}

/// Local part and domain of an address; `None` unless it has exactly one `@` with text on both
/// sides.
fn address(email: &str) -> Option<(&str, &str)> {
    let (local, domain) = email.split_once('@')?;
    (!local.is_empty() && !domain.is_empty() && !domain.contains('@')).then_some((local, domain))
}

fn is_listed(emails: &[String], email: &str, purpose: Purpose) -> bool {
    if purpose == Purpose::ShutOut {
        return emails.iter().any(|listed| purpose.same(listed, email));
    }
    let Some((local, domain)) = address(email) else { return false };
    emails
        .iter()
        .filter_map(|listed| address(listed))
        .any(|(theirs, at)| theirs == local && at.eq_ignore_ascii_case(domain))
}

/// Domains are exact. An address with more than one `@` belongs to no domain; for an exclusion it
/// belongs to each of them.
fn is_at(domains: &[String], email: &str, purpose: Purpose) -> bool {
    if purpose == Purpose::ShutOut {
        let mut parts = email.split('@').skip(1).map(|part| part.trim().trim_end_matches('.'));
        return parts.any(|part| domains.iter().any(|listed| purpose.same(listed, part)));
    }
    let Some((_, domain)) = address(email) else { return false };
    domains.iter().any(|listed| listed.eq_ignore_ascii_case(domain))
}

/// Whether the claim is an accepted value, or a list that contains one. Numbers and truth values
/// are compared by their text. An unverified address admits nobody, whatever claim holds it.
fn has_claim(name: &str, accepted: &[String], person: &Person, purpose: Purpose) -> bool {
    let unverified = person.email.claimed().filter(|_| person.email.is_unverified()).map(folded);
    let counts = |text: &str| {
        purpose == Purpose::ShutOut || unverified.as_ref().is_none_or(|bad| *bad != folded(text))
    };
    let is_accepted = |value: &Value| match value {
        Value::String(text) => counts(text) && accepted.iter().any(|one| purpose.same(one, text)),
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
    fn deny_matches_an_unverified_address() {
        let deny = Constraints { emails: texts(&["m@x.example"]), ..Constraints::default() };
        let mallory = person(json!({"email": "m@x.example", "email_verified": false}));
        let verdict = decide(&Access::SignedIn, Some(&deny), Some(&mallory));
        assert!(matches!(verdict, Verdict::Deny(_)));
        let other = person(json!({"email": "a@x.example"}));
        assert_eq!(decide(&Access::SignedIn, Some(&deny), Some(&other)), Verdict::Allow);
    }

    #[test]
    fn deny_ignores_letter_case_in_every_kind_of_constraint() {
        let claims = json!({
            "email": "Mallory@X.example", "groups": ["/Interns"], "department": "SALES",
            "realm_access": {"roles": ["Guest"]}, "teams": ["Red"],
        });
        let claim = |name: &str, value: &str| Constraints {
            claims: [(name.to_owned(), texts(&[value]))].into(),
            ..Constraints::default()
        };
        let emails = |list: &[&str]| Constraints { emails: texts(list), ..Constraints::default() };
        let domains =
            |list: &[&str]| Constraints { email_domains: texts(list), ..Constraints::default() };
        let roles = |list: &[&str]| Constraints { roles: texts(list), ..Constraints::default() };
        let shuts_out = |deny: Constraints, claims: &Value| {
            decide(&Access::SignedIn, Some(&deny), Some(&person(claims.clone()))) != Verdict::Allow
        };
        for deny in [
            emails(&["mallory@x.example"]),
            emails(&["MALLORY@x.EXAMPLE"]),
            domains(&["x.EXAMPLE"]),
            groups(&["interns"]),
            groups(&["/INTERNS"]),
            roles(&["guest"]),
            claim("department", "sales"),
            claim("teams", "rED"),
        ] {
            assert!(shuts_out(deny.clone(), &claims), "{deny:?}");
        }
        for deny in [emails(&["mallory@y.example"]), domains(&["example"]), groups(&["intern"])] {
            assert!(!shuts_out(deny.clone(), &claims), "{deny:?}");
        }
        for email in ["m@evil.example@x.example", "m@x.example@evil.example", "m@X.example."] {
            assert!(shuts_out(domains(&["x.example"]), &json!({"email": email})), "{email}");
        }
        assert!(!shuts_out(domains(&["x.example"]), &json!({"email": "m@notx.example"})));
        // What admits is exact as before.
        assert!(!allows(groups(&["interns"]), claims.clone()));
        assert!(!allows(claim("department", "sales"), claims));
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
