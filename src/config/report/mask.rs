//! Masks secrets in the parts of a configuration file that are shown.
//!
//! Works on the text alone, so that it also works for a file that is not valid TOML. These kinds of
//! text become `***`: the value of a key whose name looks like a secret (`DB_PASSWORD = "…"`, also
//! `--token=…` or `"--token", "…"` in a command, and `token=…` in a query), the password in a URL and in
//! `"--user", "name:…"`, and the value of an `Authorization` or `Cookie` header. The mask is a second line
//! of defence: secrets should not be in the file at all. It does not find a secret under a name that does
//! not look like one.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use secrecy::ExposeSecret;

use super::user_part;
use crate::config::model::Secret;

/// What is shown in place of a secret.
pub(crate) const STARS: &str = "***";

#[expect(clippy::expect_used, reason = "constant expressions, compiled in every test run")]
static SECRETS: LazyLock<[Regex; 5]> = LazyLock::new(|| {
    [
        r#"(?isx)
            ( [\w-]* (?: secret | passw | passphrase | token | credential | api[-_]?key
              | private[-_]?key ) [\w-]* | [\w-]* (?: pass | pwd | jwt | [-_](?: key | dsn | auth | salt )
              | connection[-_]?string | webhook[-_]?url ) | ^\s* keys ) ["']? \s* [=:] \s*
            (?: """ (.+?) (?: """ | $ ) | ''' (.+?) (?: ''' | $ )
              | " ( (?: [^"\\] | \\. )* ) "? | ' ( [^']* ) '?
              | \[ ( [^\]]* ) \]?
              | ( [^\s,"'{}\[\]&] (?: [^\s"'&]* [^\s,"'{}\[\]&] )? ) )"#,
        // An option that begins with `--no-` has no value.
        r#"(?ix) ["'] --no-[\w-]* ["'] | ["'] ( --? [\w-]* (?: secret | passw | passphrase | token | credential
              | api[-_]?key | private[-_]?key ) [\w-]* | --? [\w-]* (?: pass | pwd | [-_]key ) )
            ["'] \s* , \s* (?: " ( (?: [^"\\] | \\. )* ) "? | ' ( [^']* ) '? )"#,
        r#"(?i)(authorization["']?\s*[:=]\s*["']?(?:[\w-]+\s+)?)([^\s"']+)"#,
        r#"(?i)(\bcookie:\s*)([^"']+)"#,
        r#"(?ix) ["'] ( -u | --user | --proxy-user ) ["'] \s* , \s* ["'] [^"':]* : ( [^"']+ )"#,
    ]
    .map(|pattern| Regex::new(pattern).expect("a constant expression"))
});

/// A key whose value is the name of a header, except in the query of a URL.
const NO_SECRET: &str = "access_token";

/// Whether the name of a variable says that it holds a secret, and not the location of one.
fn is_secret(variable: &str) -> bool {
    let place = ["_FILE", "_PATH", "_DIR", "_URL"].iter().any(|end| variable.ends_with(end));
    !place && !hidden(&format!("{variable}='…'")).is_empty()
}

/// Whether the value of a variable is secret as a whole: its name says so, or it is a URL with a user
/// part, whatever its name.
pub(crate) fn is_secret_value(variable: &str, value: &str) -> bool {
    is_secret(variable) || !user_part::secrets(value).is_empty()
}

/// Whether the value of this key of the file, or of this variable, is secret as a whole.
pub(crate) fn is_secret_key(key: &str) -> bool {
    key != NO_SECRET && is_secret(key)
}

/// The text without these values, and without the passwords of URLs. Very short values stay, because
/// they would match everywhere.
pub(crate) fn without(text: &str, secrets: &[Secret]) -> String {
    const SHORTEST: usize = 4;
    let values = secrets.iter().map(ExposeSecret::expose_secret);
    let mut values: Vec<&str> = values.filter(|value| value.len() >= SHORTEST).collect();
    // A value that contains another one is replaced first, so that nothing of it stays.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let text = values.into_iter().fold(text.to_owned(), |text, value| text.replace(value, STARS));
    cut(&text, &user_part::secrets(&text))
}

fn cut(text: &str, hidden: &[Range<usize>]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for hidden in hidden {
        shown.push_str(&text[at..hidden.start]);
        shown.push_str(STARS);
        at = hidden.end;
    }
    shown + &text[at..]
}

/// If the text ends within a multi-line string: the quotes that end the string. The key of the
/// string, which would tell whether its value is a secret, is on an earlier line.
pub(crate) fn within_string(text: &str) -> Option<&'static str> {
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'', '#']) {
        rest = &rest[at..];
        let long = [r#"""""#, "'''"].into_iter().find(|quotes| rest.starts_with(quotes));
        let (line, beyond) = rest.split_at(rest.find('\n').unwrap_or(rest.len()));
        rest = match long {
            Some(quotes) => match end_of(&rest[quotes.len()..], quotes) {
                Some(after) => after,
                None => return Some(quotes),
            },
            // A comment, or a string that ends on its line.
            None => match end_of(&line[1..], &line[..1]) {
                Some(after) if !line.starts_with('#') => &rest[line.len() - after.len()..],
                _ => beyond,
            },
        };
    }
    None
}

