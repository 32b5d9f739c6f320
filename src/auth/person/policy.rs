//! Access policy: decides from groups, roles, addresses and claims whether a person may open an
//! app.
//!
//! The policy fails closed: a claim that is missing matches no list.

use serde_json::Value;

use super::claims::plain_group;
use super::identity::Person;
use super::{claims, email, exclusion};
use crate::config::{Access, Constraint, Constraints, Subject};
use crate::texts::{Message, Text};

pub use super::reason::Reason;

/// The decision about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The request may go on.
    Allow,
    /// The request has no session and the app needs one.
    SignIn,
    /// This person may not.
    Deny(Lack),
}

/// What a person lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The reason for programs.
    pub reason: Reason,
    /// A phrase for people: `the group group2`.
    pub what: Message,
}

impl Verdict {
    /// Why `access` was decided like this.
    pub(crate) fn reason(&self, access: &Access) -> Reason {
        match self {
            Self::Allow => Reason::to_allow(access),
            Self::SignIn => Reason::NotSignedIn,
            Self::Deny(lack) => lack.reason,
        }
    }
}

impl Lack {
    pub(crate) fn new(reason: Reason, what: impl Into<Message>) -> Self {
        Self { reason, what: what.into() }
    }

    /// What somebody lacks who meets none of the tables: the first constraint of each.
    fn of_all(tables: &[Constraints], person: &Person) -> Self {
        let missing: Vec<_> = tables.iter().filter_map(|table| missing(table, person)).collect();
        let mut reasons = missing.iter().map(|one| Reason::to_refuse(one.subject));
        let first = reasons.next().unwrap_or(Reason::NoneMatched);
        let reason = if reasons.all(|one| one == first) { first } else { Reason::NoneMatched };
        let mut phrases = Vec::new();
        for phrase in missing.into_iter().map(phrase) {
            if !phrases.contains(&phrase) {
                phrases.push(phrase);
            }
        }
        let either = |first, second| Text::LackEither.with("first", first).with("second", second);
        let what = phrases.into_iter().reduce(either);
        Self { reason, what: what.unwrap_or_else(|| Text::LackExcluded.into()) }
    }
}

/// Decides whether `person`, or a request without a session, may pass `access` and meets no table of
/// `deny`.
pub fn decide(access: &Access, deny: &[Constraints], person: Option<&Person>) -> Verdict {
    let Some(person) = person else {
        return if *access == Access::Public { Verdict::Allow } else { Verdict::SignIn };
    };
    if deny.iter().any(|table| exclusion::matches(table, person)) {
        return Verdict::Deny(Lack::new(Reason::Denied, Text::LackExcluded));
    }
    match access.tables() {
        [] => Verdict::Allow,
        tables if tables.iter().any(|table| missing(table, person).is_none()) => Verdict::Allow,
        tables => Verdict::Deny(Lack::of_all(tables, person)),
    }
}

/// The first constraint that the person does not meet; `None` if all are met.
pub(crate) fn missing<'c>(table: &'c Constraints, person: &Person) -> Option<Constraint<'c>> {
    table.each().find(|one| !is_met(*one, person))
}

/// Whether the person meets a constraint of `access`. A value must be exactly what the issuer vouches
/// for.
pub(super) fn is_met(Constraint { subject, values }: Constraint<'_>, person: &Person) -> bool {
    let email = person.email.known();
    match subject {
        Subject::Groups => in_group(values, person),
        Subject::Roles => values.iter().any(|role| person.roles.contains(role)),
        Subject::Emails => email.is_some_and(|email| is_listed(values, email)),
        Subject::EmailDomains => email.is_some_and(|email| is_at(values, email)),
        Subject::Claim(name) => has_claim(name, values, person),
    }
}

/// What somebody lacks who does not meet the constraint.
fn phrase(Constraint { subject, values }: Constraint<'_>) -> Message {
    match subject {
        Subject::Groups => one_of(Text::LackGroup, Text::LackGroups, values),
        Subject::Roles => one_of(Text::LackRole, Text::LackRoles, values),
        Subject::Emails => Text::LackEmail.into(),
        Subject::EmailDomains => one_of(Text::LackDomain, Text::LackDomains, values),
        Subject::Claim(name) => Text::LackClaim.with("name", name),
    }
}

