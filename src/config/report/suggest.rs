//! "Did you mean".

/// The known word that is most like `word`, when one is like it at all.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let word = plain(word);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        // A third of the letters may be wrong, and one of three.
        .filter(|(distance, candidate)| distance * 3 <= candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?``, else all the words that are known.
pub(crate) fn help(word: &str, known: &[&str]) -> String {
    nearest(word, known.iter().copied()).map_or_else(
        || {
            let all: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
            format!("one of {} is known here", all.join(", "))
        },
        |word| format!("did you mean `{word}`?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["command", "public", "signed-in", "cwd"];
        assert_eq!(nearest("comand", known), Some("command"));
        assert_eq!(nearest("pubic", known), Some("public"));
        assert_eq!(nearest("signed_in", known), Some("signed-in"));
        assert_eq!(nearest("bogus", known), None);
        assert_eq!(nearest("a", ["b"]), None);
    }
}
