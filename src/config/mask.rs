//! Keeps secrets out of what is shown of a configuration file.
//!
//! Works on the text alone, so that it also holds for a file that is not TOML yet: the value of
//! a key that is called like a secret (`DB_PASSWORD = "…"`, also `--token=…` inside a command) and
//! the password of a URL become `***`. It is a net below the rule that secrets are named in the
//! file and never written there; it does not find a secret under an innocent name.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

const STARS: &str = "***";

#[expect(clippy::expect_used, reason = "constant expressions, compiled in every test run")]
static SECRETS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    [
        r#"(?isx)
            ( [\w-]* (?: secret | passw | passphrase | token | credential | api[-_]?key
              | private[-_]?key ) [\w-]* | ^\s* keys ) ["']? \s* [=:] \s*
            (?: """ (.+?) (?: """ | $ ) | ''' (.+?) (?: ''' | $ )
              | " ( (?: [^"\\] | \\. )* ) "? | ' ( [^']* ) '?
              | \[ ( [^\]]* ) \]? | ( [^\s,"'{}\[\]&]+ ) )"#,
        r#"(://[^/\s"'@:]*:)([^/\s"'@]+)@"#,
    ]
    .map(|pattern| Regex::new(pattern).expect("a constant expression"))
});

/// A key of ours whose value is the name of a header.
const NO_SECRET: &str = "access_token";

/// The line as it may be shown, and where a byte range of it is then, in characters.
pub(super) fn line(line: &str, span: Range<usize>) -> (String, Range<usize>) {
    let mut shown = String::with_capacity(line.len());
    let mut caret = [None, None];
    let mut at = 0;
    for hidden in hidden(line) {
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
pub(super) fn text(text: &str) -> String {
    line(text, 0..0).0
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

/// What is a secret, in order and without overlaps.
fn hidden(line: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = SECRETS
        .iter()
        .flat_map(|pattern| pattern.captures_iter(line))
        .filter(|captures| captures.get(1).is_none_or(|key| key.as_str() != NO_SECRET))
        .filter_map(|captures| captures.iter().skip(2).flatten().next())
        .map(|value| value.range())
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
    fn secrets_are_hidden_and_references_are_not() {
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
            (r#"listen = "127.0.0.1:80""#, r#"listen = "127.0.0.1:80""#),
        ] {
            assert_eq!(text(text_), shown);
        }
    }

    #[test]
    fn the_caret_follows_its_text() {
        let text = r#"password = "abcdefgh", port = 70000"#;
        let at = text.find("70000").unwrap();
        let (shown, caret) = line(text, at..at + 5);
        assert_eq!(&shown[caret], "70000");
        let (shown, caret) = line(text, 11..21);
        assert_eq!(&shown[caret], "\"***\"");
    }
}