fn one_of(one: Text, several: Text, names: &[String]) -> Message {
    match names {
        [name] => one.with("name", name.as_str()),
        names => several.with("names", names.join(", ")),
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
        decide(&Access::Only(constraints), &[], Some(&person(claims))) == Verdict::Allow
    }

    fn groups(list: &[&str]) -> Constraints {
        Constraints { groups: texts(list), ..Constraints::default() }
    }

    #[test]
    fn without_a_session_only_public_apps_are_open() {
        assert_eq!(decide(&Access::Public, &[], None), Verdict::Allow);
        assert_eq!(decide(&Access::SignedIn, &[], None), Verdict::SignIn);
        assert_eq!(decide(&Access::Only(groups(&["g"])), &[], None), Verdict::SignIn);
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

    fn any_of<const N: usize>(tables: [Constraints; N]) -> Access {
        Access::AnyOf(Box::new(tables))
    }

    /// People of a group with an address at `x.example`, and people with a role.
    fn staff_or_admins() -> Access {
        let staff = Constraints { email_domains: texts(&["x.example"]), ..groups(&["staff"]) };
        any_of([staff, Constraints { roles: texts(&["admin"]), ..Constraints::default() }])
    }

    #[test]
    fn of_several_tables_one_must_be_met_as_a_whole() {
        let admin = json!({"roles": ["admin"]});
        for (claims, wanted) in [
            (json!({"groups": ["staff"], "email": "a@x.example"}), true),
            (json!({"realm_access": admin.clone()}), true),
            (json!({"groups": ["staff"], "email": "a@y.example", "realm_access": admin}), true),
            (json!({"groups": ["staff"], "email": "a@y.example"}), false),
            (json!({"groups": ["staff"], "email": "a@x.example", "email_verified": false}), false),
            (json!({"groups": ["other"], "email": "a@x.example"}), false),
            (json!({"groups": ["admin"]}), false),
            (json!({}), false),
        ] {
            let verdict = decide(&staff_or_admins(), &[], Some(&person(claims.clone())));
            assert_eq!(verdict == Verdict::Allow, wanted, "{claims}");
        }
        assert_eq!(decide(&staff_or_admins(), &[], None), Verdict::SignIn);
    }

    #[test]
    fn a_person_who_meets_one_table_of_deny_is_shut_out() {
        let interns = Constraints { email_domains: texts(&["x.example"]), ..groups(&["interns"]) };
        let guests = Constraints { roles: texts(&["guest"]), ..Constraints::default() };
        let guest = json!({"roles": "Guest"});
        for (claims, shut_out) in [
            (json!({"groups": ["Interns"], "email": "a@X.example"}), true),
            (json!({"realm_access": guest}), true),
            (json!({"groups": ["interns"], "email": "a@y.example"}), false),
            (json!({"groups": ["staff"], "email": "a@x.example"}), false),
        ] {
            for access in [Access::Public, Access::SignedIn] {
                let deny = [interns.clone(), guests.clone()];
                let verdict = decide(&access, &deny, Some(&person(claims.clone())));
                assert_eq!(verdict.reason(&access) == Reason::Denied, shut_out, "{claims}");
            }
        }
    }

    #[test]
    fn a_decision_has_a_reason() {
        let by = |name: &str| Constraints {
            claims: [(name.to_owned(), texts(&["x"]))].into(),
            ..Constraints::default()
        };
        let roles = || Constraints { roles: texts(&["r"]), ..Constraints::default() };
        let emails = Constraints { emails: texts(&["a@x.example"]), ..Constraints::default() };
        let domains =
            Constraints { email_domains: texts(&["x.example"]), ..Constraints::default() };
        let both = Constraints { roles: texts(&["r"]), ..groups(&["staff"]) };
        for (access, reason) in [
            (Access::Public, "public"),
            (Access::SignedIn, "signed_in"),
            (Access::Only(groups(&["staff"])), "matched"),
            (Access::Only(groups(&["g"])), "group_missing"),
            (Access::Only(roles()), "role_missing"),
            (Access::Only(both.clone()), "role_missing"),
            (Access::Only(emails), "email_missing"),
            (Access::Only(domains), "email_domain_missing"),
            (Access::Only(by("c")), "claim_missing"),
            (any_of([groups(&["g"]), groups(&["staff"])]), "matched"),
            (any_of([groups(&["g"]), groups(&["h"])]), "group_missing"),
            (any_of([both, roles()]), "role_missing"),
            (any_of([groups(&["g"]), roles()]), "none_matched"),
        ] {
            let verdict = decide(&access, &[], Some(&person(json!({"groups": ["staff"]}))));
            assert_eq!(verdict.reason(&access).as_str(), reason, "{access:?}");
        }
        let access = Access::SignedIn;
        assert_eq!(decide(&access, &[], None).reason(&access).as_str(), "not_signed_in");
    }

    #[test]
    fn a_denial_names_what_is_missing() {
        let bob = person(json!({"groups": ["group1"]}));
        let missing = |access| match decide(&access, &[], Some(&bob)) {
            Verdict::Deny(lack) => lack.what.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(Access::Only(groups(&["group2"]))), "the group group2");
        assert_eq!(missing(Access::Only(groups(&["a", "b"]))), "one of the groups a, b");
        let role = Constraints { roles: texts(&["r"]), ..Constraints::default() };
        let several = any_of([groups(&["a"]), role, groups(&["a"])]);
        assert_eq!(missing(several), "the group a, or the role r");
    }
}
