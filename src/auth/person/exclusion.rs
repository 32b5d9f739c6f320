//! Who is shut out: the widest reading of the claims, for `deny`.
//!
//! Issuers write the same list as a list, as one text, as objects or as the names of members. What
//! admits reads a list only where there is one; what shuts out must not miss a name because of the
//! shape of its claim. Letter case does not count, and an unverified address does, because people
//! could avoid an exclusion otherwise.

use serde_json::Value;

use super::claims::{self, plain_group};
use super::email::{domain, folded};
use super::identity::Person;
use crate::config::{Constraint, Constraints, Subject};

/// Whether the person meets all constraints of a table of `deny`.
pub(super) fn matches(deny: &Constraints, person: &Person) -> bool {
    deny.each().all(|one| is_met(one, person))
}

/// Whether the person meets a constraint of `deny`.
pub(super) fn is_met(Constraint { subject, values }: Constraint<'_>, person: &Person) -> bool {
    let paths = &person.paths;
    let has = |path: &str, is_it: &Test<'_>| within(&person.claims, path, is_it);
    let in_group = |group: &String| {
        let full = paths.prefix.as_ref().map(|prefix| format!("{prefix}{}", plain_group(group)));
        has(&paths.groups, &|text| {
            is_group(text, group) || full.as_ref().is_some_and(|full| is_group(text, full))
        })
    };
    // Who is in unknown groups may be in one of these.
    let unknown = || subject == Subject::Groups && paths.refer_to_groups(&person.claims);
    let is_one = |value: &String| match subject {
        Subject::Groups => in_group(value),
        Subject::Roles => {
            has(&paths.roles, &|text| text.names(value)) || has_client_role(&person.claims, value)
        }
        Subject::Emails => has(&paths.email, &|text| text.names(value) || is_address(text, value)),
        Subject::EmailDomains => has(&paths.email, &|text| is_at(text, value)),
        Subject::Claim(path) => has(path, &|text| text.names(value)),
    };
    values.iter().any(is_one) || unknown()
}

type Test<'a> = dyn Fn(Text<'_>) -> bool + 'a;

/// A text in a claim.
#[derive(Debug, Clone, Copy)]
struct Text<'a> {
    text: &'a str,
    /// The text is the whole claim, so that spaces may separate several names. A member of a list
    /// is one name, which may contain spaces.
    is_alone: bool,
}

impl Text<'_> {
    /// Whether the text is `name`, or a list in any notation that contains it.
    fn names(self, name: &str) -> bool {
        let (text, name) = (folded(self.text), folded(name));
        if name.is_empty() {
            return text.is_empty();
        }
        let is_end = |next: Option<char>| next.is_none_or(|next| self.is_separator(next));
        text.match_indices(&name).any(|(at, _)| {
            is_end(text[..at].chars().next_back()) && is_end(text[at + name.len()..].chars().next())
        })
    }

    fn is_separator(self, c: char) -> bool {
        c.is_control() || self.is_alone && c.is_whitespace() || ",;|\"'[]{}<>".contains(c)
    }
}

/// Whether a text at a dotted path passes the test. Lists on the way are searched, and so is a text
/// where the path should go on.
fn within(claims: &Value, path: &str, is_it: &Test<'_>) -> bool {
    let path = claims::plain_path(path);
    let whole = claims.get(path).is_some_and(|value| has_text(value, true, is_it));
    whole || path.contains('.') && follow(claims, path, is_it)
}

fn follow(value: &Value, path: &str, is_it: &Test<'_>) -> bool {
    match value {
        Value::Object(members) => {
            let (name, rest) = path.split_once('.').map_or((path, None), |(a, b)| (a, Some(b)));
            members.get(name).is_some_and(|value| match rest {
                Some(rest) => follow(value, rest, is_it),
                None => has_text(value, true, is_it),
            })
        }
        Value::Array(list) => list.iter().any(|value| follow(value, path, is_it)),
        text => has_text(text, true, is_it),
    }
}

