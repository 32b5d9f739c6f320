//! Every reason for which a request does not reach its app: the status and the texts for the log.
//!
//! [`super::refuse`] turns a refusal into a response, with the texts for people in [`super::wording`].

use std::borrow::Cow;

use http::StatusCode;

use super::path_fault::PathFault;
use crate::auth::policy::Lack;
use crate::config::{AppName, Phase};
use crate::texts::Message;

/// Why a request is not answered by its app.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The request is not valid; the reason for the log and the page.
    Malformed(&'static str),
    /// A part of the path is ambiguous.
    Path(PathFault),
    /// The method is TRACE or CONNECT, or an endpoint of the appliance does not take the method.
    MethodNotAllowed,
    /// `OPTIONS *`, a request to the server itself, which gets an empty response.
    OptionsAsterisk,
    /// The transfer coding is not `chunked`.
    TransferCoding,
    /// The `Expect` header is not `100-continue`.
    Expectation,
    /// The header lines are too long.
    HeadersTooLarge {
        /// The header that has the most bytes.
        header: String,
        /// Its bytes, as far as they have arrived.
        bytes: usize,
    },
    /// The header lines are too many.
    TooManyHeaders,
    /// The request line is too long.
    TargetTooLong,
    /// The WebSocket version is not 13.
    WebSocketVersion,
    /// No app is served under the `Host` of the request.
    UnknownHost {
        /// The host that the request named, with its port.
        host: String,
    },
    /// The TLS handshake was for another host than the request.
    OtherServerName {
        /// The host that the request named, with its port.
        host: String,
    },
    /// The gate is shut: people cannot sign in yet.
    Starting {
        /// A sentence for people.
        message: Message,
        /// The reason for the log.
        reason: String,
        /// The sign-in service is on its way up; `false` if it has been stopped or has failed.
        in_progress: bool,
    },
    /// The first certificate is on its way.
    NoCertificate {
        /// The authority that it comes from.
        authority: String,
    },
    /// No app has a route for the path, or the path is not an endpoint of the appliance.
    NotFound,
    /// A site has no file for the path.
    NoFile,
    /// The method is neither GET nor HEAD, and the app is a folder with files.
    FilesAreRead,
    /// The app is not ready.
    NotReady {
        /// The app's title.
        app: String,
        /// The app's phase.
        phase: Phase,
    },
    /// The request needs a session.
    SignIn {
        /// The path of the login for a navigation; `None` for every other request.
        login: Option<String>,
    },
    /// The request needs a session, and a page of another site frames the response.
    Framed {
        /// What a new tab opens.
        address: String,
        /// The app whose frame may get a session of its own, and its title.
        embedded: Option<(AppName, String)>,
    },
    /// The access token of a program lets nobody in.
    BadToken {
        /// The reason, which says nothing secret.
        reason: String,
    },
    /// The issuer must confirm the session, and does not respond.
    IssuerDown,
    /// The connection is over `max_connections` or `max_connections_per_ip`.
    TooManyConnections,
    /// The client is over `rate_limit`, or over the limit of logins.
    TooManyRequests {
        /// Time until the client may ask again.
        seconds: u32,
        /// The request began or completed a login.
        login: bool,
    },
    /// The access rules exclude the signed-in person.
    Denied {
        /// The app's title; `None` for the operator page.
        app: Option<String>,
        /// What the person lacks.
        lack: Lack,
        /// The name under which the person is signed in.
        user: String,
    },
    /// Another site made the browser send the request.
    CrossSite,
    /// The browser fetches in advance what begins a login or ends a session.
    InAdvance,
    /// A script or a frame asked for what only a page of its own, or only a program, gets.
    Shielded,
    /// The body is longer than the app's `max_body`.
    BodyTooLarge,
    /// The body made no progress for longer than `body_timeout`.
    BodyTimeout,
    /// The app could not be reached or sent no valid response.
    Upstream {
        /// The app's title.
        app: String,
        /// The reason for the log.
        why: Cow<'static, str>,
    },
    /// The app sent no response within its `timeout`.
    UpstreamTimeout {
        /// The app's title.
        app: String,
    },
    /// The app sent interim responses (1xx) without end.
    InterimResponses {
        /// The app's title.
        app: String,
    },
    /// A bug in the appliance.
    Internal,
}

impl Refusal {
    /// The refusal after a failed request to an app.
    pub(crate) fn upstream(app: &str, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Upstream { app: app.to_owned(), why: why.into() }
    }

