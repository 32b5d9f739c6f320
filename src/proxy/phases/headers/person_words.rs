//! Recognises a header that names a person by its words. No list of gateways is complete, and frameworks
//! read the header of their own host without being asked.
//!
//! The scan of a name allocates nothing and looks at each byte once: it runs for every header of a request.

/// Words for a person, or for what an issuer says about one.
const PERSON: [&str; 18] = [
    "assertion",
    "assertions",
    "claim",
    "claims",
    "email",
    "emails",
    "groups",
    "principal",
    "principals",
    "roles",
    "user",
    "userdata",
    "useremail",
    "userid",
    "userinfo",
    "username",
    "usernames",
    "users",
];

/// A certificate of a client, and whom it names, which a proxy that ends TLS may tell.
const CERTIFICATE: [&str; 3] = ["clientcert", "clientcertificate", "subject"];

/// Names with such a word that name nobody: a project that pays (Google), the account of a password that
/// comes with it (`ClickHouse`), and a token to be verified (`OpenStack`).
const NOBODY: [&str; 3] = ["x-clickhouse-user", "x-goog-user-project", "x-subject-token"];

/// Whether a word of the name stands for a person, or for the certificate of a client unless the sender is a
/// trusted proxy. `User-Agent` and its relatives, such as `X-User-Agent`, do not; nor do names that only
/// browsers set (`Sec-Fetch-User`).
pub(super) fn names_person(name: &str, trusted: bool) -> bool {
    let bytes = name.as_bytes();
    let mut is_start = true;
    bytes.iter().enumerate().any(|(at, byte)| {
        let begins = std::mem::replace(&mut is_start, !byte.is_ascii_alphanumeric());
        begins && may_begin(*byte, bytes.get(at + 1)) && is_person(&name[at..], trusted)
    }) && !name.starts_with("sec-")
        && !NOBODY.contains(&name)
}

/// Whether one of the words begins with these bytes. Rules out most words of most headers.
fn may_begin(first: u8, second: Option<&u8>) -> bool {
    let second = second.copied().unwrap_or_default();
    matches!(
        (first, second),
        (b'a' | b'u', b's')
            | (b'c', b'l')
            | (b'e', b'm')
            | (b'g' | b'p', b'r')
            | (b'r', b'o')
            | (b's', b'u')
    )
}

/// Whether the first word stands for a person.
fn is_person(rest: &str, trusted: bool) -> bool {
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    if PERSON.contains(&word) {
        return word != "user" || !is_agent(after);
    }
    !trusted && CERTIFICATE.contains(&word)
}

fn is_agent(after: &str) -> bool {
    after.strip_prefix('-').is_some_and(|next| next == "agent" || next.starts_with("agent-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_name_a_person_are_found() {
        for name in [
            "user",
            "x-user",
            "x_user",
            "x.user.email",
            "kubeflow-userid",
            "impersonate-user",
            "x-endpoint-api-userinfo",
            "x-consumer-username",
            "x-user-agent-user",
            "user-agents",
            "x-user-agency",
            "user_agent",
            "x-idp-claim-sub",
            "claims",
            "x-client-principal",
            "sf-context-current-user",
            "x-groups",
            "x_groups",
            "groups",
            "x-roles",
            "x-email",
            "x-jwt-assertion",
            "teleport-jwt-assertion",
            "teleport.jwt.assertion",
        ] {
            assert!(names_person(name, false) && names_person(name, true), "{name}");
        }
        for name in [
            "x-arr-clientcert",
            "x-amzn-mtls-clientcert-subject",
            "clientcert",
            "ssl-subject-dn",
            "x-subject",
        ] {
            assert!(names_person(name, false) && !names_person(name, true), "{name}");
        }
        for name in [
            "user-agent",
            "x-user-agent",
            "x-amz-user-agent",
            "api-user-agent",
            "sec-fetch-user",
            "sec-ch-ua",
            "upgrade-insecure-requests",
            "x-goog-user-project",
            "x-clickhouse-user",
            "x-superuser",
            "x-subject-token",
            "x-group-id",
            "x-hasura-role",
            "x-emailer",
            "assert",
            "x-a",
            "u",
            "x-userland",
            "x-claimed",
            "x-principality",
            "x-client-version",
            "x-csrf-token",
            "mcp-session-id",
            "marimo-session-id",
            "priority",
            "cookie",
            "",
        ] {
            assert!(!names_person(name, false), "{name}");
        }
    }
}
