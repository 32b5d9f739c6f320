//! How a person meets the keys of a table, one by one, for `appliance can`. The comparisons are those of
//! [`super::policy`] and [`super::exclusion`].

use serde_json::Value;

use super::claims;
use super::exclusion;
use super::identity::Person;
use super::policy;
use crate::config::{Constraint, Constraints, Subject};

/// What a table is for: `access` compares exactly, `deny` in the widest reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `access`
    Access,
    /// `deny`
    Deny,
}

/// How a person meets one key of a table.
#[derive(Debug)]
pub struct Finding<'a> {
    /// The key, as in the file: `groups`, `claims.department`.
    pub key: String,
    /// The values of the key.
    pub values: &'a [String],
    /// Those that match.
    pub matched: Vec<&'a str>,
    /// One value matches.
    pub is_met: bool,
    /// The dotted path of the claim that is compared.
    pub claim: &'a str,
    /// What the person has there.
    pub found: Option<&'a Value>,
    /// Why a value that looks right does not count.
    pub note: Option<&'static str>,
}

/// How a person meets each key of a table. All keys must be met.
pub fn findings<'a>(
    table: &'a Constraints,
    person: &'a Person,
    purpose: Purpose,
) -> Vec<Finding<'a>> {
    table.each().map(|one| finding(one, person, purpose)).collect()
}

fn finding<'a>(one: Constraint<'a>, person: &'a Person, purpose: Purpose) -> Finding<'a> {
    let is_met = |one| match purpose {
        Purpose::Access => policy::is_met(one, person),
        Purpose::Deny => exclusion::is_met(one, person),
    };
    let alone = |value: &'a String| Constraint { values: std::slice::from_ref(value), ..one };
    let matched = one.values.iter().filter(|value| is_met(alone(value)));
    let claim = claim_of(one, person);
    let found = found(&person.claims, claim);
    Finding {
        key: match one.subject {
            Subject::Groups => "groups".to_owned(),
            Subject::Roles => "roles".to_owned(),
            Subject::Emails => "emails".to_owned(),
            Subject::EmailDomains => "email_domains".to_owned(),
            Subject::Claim(name) => format!("claims.{name}"),
        },
        values: one.values,
        matched: matched.map(String::as_str).collect(),
        is_met: is_met(one),
        claim,
        found,
        note: note(one, person, found).filter(|_| purpose == Purpose::Access && !is_met(one)),
    }
}

/// The dotted path of the claim that a constraint compares.
fn claim_of<'a>(Constraint { subject, values }: Constraint<'a>, person: &'a Person) -> &'a str {
    match subject {
        Subject::Groups => &person.paths.groups,
        Subject::Roles if values.iter().all(|role| role.starts_with("client:")) => {
            "resource_access"
        }
        Subject::Roles => &person.paths.roles,
        Subject::Emails | Subject::EmailDomains => &person.paths.email,
        Subject::Claim(name) => name,
    }
}

/// The claim at a path, or the list whose objects have the member at its end.
fn found<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    let path = claims::plain_path(path);
    let list = || claims::at(claims, path.rsplit_once('.')?.0).filter(|list| list.is_array());
    claims::at(claims, path).or_else(list)
}

fn note(one: Constraint<'_>, person: &Person, found: Option<&Value>) -> Option<&'static str> {
    let found = found?;
    match one.subject {
        Subject::Groups | Subject::Roles if !found.is_array() && !found.is_object() => {
            Some("the claim is not a list")
        }
        Subject::Emails | Subject::EmailDomains if person.email.known().is_none() => {
            Some("the issuer says that the address is not verified")
        }
        _ => None,
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

    #[test]
    fn each_key_says_what_matches_and_where_it_was_looked_for() {
        let person = person(json!({
            "groups": "staff", "email": "a@x.example", "email_verified": false,
            "realm_access": {"roles": ["admin"]}, "team": ["red"],
        }));
        let table = Constraints {
            groups: texts(&["staff"]),
            roles: texts(&["boss", "admin"]),
            email_domains: texts(&["x.example"]),
            claims: [("team".to_owned(), texts(&["blue"]))].into(),
            ..Constraints::default()
        };
        let in_words = |purpose| {
            let found = findings(&table, &person, purpose);
            found
                .into_iter()
                .map(|one| (one.key, one.claim.to_owned(), one.matched.join(" "), one.note))
                .collect::<Vec<_>>()
        };
        let row = |key: &str, claim: &str, matched: &str, note| {
            (key.to_owned(), claim.to_owned(), matched.to_owned(), note)
        };
        let unverified = Some("the issuer says that the address is not verified");
        assert_eq!(
            in_words(Purpose::Access),
            [
                row("groups", "groups", "", Some("the claim is not a list")),
                row("roles", "realm_access.roles", "admin", None),
                row("email_domains", "email", "", unverified),
                row("claims.team", "team", "", None),
            ]
        );
        assert_eq!(
            in_words(Purpose::Deny),
            [
                row("groups", "groups", "staff", None),
                row("roles", "realm_access.roles", "admin", None),
                row("email_domains", "email", "x.example", None),
                row("claims.team", "team", "", None),
            ]
        );
    }
}
