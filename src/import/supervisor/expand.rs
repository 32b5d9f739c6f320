//! `%(…)s` in values, as Python formats them.

use crate::import::value::reference;

/// What the names in `%(name)s` stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(Vec<(String, String)>);

impl Names {
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut names = self.clone();
        names.0.insert(0, (name.to_owned(), value.to_owned()));
        names
    }

    /// Replaces `%(name)s`, `%(number)02d` and `%%`. `%(ENV_X)s` becomes a reference to the variable
    /// X. The error names what is not known.
    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                out.push('%');
                rest = after;
                continue;
            }
            let Some((name, format)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'))
            else {
                // supervisord refuses such a file; the text can only mean itself.
                out.push('%');
                continue;
            };
            let end = format.find(|c: char| !c.is_ascii_digit()).unwrap_or(format.len());
            let (width, after) = format.split_at(end);
            rest = after.strip_prefix(['s', 'd']).unwrap_or(after);
            out.push_str(&padded(&self.value(name)?, width));
        }
        Ok(out + rest)
    }

    fn value(&self, name: &str) -> Result<String, String> {
        if let Some(variable) = name.strip_prefix("ENV_") {
            return Ok(reference(variable));
        }
        let known = self.0.iter().find(|(known, _)| known == name);
        known.map(|(_, value)| value.clone()).ok_or_else(|| format!("`%({name})s` is not known"))
    }
}

/// `02` in `%(process_num)02d`
fn padded(value: &str, width: &str) -> String {
    let number = width.parse().unwrap_or(0);
    let fill = if width.starts_with('0') { '0' } else { ' ' };
    let missing = usize::saturating_sub(number, value.len());
    std::iter::repeat_n(fill, missing.min(20)).chain(value.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_as_python_does() {
        let names = Names::default().with("here", "/srv").with("process_num", "7");
        for (text, expanded) in [
            ("%(here)s/x", "/srv/x"),
            ("p%(process_num)02d-%(process_num)d", "p07-7"),
            ("85%(process_num)02d", "8507"),
            ("100%%", "100%"),
            ("date +%H", "date +%H"),
            ("%(open", "%(open"),
        ] {
            assert_eq!(names.expand(text).as_deref(), Ok(expanded));
        }
        assert_eq!(names.expand("%(ENV_HOME)s/x"), Ok(format!("{}/x", reference("HOME"))));
        assert!(names.expand("%(nope)s").unwrap_err().contains("nope"));
    }
}
