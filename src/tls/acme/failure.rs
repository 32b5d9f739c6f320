//! Why an order failed.

use instant_acme::Error;

use crate::telemetry::root_cause;

/// Why there is no certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The problem in the words of the authority, or of the network.
    pub(super) why: String,
    /// The authority does not know the account.
    pub(super) is_about_account: bool,
}

impl Failure {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_about_account: false }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let is_about_account = match &error {
            Error::Api(problem) => {
                problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
            }
            _ => false,
        };
        let why = root_cause(&error).unwrap_or_else(|| error.to_string());
        Self { why, is_about_account }
    }
}
