//! Claims: the JSON object in which an issuer describes a person (OpenID Connect Core §5.1).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value};

/// Claims of the protocol itself. They describe the token, not the person, and change with each
/// one.
const PROTOCOL: [&str; 12] = [
    "iss",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "typ",
    "allowed-origins",
];

/// The claims that are elsewhere (OpenID Connect Core §5.6.2).
pub(super) const REFERENCES: &str = "_claim_names";

/// At the end of a path: the names of the members of an object.
const NAMES: &str = ".*";

/// The claim at a dotted path. A claim whose name contains the dots
/// (`https://example.org/groups`) takes precedence.
pub(super) fn at<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    path.split('.').try_fold(claims, |value, name| value.get(name))
}

/// The claim if it is text and not empty.
pub(super) fn text(claims: &Value, path: &str) -> Option<String> {
    at(claims, path)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The names in a claim that is a list: its texts, or of its objects the member at the end of the path.
/// With `.*` at the end of the path, the names of the members of an object that are not `false` or `null`.
/// A claim of any other type gives an empty list: a single text may be a list in a notation that this
/// function would misread.
pub(super) fn list(claims: &Value, path: &str) -> Vec<String> {
    if let Some(path) = path.strip_suffix(NAMES) {
        let members = at(claims, path).and_then(Value::as_object).into_iter().flatten();
        let set = members.filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)));
        return set.map(|(name, _)| name.clone()).collect();
    }
    if let Some(found) = at(claims, path) {
        let list = found.as_array().map_or(&[][..], Vec::as_slice);
        return list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    let Some((list, member)) = within_list(claims, path) else { return Vec::new() };
    list.iter().filter_map(|one| one.get(member)?.as_str()).map(str::to_owned).collect()
}

/// Whether the claims have what [`list`] would read.
pub(super) fn has_list(claims: &Value, path: &str) -> bool {
    at(claims, plain_path(path)).is_some() || within_list(claims, path).is_some()
}

/// Whether the claims refer to the claim at this path instead of having it: as a distributed claim
/// (OpenID Connect Core §5.6.2), or by the `hasgroups` of Entra ID.
pub(super) fn is_reference(claims: &Value, path: &str) -> bool {
    let first = path.split('.').next().unwrap_or(path);
    let names = claims.get(REFERENCES);
    let is_named = |name: &str| names.is_some_and(|names| names.get(name).is_some());
    is_named(path) || is_named(first) || claims.get("hasgroups") == Some(&Value::Bool(true))
}

/// The path without what is no name of a claim in it.
pub(super) fn plain_path(path: &str) -> &str {
    path.strip_suffix(NAMES).unwrap_or(path)
}

/// The list whose objects have the member at the end of the path.
fn within_list<'c, 'p>(claims: &'c Value, path: &'p str) -> Option<(&'c [Value], &'p str)> {
    let (list, member) = path.rsplit_once('.')?;
    Some((at(claims, list)?.as_array()?, member))
}

/// A group without the leading `/` of a top-level group. Keycloak writes such a group as `/name` or
/// as `name`, depending on "Full group path" in its mapper. Deeper paths are compared as a whole:
/// `/a/admin` and `/b/admin` are different groups.
pub(super) fn plain_group(group: &str) -> &str {
    group.strip_prefix('/').filter(|rest| !rest.contains('/')).unwrap_or(group)
}

/// The payload of a JWT, *not verified*. `None` if the token is not a JWT with three parts
/// (RFC 7515 §3.1).
pub(crate) fn payload(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()
}

/// The claims without those of the protocol.
pub(crate) fn about_the_person(mut claims: Map<String, Value>) -> Map<String, Value> {
    claims.retain(|name, _| !PROTOCOL.contains(&name.as_str()));
    claims
}

/// Adds the claims of `more` that `claims` does not have.
pub(crate) fn complete(claims: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        claims.entry(name).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_dotted_and_full_names_take_precedence() {
        let claims = json!({"a": {"b": {"c": 1}}, "https://x.example/g": 2, "a.b": 3});
        assert_eq!(at(&claims, "a.b.c"), Some(&json!(1)));
        assert_eq!(at(&claims, "https://x.example/g"), Some(&json!(2)));
        assert_eq!(at(&claims, "a.b"), Some(&json!(3)));
        assert_eq!(at(&claims, "a.x"), None);
        assert_eq!(at(&claims, "a.b.c.d"), None);
    }

    #[test]
    fn only_a_json_list_is_a_list() {
        for (value, want) in [
            (json!(["a", "b"]), vec!["a", "b"]),
            (json!("a,b"), vec![]),
            (json!("a"), vec![]),
            (json!(null), vec![]),
            (json!(7), vec![]),
            (json!({"a": true}), vec![]),
            (json!([["a"], {"id": "a"}, 7, "b", null]), vec!["b"]),
        ] {
            assert_eq!(list(&json!({"groups": value}), "groups"), want);
        }
    }

    #[test]
    fn the_path_says_which_member_of_an_object_is_a_name() {
        let objects = json!([{"id": "1", "name": "a"}, {"id": 2, "name": "b"}, {"id": "3"}, "c"]);
        let roles = json!({"admin": {"org-1": "x"}, "viewer": true, "gone": false, "no": null});
        let claims = json!({"g": objects, "d": {"g": objects}, "r": roles, "a.b": [{"name": "x"}]});
        for (path, want) in [
            ("g", &["c"][..]),
            ("d.g", &["c"]),
            ("g.name", &["a", "b"]),
            ("g.id", &["1", "3"]),
            ("d.g.id", &["1", "3"]),
            ("a.b", &[]),
            ("g.none", &[]),
            ("r", &[]),
            ("r.*", &["admin", "viewer"]),
            ("r.admin", &[]),
            ("g.*", &[]),
            ("x.*", &[]),
        ] {
            assert_eq!(list(&claims, path), want, "{path}");
        }
        for (path, want) in [
            ("g", true),
            ("g.id", true),
            ("r.*", true),
            ("x", false),
            ("x.id", false),
            ("x.*", false),
        ] {
            assert_eq!(has_list(&claims, path), want, "{path}");
        }
    }

    #[test]
    fn a_reference_names_the_claim() {
        for (claims, want) in [
            (json!({"_claim_names": {"groups": "src1"}}), true),
            (json!({"hasgroups": true}), true),
            (json!({"hasgroups": false}), false),
            (json!({"_claim_names": {"roles": "src1"}}), false),
            (json!({"_claim_names": "groups"}), false),
            (json!({}), false),
        ] {
            assert_eq!(is_reference(&claims, "groups"), want, "{claims}");
            assert_eq!(is_reference(&claims, "groups.id"), want, "{claims}");
        }
    }

    #[test]
    fn a_jwt_has_three_parts() {
        let payload_of = |text: &str| payload(text).is_some();
        assert!(payload_of("e30.e30.x"));
        assert!(!payload_of("e30.e30"));
        assert!(!payload_of("e30.e30.x.y"));
        assert!(!payload_of("opaque"));
    }
}