    /// The status code of the response.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::Path(_) => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed | Self::FilesAreRead => StatusCode::METHOD_NOT_ALLOWED,
            Self::OptionsAsterisk => StatusCode::NO_CONTENT,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::HeadersTooLarge { .. } | Self::TooManyHeaders => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::UnknownHost { .. } | Self::OtherServerName { .. } => {
                StatusCode::MISDIRECTED_REQUEST
            }
            Self::Starting { .. }
            | Self::NoCertificate { .. }
            | Self::NotReady { .. }
            | Self::IssuerDown
            | Self::InAdvance
            | Self::TooManyConnections => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound | Self::NoFile => StatusCode::NOT_FOUND,
            Self::SignIn { login: Some(_) } => StatusCode::FOUND,
            Self::SignIn { login: None } | Self::Framed { .. } | Self::BadToken { .. } => {
                StatusCode::UNAUTHORIZED
            }
            Self::Denied { .. } | Self::CrossSite | Self::Shielded => StatusCode::FORBIDDEN,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Upstream { .. } => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout { .. } | Self::InterimResponses { .. } => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The field `decision` of the access line.
    pub(crate) fn decision(&self) -> &'static str {
        match self {
            Self::SignIn { .. } | Self::Framed { .. } => "sign-in",
            Self::Denied { .. } => "deny",
            Self::Starting { .. }
            | Self::NoCertificate { .. }
            | Self::NotReady { .. }
            | Self::IssuerDown => "wait",
            Self::Upstream { .. }
            | Self::UpstreamTimeout { .. }
            | Self::InterimResponses { .. }
            | Self::NoFile
            | Self::FilesAreRead
            | Self::BodyTimeout => "allow",
            Self::NotFound => "no-route",
            _ => "refuse",
        }
    }

    /// The field `reason` of the access line.
    pub(crate) fn reason(&self) -> Cow<'static, str> {
        match self {
            Self::Malformed(why) => Cow::Borrowed(why),
            Self::Path(fault) => fault.reason(),
            Self::MethodNotAllowed => "the method is not allowed".into(),
            Self::FilesAreRead => "files are only read".into(),
            Self::OptionsAsterisk => "answered by the proxy".into(),
            Self::TransferCoding => "the transfer coding is not supported".into(),
            Self::Expectation => "the Expect header is not supported".into(),
            Self::HeadersTooLarge { header, bytes } => {
                format!("the headers are too large: {header} has {bytes} bytes").into()
            }
            Self::TooManyHeaders => "the headers are too many".into(),
            Self::TargetTooLong => "the request line is too long".into(),
            Self::WebSocketVersion => "the WebSocket version is not supported".into(),
            Self::UnknownHost { .. } => "no app is served under this host".into(),
            Self::OtherServerName { .. } => "the TLS handshake was for another host".into(),
            Self::Starting { reason, .. } | Self::BadToken { reason } => reason.clone().into(),
            Self::NoCertificate { .. } => "there is no certificate yet".into(),
            Self::NotFound => "no route".into(),
            Self::NoFile => "the site has no such file".into(),
            Self::NotReady { phase, .. } => format!("the app is {}", phase.as_str()).into(),
            Self::SignIn { .. } => "no session".into(),
            Self::Framed { .. } => "no session, in a frame of another site".into(),
            Self::IssuerDown => "the issuer does not respond".into(),
            Self::TooManyConnections => "too many connections".into(),
            Self::TooManyRequests { login: true, .. } => "too many logins".into(),
            Self::TooManyRequests { login: false, .. } => "too many requests".into(),
            Self::Denied { lack, .. } => lack.what.to_string().into(),
            Self::CrossSite => "another site caused the request".into(),
            Self::InAdvance => "the browser fetches in advance".into(),
            Self::Shielded => "a script or a frame asked the sign-in service".into(),
            Self::BodyTooLarge => "the body is too large".into(),
            Self::BodyTimeout => "the body stopped arriving".into(),
            Self::Upstream { why, .. } => why.clone(),
            Self::UpstreamTimeout { .. } => "no response in time".into(),
            Self::InterimResponses { .. } => "interim responses without end".into(),
            Self::Internal => "a bug in the appliance".into(),
        }
    }

    /// Whether the cookies of the browser are the cause.
    pub(super) fn is_about_cookies(&self) -> bool {
        matches!(self, Self::HeadersTooLarge { header, .. } if header == "Cookie")
    }

    /// `Retry-After` in seconds. A page with it refreshes itself.
    pub(super) fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Starting { .. } | Self::NotReady { .. } => Some(2),
            Self::NoCertificate { .. } | Self::IssuerDown | Self::TooManyConnections => Some(5),
            Self::TooManyRequests { seconds, .. } => Some(*seconds),
            _ => None,
        }
    }

    /// Whether the page refreshes itself until the cause has passed.
    pub(crate) fn is_repeated(&self) -> bool {
        matches!(self, Self::Starting { .. } | Self::NoCertificate { .. } | Self::NotReady { .. })
    }

    /// Whether the page shows that the cause is expected to pass soon. A stopped or failed app does
    /// not come back by itself.
    pub(super) fn is_in_progress(&self) -> bool {
        match self {
            Self::Starting { in_progress, .. } => *in_progress,
            Self::NotReady { phase, .. } => {
                !matches!(phase, Phase::Stopping | Phase::Stopped | Phase::Idle | Phase::Failed)
            }
            Self::NoCertificate { .. } | Self::IssuerDown | Self::TooManyConnections => true,
            _ => false,
        }
    }

    /// Whether the connection is closed after the response, because the next request on it could
    /// start at the wrong byte.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(
            self,
            // The next handshake may have the certificate.
            Self::NoCertificate { .. }
                | Self::TooManyConnections
                | Self::Malformed(_)
                | Self::Path(_)
                | Self::MethodNotAllowed
                | Self::TransferCoding
                | Self::Expectation
                | Self::HeadersTooLarge { .. }
                | Self::TooManyHeaders
                | Self::TargetTooLong
                | Self::BodyTooLarge
                | Self::BodyTimeout
        )
    }
}