/// Whether a text anywhere in the value passes the test: the value, a member at any depth, or the
/// name of a member that is not `false` or `null`.
fn has_text(value: &Value, is_alone: bool, is_it: &Test<'_>) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => is_it(Text { text, is_alone }),
        Value::Bool(_) | Value::Number(_) => is_it(Text { text: &value.to_string(), is_alone }),
        Value::Array(list) => list.iter().any(|value| has_text(value, false, is_it)),
        Value::Object(members) => members.iter().any(|(name, value)| {
            let is_set = !matches!(value, Value::Null | Value::Bool(false));
            is_set && is_it(Text { text: name, is_alone: false }) || has_text(value, false, is_it)
        }),
    }
}

/// Groups match with and without the slash of a top-level group, as where groups admit.
fn is_group(text: Text<'_>, group: &str) -> bool {
    let group = group.trim();
    let plain = plain_group(group);
    text.names(plain) || !plain.contains('/') && text.names(&format!("/{plain}"))
}

/// Whether the person has the role `client:<id>:<role>` in `resource_access`.
fn has_client_role(claims: &Value, wanted: &str) -> bool {
    let wanted = folded(wanted);
    let Some(wanted) = wanted.strip_prefix("client:") else { return false };
    let Some(access) = claims.get("resource_access") else { return false };
    let lists = access.as_array().map_or(std::slice::from_ref(access), Vec::as_slice);
    lists.iter().filter_map(Value::as_object).flatten().any(|(client, access)| {
        let role = wanted.strip_prefix(&folded(client)).and_then(|rest| rest.strip_prefix(':'));
        role.is_some_and(|role| {
            let is_it = |text: Text<'_>| text.names(role);
            within(access, "roles", &is_it) || has_text(access, true, &is_it)
        })
    })
}

/// Whether an address in the text is at the domain. An address with more than one `@` belongs to
/// each of its domains.
fn is_at(text: Text<'_>, wanted: &str) -> bool {
    let mut addresses = text.text.split(|c| text.is_separator(c));
    let wanted = domain(wanted);
    let is_it = |part: &str| domain(part) == wanted;
    addresses.any(|address| address.split('@').skip(1).any(is_it))
}

/// Whether the text has the address, whose domain may be spelled in another way.
fn is_address(text: Text<'_>, wanted: &str) -> bool {
    let Some((wanted, at)) = wanted.rsplit_once('@') else { return false };
    let (wanted, at) = (folded(wanted), domain(at));
    text.text
        .split(|c| text.is_separator(c))
        .filter_map(|one| one.rsplit_once('@'))
        .any(|(name, of)| folded(name) == wanted && domain(of) == at)
}

#[cfg(test)]
mod tests {
    use std::slice;

    use serde_json::json;

    use super::*;
    use crate::auth::person::ClaimPaths;
    use crate::auth::person::fixtures::person;
    use crate::auth::person::policy::{Verdict, decide};
    use crate::config::Access;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn groups(list: &[&str]) -> Constraints {
        Constraints { groups: texts(list), ..Constraints::default() }
    }

    fn roles(list: &[&str]) -> Constraints {
        Constraints { roles: texts(list), ..Constraints::default() }
    }

    /// Shapes in which issuers write a list that has `name`.
    fn shapes(name: &str) -> Vec<Value> {
        vec![
            json!([name]),
            json!(name),
            json!(format!(" {name} ")),
            json!(format!("other {name}")),
            json!(format!("other,{name}")),
            json!(format!("other, {name}, more")),
            json!(format!("other;{name}")),
            json!(format!("other\n{name}")),
            json!([format!("other,{name}")]),
            json!(format!("[\"other\",\"{name}\"]")),
            json!(format!("['{name}']")),
            json!([{"name": name}]),
            json!([{"id": 7, "display": {"value": name}}]),
            json!({"value": [name]}),
            json!([["other"], [name]]),
            json!({(name): true}),
            json!({(name): {"org-7": "corp.example"}}),
        ]
    }

    /// Values that do not have the name `group2`.
    fn near_misses() -> Vec<Value> {
        vec![
            json!(null),
            json!([]),
            json!("group22"),
            json!("group2-alumni, no_group2"),
            json!(["not group2"]),
            json!(["/a/group2"]),
            json!({"group2": false}),
            json!({"group2": null}),
            json!([{"name": "group1"}]),
        ]
    }

