//! The headers that carry the identity to apps.

use super::draft::Table;
use super::value::Value;

/// The headers that the appliance and oauth2-proxy send by default: part of the identity, header.
pub(super) const DEFAULT_IDENTITY: [(&str, &str); 4] = [
    ("user", "X-Forwarded-User"),
    ("email", "X-Forwarded-Email"),
    ("groups", "X-Forwarded-Groups"),
    ("preferred_username", "X-Forwarded-Preferred-Username"),
];

/// Pairs of part and header as the value of `identity`; `None` if there are none. A part has one header,
/// and a header one part: the first pair counts, and a remark names the header of each other one.
pub(super) fn identity(
    mut pairs: Vec<(String, String)>,
    place: &str,
    remarks: &mut Table,
) -> Option<Value> {
    let rank = |part: &str| DEFAULT_IDENTITY.iter().position(|(known, _)| *known == part);
    pairs.sort_by_key(|(part, _)| rank(part).unwrap_or(usize::MAX));
    let mut kept: Vec<(String, String)> = Vec::new();
    for (part, header) in pairs {
        let other = kept.iter().find(|(known_part, known_header)| {
            *known_part == part || known_header.eq_ignore_ascii_case(&header)
        });
        match other {
            None => kept.push((part, header)),
            Some(other) if *other == (part.clone(), header.clone()) => {}
            Some((known, _)) if *known == part => remarks.missing(
                place,
                format!("`{header}`: `{part}` has one header; the app gets the first one"),
            ),
            Some((known, _)) => remarks.missing(
                place,
                format!("`{header}`: a header has one part of the identity; the app gets `{known}` in it, and no `{part}`"),
            ),
        }
    }
    (!kept.is_empty()).then(|| Value::table(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_one_header_and_a_header_one_part() {
        for (pairs, value, remarks) in [
            (&[("email", "X-A"), ("user", "X-B")][..], r#"{ user = "X-B", email = "X-A" }"#, 0),
            (
                &[("user", "X-A"), ("email", "X-B"), ("user", "X-C")],
                r#"{ user = "X-A", email = "X-B" }"#,
                1,
            ),
            (&[("user", "X-A"), ("email", "x-a")], r#"{ user = "X-A" }"#, 1),
            (&[("user", "X-A"), ("user", "X-A")], r#"{ user = "X-A" }"#, 0),
        ] {
            let mut table = Table::default();
            let pairs = pairs.iter().map(|(part, header)| (part.to_string(), header.to_string()));
            let found = identity(pairs.collect(), "x", &mut table).unwrap();
            assert_eq!(found.to_string(), value);
            assert_eq!(table.remarks.len(), remarks, "{:?}", table.remarks);
        }
        assert_eq!(identity(Vec::new(), "x", &mut Table::default()), None);
    }
}
