//! The cause of an error that is worth telling.

use std::error::Error;

/// The text of the innermost cause: the most specific one. For errors of `reqwest` it contains no URL,
/// and therefore no secret.
pub(crate) fn root_cause(error: &dyn Error) -> Option<String> {
    std::iter::successors(error.source(), |error| (*error).source()).last().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Link(&'static str, #[source] Option<Box<Link>>);

    #[test]
    fn the_innermost_cause_counts_and_not_the_error_itself() {
        let alone = Link("outer", None);
        assert_eq!(root_cause(&alone), None);
        let chain =
            Link("outer", Some(Box::new(Link("middle", Some(Box::new(Link("inner", None)))))));
        assert_eq!(root_cause(&chain).as_deref(), Some("inner"));
    }
}
