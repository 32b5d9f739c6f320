//! Placeholders: `{port}`, `{path}`, `{public_url}`, `{name}`.

/// Replaces every `{name}` of the list, once: a value is not expanded again. Other braces stay, and
/// so does `${name}`, which is shell syntax.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let known = values.iter().find_map(|(name, value)| {
            let after = from[1..].strip_prefix(name)?.strip_prefix('}')?;
            Some((value, after))
        });
        match known {
            Some((value, after)) if !before.ends_with('$') => {
                out.push_str(value);
                rest = after;
            }
            _ => {
                out.push('{');
                rest = &from[1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn known_names_are_replaced_once() {
        let values = [("port", "80"), ("name", "{port}")];
        for (text, filled) in [
            ("p{port}", "p80"),
            ("{name}{port}", "{port}80"),
            ("${port} $${port}", "${port} $${port}"),
            (r#"{"port": {port}}"#, r#"{"port": 80}"#),
            ("{other} {", "{other} {"),
            ("{{port}}", "{80}"),
        ] {
            assert_eq!(fill(text, &values), filled);
        }
    }
}