/// The text after the closing quotes.
fn end_of<'t>(text: &'t str, quotes: &str) -> Option<&'t str> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if !escaped && text[at..].starts_with(quotes) {
            return Some(&text[at + quotes.len()..]);
        }
        escaped = !escaped && c == '\\' && quotes.starts_with('"');
    }
    None
}

/// The masked line, and the position of a byte range in the masked line, in characters. `string`:
/// the quotes that end a string which began on an earlier line.
pub(crate) fn line(line: &str, span: Range<usize>, string: Option<&str>) -> (String, Range<usize>) {
    let begun = string.map(|quotes| 0..line.find(quotes).unwrap_or(line.len()));
    let mut shown = String::with_capacity(line.len());
    let mut caret = [None, None];
    let mut at = 0;
    let begun = begun.filter(|range| !range.is_empty());
    let after = begun.as_ref().map_or(0, |range| range.end);
    let secrets = hidden(line).into_iter().filter(|range| range.start >= after);
    for hidden in begun.into_iter().chain(secrets) {
        copy(line, at..hidden.start, &span, &mut shown, &mut caret);
        let before = shown.chars().count();
        shown.push_str(STARS);
        if hidden.contains(&span.start) {
            caret[0] = Some(before);
        }
        if span.end > hidden.start && span.end <= hidden.end {
            caret[1] = Some(before + STARS.len());
        }
        at = hidden.end;
    }
    copy(line, at..line.len(), &span, &mut shown, &mut caret);
    let end = shown.chars().count();
    let start = caret[0].unwrap_or(end);
    (shown, start..caret[1].unwrap_or(end).max(start))
}

/// The text with every secret masked.
pub(crate) fn text(text: &str) -> String {
    line(text, 0..0, None).0
}

