//! Finds words of a page that are in no file of texts, for tests.

/// The words that a reader of a page in [`super::Language::Marks`] sees or hears outside of the marks. The
/// values that a test gives have no letters, so every letter is left over.
pub(crate) fn leftovers(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut depth, mut word) = (0, String::new());
    for c in visible(html).chars() {
        match c {
            '\u{27e6}' => depth += 1,
            '\u{27e7}' => depth -= 1,
            c if depth == 0 && c.is_alphabetic() => word.push(c),
            _ if !word.is_empty() => found.push(std::mem::take(&mut word)),
            _ => {}
        }
    }
    found
}

/// The text between the tags, and the attributes that people see.
fn visible(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<').skip(1) {
        let (tag, after) = part.split_once('>').unwrap_or((part, ""));
        for attribute in ["title=\"", "alt=\"", "aria-label=\"", "placeholder=\""] {
            let value = tag.split_once(attribute).and_then(|(_, rest)| rest.split_once('"'));
            text.extend(value.into_iter().flat_map(|(value, _)| [" ", value]));
        }
        text.extend([" ", after]);
    }
    for (reference, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
    {
        text = text.replace(reference, character);
    }
    text + " "
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_outside_of_marks_are_found() {
        let page = "<!doctype html><title>\u{27e6}a\u{27e7} \u{b7} 1</title><p class=\"x\">\u{27e6}{\u{27e6}b\u{27e7}}\u{27e7}</p>";
        assert_eq!(leftovers(page), [""; 0]);
        let page = "<p>\u{27e6}a\u{27e7} left</p><td title=\"since 3\">&lt;1&gt;<b>Über</b>";
        assert_eq!(leftovers(page), ["left", "since", "Über"]);
    }
}
