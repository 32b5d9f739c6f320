//! Texts that an issuer sends, bounded before they appear on a page, in the log or in `status`.

/// The most characters that are shown of one text.
const MAX: usize = 200;

/// The text on one line, without control characters, cut after 200 characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut characters = text.chars().filter(|c| !c.is_control());
    let mut line: String = characters.by_ref().take(MAX).collect();
    if characters.next().is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_one_line_of_bounded_length() {
        assert_eq!(one_line("access\r\n_denied\u{1b}"), "access_denied");
        assert_eq!(one_line(&"ü".repeat(MAX)), "ü".repeat(MAX));
        assert_eq!(one_line(&"ü".repeat(100_000)), "ü".repeat(MAX) + "…");
    }
}
