//! What an issuer says in words of its own: it ends up in pages, in the log and in `status`.

const MOST: usize = 200;

/// On one line, and no longer than somebody reads.
pub(crate) fn brief(said: &str) -> String {
    let mut words = said.chars().filter(|c| !c.is_control());
    let mut text: String = words.by_ref().take(MOST).collect();
    if words.next().is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_too_long_or_breaks_a_line() {
        assert_eq!(brief("access\r\n_denied\u{1b}"), "access_denied");
        assert_eq!(brief(&"ü".repeat(MOST)), "ü".repeat(MOST));
        assert_eq!(brief(&"ü".repeat(100_000)), "ü".repeat(MOST) + "…");
    }
}
