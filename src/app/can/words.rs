//! The answer as text for people.

use super::report::{Claims, Compared, Policy, Report, Table};

/// The text. Values of claims and of the configuration cannot send commands to a terminal.
pub(super) fn of(report: &Report) -> String {
    let mut lines = Vec::new();
    let word = if report.allowed { "allowed" } else { "refused" };
    lines.push(format!("{word}: {}", report.reason));
    let mut row = |name: &str, text: &str| lines.push(format!("  {name:<8} {text}"));
    row("why", &report.why);
    row("request", &format!("{} {} at {}", report.method, report.path, report.host));
    if let Some(app) = &report.app {
        row("app", app);
    }
    row("person", report.user.as_deref().unwrap_or("without a name"));
    for (at, policy) in report.policies.iter().enumerate() {
        let name = if at == 0 { "policy" } else { "also" };
        for (at, text) in policy_lines(policy).iter().enumerate() {
            row(if at == 0 { name } else { "" }, text);
        }
    }
    match &report.claims {
        Some(claims) => row("claims", &claims_line(claims)),
        None => row("claims", "not read: there is no [oidc], so nobody can sign in"),
    }
    let lines = lines.iter().map(|line| line.trim_end().replace(is_unprintable, "\u{fffd}"));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// Control characters, and those that change the direction of writing.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn claims_line(claims: &Claims) -> String {
    let prefix = claims.groups_prefix.as_ref();
    format!(
        "user_claim = {}, email_claim = {}, groups_claim = {}, roles_claim = {}{}",
        claims.user,
        claims.email,
        claims.groups,
        claims.roles,
        prefix.map(|prefix| format!(", groups_prefix = {prefix}")).unwrap_or_default()
    )
}

fn policy_lines(policy: &Policy) -> Vec<String> {
    let place = policy.line.map_or_else(
        || format!("{} (not written in the file)", policy.key),
        |line| format!("{}, line {line}", policy.key),
    );
    let word = if policy.allowed { "allows" } else { "refuses" };
    let mut lines = vec![format!("{place}, {word}: {}", policy.reason), policy.text.clone()];
    lines.extend(policy.deny.iter().map(|deny| format!("deny = {deny}")));
    lines.extend(policy.tables.iter().flat_map(table_lines));
    lines
}

fn table_lines(table: &Table) -> Vec<String> {
    let is = if table.met { "is met" } else { "is not met" };
    let head = format!("table {} of {} {is}", table.number, table.of);
    std::iter::once(head).chain(table.keys.iter().map(key_line)).collect()
}

fn key_line(key: &Compared) -> String {
    let found = key.found.as_ref().map_or("missing".to_owned(), ToString::to_string);
    let note = key.note.map(|note| format!("; {note}")).unwrap_or_default();
    let (word, values) = if key.met { ("has", &key.matched) } else { ("has none of", &key.values) };
    format!("  {} {word} {}: the claim {} is {found}{note}", key.key, values.join(", "), key.claim)
}
