//! The dialect of supervisord's files: that of Python's `RawConfigParser`, with `;` and `#` as inline
//! comments after a space, continuation lines, and keys whose letter case does not count.

use configparser::ini::Ini;

/// One section, for example `[program:web]`.
#[derive(Debug, Clone)]
pub(in crate::import) struct Section {
    /// What stands before the colon: `program`.
    pub(super) kind: String,
    /// What stands behind it: `web`.
    pub(super) name: String,
    pub(super) keys: Vec<(String, String)>,
}

impl Section {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.keys.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// `[program:web]`
    pub(super) fn header(&self) -> String {
        match self.name.as_str() {
            "" => format!("[{}]", self.kind),
            name => format!("[{}:{name}]", self.kind),
        }
    }
}

/// Reads the sections in their order.
pub(super) fn sections(text: &str) -> Result<Vec<Section>, String> {
    let mut ini = Ini::new_cs();
    ini.set_multiline(true);
    // The crate cuts at each `;`, also within a word. supervisord needs a space before it.
    ini.set_inline_comment_symbols(Some(&[]));
    let lines: Vec<&str> = text.lines().map(without_comment).collect();
    let map = ini.read(lines.join("\n"))?;
    let defaults = map.get("DEFAULT").cloned().unwrap_or_default();
    let sections = map.into_iter().filter(|(name, _)| name != "DEFAULT" && name != "default");
    let sections = sections.map(|(name, keys)| {
        let (kind, name) = name.split_once(':').unwrap_or((&name, ""));
        let mut known: Vec<(String, String)> = Vec::new();
        for (key, value) in keys.into_iter().chain(defaults.clone()) {
            let key = key.to_ascii_lowercase();
            if known.iter().all(|(other, _)| *other != key) {
                known.push((key, value.unwrap_or_default()));
            }
        }
        Section { kind: kind.trim().to_owned(), name: name.trim().to_owned(), keys: known }
    });
    Ok(sections.collect())
}

/// The line up to a comment: `;` or `#` at its begin or behind a space.
fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if matches!(c, ';' | '#') && before.is_whitespace() {
            return &line[..at];
        }
        before = c;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_continuations_and_letter_case_are_those_of_supervisord() {
        let text = "\
; a comment
[supervisord]
NoDaemon = true ; stays in front
[program:web]
command=sh -c 'a;b#c' ; gone
 --more
# between
 --again
environment : A=\"1\",
    B=\"x=y\"
empty=
[program:web]
user=nobody
";
        let sections = sections(text).unwrap();
        assert_eq!(sections[0].header(), "[supervisord]");
        assert_eq!(sections[0].get("nodaemon"), Some("true"));
        let web = &sections[1];
        assert_eq!((web.kind.as_str(), web.name.as_str()), ("program", "web"));
        let command: Vec<_> = web.get("command").unwrap().lines().collect();
        assert_eq!(command[..2], ["sh -c 'a;b#c'", "--more"]);
        assert_eq!(command.last(), Some(&"--again"));
        assert!(web.get("environment").unwrap().ends_with("B=\"x=y\""));
        assert_eq!((web.get("empty"), web.get("user")), (Some(""), Some("nobody")));
        assert!(super::sections("[broken\n").is_err());
    }
}
