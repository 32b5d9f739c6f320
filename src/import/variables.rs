//! Files of variables (`.env`): `NAME=value` lines, as shells, docker and systemd read them.

/// The variables in their order.
pub(super) fn parse(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let line = line.strip_prefix("export ").map_or(line, str::trim_start);
            let (name, value) = line.split_once('=')?;
            let name = name.trim();
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let is_good = !name.is_empty() && name.chars().all(is_name);
            is_good.then(|| (name.to_owned(), value_of(value.trim())))
        })
        .collect()
}

/// The value without its quotes, or without a comment behind it.
fn value_of(text: &str) -> String {
    for quote in ['"', '\''] {
        if let Some((value, _)) = text.strip_prefix(quote).and_then(|rest| rest.rsplit_once(quote))
        {
            return value.to_owned();
        }
    }
    text.split_once(" #").map_or(text, |(value, _)| value.trim_end()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_comments_and_exports() {
        let text = "# x\nA=1\nexport B='two words' # y\nC=\"x\"\nD=a # b\nnot one\nE=\n F-G=1\n";
        let found = parse(text);
        let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(found, [("A", "1"), ("B", "two words"), ("C", "x"), ("D", "a"), ("E", "")]);
    }
}
