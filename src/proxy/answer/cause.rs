//! Why a request got no response of its app, or not the whole of it: a text for people and a word for
//! programs. `docs/request.md` lists the words, and they never change.

use std::borrow::Cow;

use super::refusal::Refusal;

/// The cause in the access line.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    /// `reason_code`
    pub code: &'static str,
    /// `reason`
    pub text: Cow<'static, str>,
}

impl Cause {
    pub(crate) fn new(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, text: text.into() }
    }

    /// The cause of a refused request.
    pub(crate) fn of(refusal: &Refusal) -> Self {
        Self::new(refusal.code(), refusal.reason())
    }
}

impl Refusal {
    /// The word, which never changes.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Path(_) => "path_refused",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::OptionsAsterisk => "options_asterisk",
            Self::TransferCoding => "transfer_coding",
            Self::Expectation => "expectation",
            Self::HeadersTooLarge { .. } => "headers_too_large",
            Self::TooManyHeaders => "too_many_headers",
            Self::TargetTooLong => "target_too_long",
            Self::WebSocketVersion => "websocket_version",
            Self::UnknownHost { .. } => "unknown_host",
            Self::OtherServerName { .. } => "other_server_name",
            Self::Starting { .. } => "issuer_not_right",
            Self::NoCertificate { .. } => "no_certificate",
            Self::NotFound => "no_route",
            Self::NoFile => "no_file",
            Self::FilesAreRead => "files_are_read",
            Self::NotReady { .. } => "app_not_ready",
            Self::SignIn { .. } => "not_signed_in",
            Self::Framed { .. } => "framed",
            Self::BadToken { .. } => "bad_token",
            Self::IssuerDown => "issuer_down",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyRequests { login: true, .. } => "too_many_logins",
            Self::TooManyRequests { login: false, .. } => "too_many_requests",
            Self::Denied { lack, .. } => lack.reason.as_str(),
            Self::CrossSite => "cross_site",
            Self::InAdvance => "in_advance",
            Self::Shielded => "shielded",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::Upstream { .. } => "upstream_failed",
            Self::UpstreamTimeout { .. } => "upstream_timeout",
            Self::InterimResponses { .. } => "interim_responses",
            Self::Internal => "internal",
        }
    }
}
