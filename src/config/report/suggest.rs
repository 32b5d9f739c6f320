//! Suggestions for misspelt words: "did you mean".

/// The known word that is most similar to `word`, if any is similar.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let word = plain(word);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        // At most a third of the letters may differ.
        .filter(|(distance, candidate)| distance * 3 <= candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?``, otherwise the list of known words.
pub(crate) fn help(word: &str, known: &[&str]) -> String {
    nearest(word, known.iter().copied()).map_or_else(
        || {
            let all: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
            format!("the possible values are {}", all.join(", "))
        },
        |word| format!("did you mean `{word}`?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_words_are_suggested() {
        let known = ["command", "public", "signed-in", "cwd"];
        assert_eq!(nearest("comand", known), Some("command"));
        assert_eq!(nearest("pubic", known), Some("public"));
        assert_eq!(nearest("signed_in", known), Some("signed-in"));
        assert_eq!(nearest("bogus", known), None);
        assert_eq!(nearest("a", ["b"]), None);
    }
}
