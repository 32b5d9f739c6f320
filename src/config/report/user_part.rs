//! Finds the secrets in the user parts of URLs: `scheme://user:password@host`.
//!
//! A password that is written without percent-encoding may contain `/`, `?`, `#`, `:` and `@`, which
//! no URL parser accepts. The user part therefore extends to the *last* `@` of the URL, unless what
//! would be the password begins with a port: `http://host:8080/@me` has no user.

use std::ops::Range;

/// Byte ranges of the passwords, in order.
pub(super) fn secrets(text: &str) -> Vec<Range<usize>> {
    let urls = text.match_indices("://").filter_map(|(at, colon)| {
        let start = at + colon.len();
        let rest = &text[start..];
        let url = &rest[..rest.find(|c| ends_url(c, quote(&text[..at]))).unwrap_or(rest.len())];
        let (user, _) = url.rsplit_once('@')?;
        let secret = match user.split_once(':') {
            Some((name, _)) if is_host(name) && begins_with_port(&user[name.len() + 1..]) => None,
            Some((name, password)) if is_host(name) && !password.is_empty() => {
                Some(name.len() + 1..user.len())
            }
            // A token in place of the name, as services for source code and error reports use it.
            None if text[..at].ends_with("http") || text[..at].ends_with("https") => {
                is_host(user).then_some(0..user.len())
            }
            _ => None,
        };
        secret.map(|secret| start + secret.start..start + secret.end)
    });
    let mut found: Vec<Range<usize>> = Vec::new();
    for secret in urls.filter(|secret| !secret.is_empty()) {
        match found.last_mut() {
            // A URL within the password of another.
            Some(last) if secret.start < last.end => last.end = last.end.max(secret.end),
            _ => found.push(secret),
        }
    }
    found
}

/// The quotes of the string that the text ends in, as far as one line shows it.
fn quote(text: &str) -> Option<char> {
    let (mut open, mut escaped) = (None, false);
    for c in text.chars() {
        match open {
            None if c == '"' || c == '\'' => open = Some(c),
            Some(quote) if c == quote && !escaped => open = None,
            _ => {}
        }
        escaped = !escaped && c == '\\' && open == Some('"');
    }
    open
}

/// `'` may be part of a URL, but not within a string that it ends.
fn ends_url(c: char, quote: Option<char>) -> bool {
    c.is_whitespace() || c == '"' || c == '`' || (c == '\'' && quote == Some('\''))
}

/// Whether the text before the colon can be a name: the path, query or fragment has not begun.
fn is_host(text: &str) -> bool {
    !text.contains(['/', '?', '#'])
}

fn begins_with_port(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (1..=5).contains(&digits) && text[digits..].starts_with(['/', '?', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let mut shown = String::new();
        let mut at = 0;
        for secret in secrets(text) {
            shown.push_str(&text[at..secret.start]);
            shown.push_str("***");
            at = secret.end;
        }
        shown + &text[at..]
    }

    #[test]
    fn the_whole_password_is_found() {
        for (text, shown) in [
            ("postgres://me:p@ss-ONE@host/db", "postgres://me:***@host/db"),
            ("postgres://me:pa/ss-TWO@host", "postgres://me:***@host"),
            ("redis://:pa?ss#x@host:6379/0", "redis://:***@host:6379/0"),
            ("amqp://a:b:c@host", "amqp://a:***@host"),
            ("\"mysql://me:it's@host\"", "\"mysql://me:***@host\""),
            ("'mysql://me:x@host', 'a@b'", "'mysql://me:***@host', 'a@b'"),
            ("mongodb://u:p@h1:1,h2:2/db?x=y", "mongodb://u:***@h1:1,h2:2/db?x=y"),
            ("a://u:b://v:w@x@host", "a://u:***@host"),
            ("a://u:p1@h b://u:p2@h", "a://u:***@h b://u:***@h"),
            ("https://ghp_0123@github.com/x", "https://***@github.com/x"),
            ("`http://u:p@h` and a@b", "`http://u:***@h` and a@b"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn a_url_without_a_password_stays() {
        for text in [
            "http://localhost:8080/users/@me",
            "http://localhost:8080?mail=a@b.org",
            "https://registry.example/@scope/package",
            "http://host/a:b@c",
            "ssh://git@host/x",
            "redis://:@host",
            "http://localhost:8080 a:b@c",
            "\"http://localhost:8080/\", \"--mail\", \"a@b.org\"",
            "http://[::1]:80/",
            "a@b.org",
            "",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
