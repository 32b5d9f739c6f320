//! What can go wrong with a call to the issuer.

use http::StatusCode;

/// Size limit of a response body, bytes.
pub(super) const MAX_BODY: usize = 1 << 20;

/// A call that brought no usable response. The text completes a sentence that begins with the URL.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("is not asked: {0}")]
    AppNotReady(String),
    #[error("does not answer: {0}")]
    NoAnswer(String),
    #[error("answers {0}")]
    Status(StatusCode),
    #[error("answers with more than 1 MiB")]
    TooLarge,
}
