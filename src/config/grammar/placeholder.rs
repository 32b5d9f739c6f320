//! Placeholders: `{port}`, `{path}`, `{data}` and the like.
//!
//! A placeholder is a word of small letters and `_` in braces. `{{word}}` is the text `{word}`. Other
//! braces stay, and so do `${word}`, which is shell syntax, and `%{word}`, which is curl's.

/// A part of a text.
enum Part<'t> {
    Text(&'t str),
    /// `{word}`
    Word(&'t str),
    /// `{{word}}`
    Doubled(&'t str),
}

/// Replaces every known `{word}`, once: a value is not expanded again. Other placeholders stay for
/// [`finish`].
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    rewrite(text, values, |word| format!("{{{{{word}}}}}"))
}

/// The same, and `{{word}}` becomes `{word}`. For the last step.
pub(crate) fn finish(text: &str, values: &[(&str, &str)]) -> String {
    rewrite(text, values, |word| format!("{{{word}}}"))
}

/// The placeholders of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    parts(text).filter_map(|part| match part {
        Part::Word(word) => Some(word),
        Part::Text(_) | Part::Doubled(_) => None,
    })
}

fn rewrite(text: &str, values: &[(&str, &str)], doubled: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    for part in parts(text) {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Doubled(word) => out.push_str(&doubled(word)),
            Part::Word(word) => match values.iter().find(|(name, _)| *name == word) {
                Some((_, value)) => out.push_str(value),
                None => out.extend(["{", word, "}"]),
            },
        }
    }
    out
}

fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    let mut after_sign = false;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let braces = rest.bytes().take_while(|byte| *byte == b'{').count();
        let part = match (braces, braced(&rest[braces..])) {
            (0, _) => Part::Text(&rest[..rest.find('{').unwrap_or(rest.len())]),
            (1, Some(word)) if !after_sign => Part::Word(word),
            (2, Some(word)) if rest[2 + word.len()..].starts_with("}}") => Part::Doubled(word),
            // The last brace may begin a placeholder.
            (2.., Some(_)) => Part::Text(&rest[..braces - 1]),
            (_, _) => Part::Text(&rest[..braces]),
        };
        let length = match &part {
            Part::Text(text) => text.len(),
            Part::Word(word) => word.len() + 2,
            Part::Doubled(word) => word.len() + 4,
        };
        after_sign = rest[..length].ends_with(['$', '%']);
        rest = &rest[length..];
        Some(part)
    })
}

/// The word before the next closing brace.
fn braced(text: &str) -> Option<&str> {
    let (word, _) = text.split_once('}')?;
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (!word.is_empty() && word.bytes().all(is_letter)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_replaced_once() {
        let values = [("port", "80"), ("name", "{port}"), ("public_host", "h")];
        for (text, filled, finished) in [
            ("p{port}", "p80", "p80"),
            ("{name}{port}", "{port}80", "{port}80"),
            ("${port} $${port}", "${port} $${port}", "${port} $${port}"),
            (r#"{"port": {port}}"#, r#"{"port": 80}"#, r#"{"port": 80}"#),
            ("{other} {", "{other} {", "{other} {"),
            ("{{port}}", "{{port}}", "{port}"),
            ("{{other}}", "{{other}}", "{other}"),
            ("{{{port}}}", "{{80}}", "{{80}}"),
            ("{{port}", "{80", "{80"),
            (
                "{} {1..3} {a,b} %{http_code} {Port} { port }",
                "{} {1..3} {a,b} %{http_code} {Port} { port }",
                "{} {1..3} {a,b} %{http_code} {Port} { port }",
            ),
            ("http://{public_host}/ä{port}ö", "http://h/ä80ö", "http://h/ä80ö"),
        ] {
            assert_eq!(fill(text, &values), filled);
            assert_eq!(finish(text, &values), finished);
        }
    }

    #[test]
    fn other_braces_are_no_words() {
        let text = r#"{port} {{name}} ${home} {"a": 1} {} {1..3} {x-y} {{.Name}} {prot}}"#;
        assert_eq!(words(text).collect::<Vec<_>>(), ["port", "prot"]);
        // curl's variables begin with a percent sign.
        assert_eq!(words("%{http_code}").count(), 0);
    }
}