    #[test]
    fn groups_shut_out_in_every_shape() {
        for theirs in shapes("group2").into_iter().chain(shapes("/Group2")) {
            for wanted in ["group2", "/GROUP2"] {
                let person = person(json!({"groups": theirs}));
                assert!(matches(&groups(&["x", wanted]), &person), "{theirs}");
            }
        }
        for theirs in near_misses() {
            let person = person(json!({"groups": theirs, "other": "group2"}));
            assert!(!matches(&groups(&["group2"]), &person), "{theirs}");
        }
        let spaced = person(json!({"groups": "staff Domain Users"}));
        assert!(matches(&groups(&["domain users"]), &spaced));
    }

    #[test]
    fn groups_shut_out_with_and_without_their_prefix() {
        for (prefix, theirs) in [
            ("app-", "app-interns"),
            ("app-", "/App-Interns"),
            ("app-", "interns"),
            ("/apps/", "/apps/interns"),
            ("/apps/", "interns"),
        ] {
            for wanted in ["interns", "/interns"] {
                let paths = ClaimPaths::with_rules(Some(prefix), &["none"]);
                let person = paths.read("sub-1", json!({"groups": [theirs]}));
                assert!(matches(&groups(&[wanted]), &person), "{prefix} {theirs}");
                assert!(!matches(&groups(&["intern"]), &person), "{prefix} {theirs}");
            }
        }
        let claims = json!({"groups": [{"id": "7", "name": "x"}], "r": {"admin": {"org": "y"}}});
        let names = ClaimPaths::with_groups_at("r.*").read("sub-1", claims.clone());
        assert!(matches(&groups(&["Admin"]), &names));
        let ids = ClaimPaths::with_groups_at("groups.id").read("sub-1", claims);
        assert!(matches(&groups(&["7"]), &ids));
    }

    #[test]
    fn every_spelling_of_a_name_and_of_a_domain_is_shut_out() {
        for (theirs, wanted) in [
            ("Externe\u{301}", "extern\u{e9}"),
            ("\u{ff29}nterns", "interns"),
            ("STRASSE", "stra\u{df}e"),
        ] {
            assert!(matches(&groups(&[wanted]), &person(json!({"groups": [theirs]}))), "{theirs}");
        }
        let at = |domain: &str| Constraints {
            email_domains: texts(&[domain]),
            ..Constraints::default()
        };
        let emails = |one: &str| Constraints { emails: texts(&[one]), ..Constraints::default() };
        for (theirs, constraints, shut) in [
            ("m@ex\u{e4}mple.org", at("xn--exmple-cua.org"), true),
            ("m@XN--exmple-cua.org.", at("ex\u{e4}mple.org"), true),
            ("m@\u{ff4f}ther.example", at("other.example"), true),
            ("m@other.example", at("ther.example"), false),
            ("jo\u{308}rg@other.example", emails("j\u{f6}rg@other.example"), true),
            ("j@ex\u{e4}mple.org", emails("J@xn--exmple-cua.org"), true),
            ("k@ex\u{e4}mple.org", emails("j@xn--exmple-cua.org"), false),
        ] {
            let person = person(json!({"email": theirs}));
            assert_eq!(matches(&constraints, &person), shut, "{theirs} {constraints:?}");
        }
    }

    #[test]
    fn groups_that_are_elsewhere_shut_out() {
        let reference = json!({"_claim_names": {"groups": "src1"}});
        let person = person(reference.clone());
        assert!(matches(&groups(&["interns"]), &person));
        assert!(!matches(&roles(&["guest"]), &person));
        let paths = ClaimPaths::with_groups_at("groups");
        let mut claims = reference;
        paths.set_groups(&mut claims, vec!["staff".into()]);
        let person = paths.read("sub-1", claims);
        assert!(!matches(&groups(&["interns"]), &person) && matches(&groups(&["staff"]), &person));
    }