/// The words of a command, as a person would type them, with every secret masked.
pub(crate) fn command<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let mut is_value = false;
    let shown = words.map(|word| {
        let shown = if is_value { STARS.to_owned() } else { text(word) };
        let may_have_value = word.starts_with('-') && !word.starts_with("--no-");
        is_value = may_have_value && !word.contains('=') && is_secret(word);
        shown
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn copy(
    line: &str,
    part: Range<usize>,
    span: &Range<usize>,
    shown: &mut String,
    caret: &mut [Option<usize>; 2],
) {
    for (at, c) in line[part.clone()].char_indices() {
        let at = part.start + at;
        if at == span.start {
            caret[0].get_or_insert_with(|| shown.chars().count());
        }
        if at == span.end {
            caret[1].get_or_insert_with(|| shown.chars().count());
        }
        shown.push(c);
    }
}

fn names_header(line: &str, key: &regex::Match<'_>) -> bool {
    key.as_str() == NO_SECRET && !line[..key.start()].ends_with(['?', '&'])
}

/// Byte ranges of the secrets, in order and without overlaps.
pub(crate) fn hidden(line: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = SECRETS
        .iter()
        .flat_map(|pattern| pattern.captures_iter(line))
        .filter(|captures| captures.get(1).is_none_or(|key| !names_header(line, &key)))
        .filter_map(|captures| captures.iter().skip(2).flatten().next())
        .map(|value| value.range())
        .chain(user_part::secrets(line))
        .filter(|range| !range.is_empty())
        .collect();
    found.sort_by_key(|range| range.start);
    found.dedup_by(|next, previous| {
        let overlaps = next.start < previous.end;
        if overlaps {
            previous.end = previous.end.max(next.end);
        }
        overlaps
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_references_are_not() {
        for (text_, shown) in [
            (r#"client_secret = "s3cr3t""#, r#"client_secret = "***""#),
            (
                r#"env = { A = "1", DB_PASSWORD = 'x y', B = "2" }"#,
                r#"env = { A = "1", DB_PASSWORD = '***', B = "2" }"#,
            ),
            (r#"command = ["x", "--token=abc", "y"]"#, r#"command = ["x", "--token=***", "y"]"#),
            (r#"public_url = "http://u:p@localhost""#, r#"public_url = "http://u:***@localhost""#),
            (
                r#"client_secret = { env = "OIDC_SECRET" }"#,
                r#"client_secret = { env = "OIDC_SECRET" }"#,
            ),
            (
                r#"identity = { access_token = "X-Token" }"#,
                r#"identity = { access_token = "X-Token" }"#,
            ),
            (r#"API_KEY = """begin"#, r#"API_KEY = """***"#),
            (r#"TOKENS = ["a", "b"]"#, "TOKENS = [***]"),
            (r#"token = """#, r#"token = """#),
            (r#"keys = "abc""#, r#"keys = "***""#),
            (
                r#"env = { DB_PASS = "x", SSH_KEY = 'y' }"#,
                r#"env = { DB_PASS = "***", SSH_KEY = '***' }"#,
            ),
            (r#"pass_env = ["HOME"]"#, r#"pass_env = ["HOME"]"#),
            (
                r#"command = ["x", "--password", "a b", "y"]"#,
                r#"command = ["x", "--password", "***", "y"]"#,
            ),
            (
                r#"command = ["x", "--no-token", "a b", "--no-password", "y"]"#,
                r#"command = ["x", "--no-token", "a b", "--no-password", "y"]"#,
            ),
            (
                r#"command = ["x", "--no-token", "--password", "a b", "--no-pass=y"]"#,
                r#"command = ["x", "--no-token", "--password", "***", "--no-pass=***"]"#,
            ),
            (r#"["x", "--nonce-token", "a b"]"#, r#"["x", "--nonce-token", "***"]"#),
            (
                r#"command = ["curl", "Authorization: Bearer abc"]"#,
                r#"command = ["curl", "Authorization: Bearer ***"]"#,
            ),
            (r#"url = "postgres://me:p@ss-ONE@host""#, r#"url = "postgres://me:***@host""#),
            (r#"["x", "--token=a,b{c}d", "y"]"#, r#"["x", "--token=***", "y"]"#),
            ("{ token = 5, b = 6 }", "{ token = ***, b = 6 }"),
            (r#"secret={env="X"}"#, r#"secret={env="X"}"#),
            (r#""/?password=a&user=b""#, r#""/?password=***&user=b""#),
            (r#"listen = "127.0.0.1:80""#, r#"listen = "127.0.0.1:80""#),
            (
                r#"url = "http://h/?access_token=abc&x=1""#,
                r#"url = "http://h/?access_token=***&x=1""#,
            ),
            (r#"["curl", "-u", "me:pw", "x"]"#, r#"["curl", "-u", "me:***", "x"]"#),
            (r#"["x", "--user", "www-data"]"#, r#"["x", "--user", "www-data"]"#),
            (r#"["-H", "Authorization: Token abc"]"#, r#"["-H", "Authorization: Token ***"]"#),
            (r#"["-H", "authorization: abc"]"#, r#"["-H", "authorization: ***"]"#),
            (r#"["-H", "Cookie: sid=abc; b=c", "y"]"#, r#"["-H", "Cookie: ***", "y"]"#),
            (r#"env = { BASIC_AUTH = "me:pw" }"#, r#"env = { BASIC_AUTH = "***" }"#),
            (r#"env = { DB_DSN = "me:pw@tcp(h)/d" }"#, r#"env = { DB_DSN = "***" }"#),
            (r#"cookie = "appliance""#, r#"cookie = "appliance""#),
            (r#"author = "me", monkey = "x""#, r#"author = "me", monkey = "x""#),
            (r#"script = "auth.py""#, r#"script = "auth.py""#),
        ] {
            assert_eq!(text(text_), shown);
        }
    }

    #[test]
    fn the_caret_moves_with_its_text() {
        let text = r#"password = "abcdefgh", port = 70000"#;
        let at = text.find("70000").unwrap();
        let (shown, caret) = line(text, at..at + 5, None);
        assert_eq!(&shown[caret], "70000");
        let (shown, caret) = line(text, 11..21, None);
        assert_eq!(&shown[caret], "\"***\"");
    }

    #[test]
    fn a_multi_line_string_is_masked_when_its_key_is_not_visible() {
        let quotes = r#"""""#;
        for (before, string) in [
            (format!("a = {quotes}\nsecret\n"), Some(quotes)),
            (format!("a = {quotes}\nsecret{quotes}\n"), None),
            (format!("a = {quotes}\n\\{quotes}\n"), Some(quotes)),
            ("a = '''\nsecret\\\n".to_owned(), Some("'''")),
            (format!("# {quotes} it's\nb = \"'''\"\n"), None),
            ("a = \"\\\"#\" # 'x\n".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(within_string(&before), string, "{before}");
        }
        let (shown, caret) = line(r#"hunter2""" x"#, 11..12, Some(quotes));
        assert_eq!((shown.as_str(), &shown[caret]), (r#"***""" x"#, "x"));
        assert_eq!(line("hunter2", 0..1, Some(quotes)).0, "***");
    }

    #[test]
    fn values_of_secret_variables_are_masked_everywhere() {
        assert!(is_secret("DB_PASSWORD") && is_secret("API_TOKEN") && is_secret("STRIPE_KEY"));
        assert!(!is_secret("PUBLIC_URL") && !is_secret("KEYCLOAK_HOME"));
        assert!(!is_secret("OIDC_SECRET_FILE"));
        let secrets = [Secret::from("hunter"), Secret::from("hunter2"), Secret::from("a")];
        assert_eq!(without("x hunter2a", &secrets), "x ***a");
        assert_eq!(without("`a://u:p@ss@h` is bad", &[]), "`a://u:***@h` is bad");
        assert!(is_secret_value("DATABASE_URL", "postgres://me:p/w@host"));
        assert!(is_secret_value("X", "see redis://:p@host"));
        assert!(!is_secret_value("PUBLIC_URL", "http://localhost:8080/@me"));
    }
}
