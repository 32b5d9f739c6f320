//! How templates escape a value: with the named references that every reader of HTML knows.

use std::fmt::{self, Write};

use askama::filters::Escaper;

/// The escaper of `*.html` templates, for text and for quoted attributes; `askama.toml` names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Html;

impl Escaper for Html {
    fn write_escaped_str<W: Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        let mut rest = string;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (plain, special) = rest.split_at(at);
            let reference = match special.as_bytes().first() {
                Some(b'&') => "&amp;",
                Some(b'<') => "&lt;",
                Some(b'>') => "&gt;",
                Some(b'"') => "&quot;",
                _ => "&#39;",
            };
            dest.write_str(plain)?;
            dest.write_str(reference)?;
            rest = &special[1..];
        }
        dest.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_that_ends_a_text_or_an_attribute_is_escaped() {
        for (text, wanted) in [
            ("plain é", "plain é"),
            (r"<a href='x'>&", "&lt;a href=&#39;x&#39;&gt;&amp;"),
            ("\"\"", "&quot;&quot;"),
            ("", ""),
        ] {
            let mut out = String::new();
            Html.write_escaped_str(&mut out, text).unwrap();
            assert_eq!(out, wanted);
        }
    }
}