    #[test]
    fn groups_that_are_not_known_any_more_shut_out() {
        for path in ["groups", "groups.name", "urn:x:roles.*"] {
            for before in
                [json!({}), json!({"_claim_names": {"x": "y"}}), json!({"_claim_names": 7})]
            {
                let paths = ClaimPaths::with_groups_at(path);
                let mut claims = before;
                paths.set_groups_unknown(&mut claims);
                let person = paths.read("sub-1", claims);
                assert!(person.groups.is_empty());
                assert!(matches(&groups(&["interns"]), &person), "{path}");
                assert!(!matches(&roles(&["guest"]), &person), "{path}");
            }
        }
    }

    #[test]
    fn roles_shut_out_in_every_shape() {
        for theirs in shapes("group2") {
            for claims in [
                json!({"realm_access": {"roles": theirs}}),
                json!({"realm_access": [{"roles": theirs}]}),
                json!({"realm_access.roles": theirs}),
            ] {
                assert!(matches(&roles(&["group2"]), &person(claims.clone())), "{claims}");
            }
            for client in [
                json!({"Reports": {"roles": theirs}}),
                json!({"Reports": theirs}),
                json!([{"Reports": theirs}]),
            ] {
                let person = person(json!({"resource_access": client}));
                assert!(matches(&roles(&["client:reports:group2"]), &person), "{client}");
                assert!(!matches(&roles(&["group2"]), &person), "{client}");
                assert!(!matches(&roles(&["client:other:group2"]), &person), "{client}");
            }
        }
        assert!(matches(&roles(&["guest"]), &person(json!({"realm_access": "guest"}))));
        for theirs in near_misses() {
            let person = person(json!({"realm_access": {"roles": theirs}}));
            assert!(!matches(&roles(&["group2"]), &person), "{theirs}");
        }
    }

    #[test]
    fn claims_and_addresses_shut_out_in_every_shape() {
        let claim = |value: &str| Constraints {
            claims: [("team".to_owned(), texts(&[value]))].into(),
            ..Constraints::default()
        };
        let emails = Constraints { emails: texts(&["m@x.example"]), ..Constraints::default() };
        let domain = Constraints { email_domains: texts(&["x.example"]), ..Constraints::default() };
        for value in shapes("m@x.example") {
            assert!(matches(&claim("m@x.example"), &person(json!({"team": value}))), "{value}");
            let person = person(json!({"email": value}));
            assert!(matches(&emails, &person) && matches(&domain, &person), "{value}");
        }
        let named = person(json!({"email": "Mallory <m@x.example>"}));
        assert!(matches(&emails, &named) && matches(&domain, &named));
        for near in ["am@x.example", "m@x.example.org", "m@ax.example"] {
            let person = person(json!({"email": near, "team": near}));
            assert!(!matches(&emails, &person) && !matches(&claim("m@x.example"), &person));
        }
        assert!(matches(&claim("3"), &person(json!({"team": [3]}))));
        assert!(matches(&claim("false"), &person(json!({"team": false}))));
        assert!(!matches(&claim("3"), &person(json!({"team": [33]}))));
    }

    #[test]
    fn all_constraints_must_shut_out() {
        let both = Constraints { roles: texts(&["guest"]), ..groups(&["staff"]) };
        assert!(!matches(&both, &person(json!({"groups": "staff"}))));
        let guest = json!({"groups": "staff", "realm_access": {"roles": "guest"}});
        assert!(matches(&both, &person(guest)));
    }

    #[test]
    fn deny_matches_an_unverified_address() {
        let deny = Constraints { emails: texts(&["m@x.example"]), ..Constraints::default() };
        let mallory = person(json!({"email": "m@x.example", "email_verified": false}));
        let verdict = decide(&Access::SignedIn, slice::from_ref(&deny), Some(&mallory));
        assert!(matches!(verdict, Verdict::Deny(_)));
        let other = person(json!({"email": "a@x.example"}));
        assert_eq!(decide(&Access::SignedIn, slice::from_ref(&deny), Some(&other)), Verdict::Allow);
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
        let shuts_out = |deny: Constraints, claims: &Value| {
            decide(&Access::SignedIn, &[deny], Some(&person(claims.clone()))) != Verdict::Allow
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
    }
}
