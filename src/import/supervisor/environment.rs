//! `environment=KEY="value",OTHER=value` of supervisord.

/// The variables in their order. A later one of the same name wins, as in supervisord.
pub(super) fn variables(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let is_gap = |c: char| c == ',' || c.is_whitespace();
    let mut rest = text.trim_start_matches(is_gap);
    while let Some((name, value)) = rest.split_once('=') {
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, after) = match quote {
            Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            None => value.split_at(value.find(is_gap).unwrap_or(value.len())),
        };
        let name = name.trim().to_owned();
        match found.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => value.clone_into(old),
            None => found.push((name, value.to_owned())),
        }
        rest = after.trim_start_matches(is_gap);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_commas_and_lines() {
        let found = variables("A=\"1\",B='x,y=z',\n  C=plain/path:8 , D=\"\",A=2");
        let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(found, [("A", "2"), ("B", "x,y=z"), ("C", "plain/path:8"), ("D", "")]);
        assert!(variables("").is_empty() && variables("nothing").is_empty());
    }
}
