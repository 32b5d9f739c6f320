//! Everything that can keep a request from its app, typed once.
//!
//! Each has a status, words for people and words for the log; [`super::answer`] turns it into an
//! answer.

use std::borrow::Cow;

use http::StatusCode;

use crate::config::Phase;

/// Why a request is not answered by its app.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No valid request.
    Malformed(&'static str),
    /// TRACE and CONNECT.
    Method,
    /// `OPTIONS *`: a question to us that has an empty answer.
    Asterisk,
    /// A transfer coding other than chunked.
    Coding,
    /// An `Expect` that nobody can meet.
    Expectation,
    /// Too many or too long header lines.
    HeadersTooLarge,
    /// The request line is too long.
    TargetTooLong,
    /// A WebSocket version that nobody speaks.
    WebSocketVersion,
    /// A `Host` that is not ours.
    UnknownHost,
    /// The gate is shut: the issuer is not right yet, and why.
    Starting {
        /// For people: a sentence.
        told: String,
        /// For the log.
        why: String,
    },
    /// Nothing is there.
    NotFound,
    /// The app is not ready: its title and phase.
    NotReady {
        /// For people.
        app: String,
        /// `starting`, `backoff`, …
        phase: Phase,
    },
    /// Somebody must sign in first.
    SignIn {
        /// Where a person is sent; `None` for everything that is no navigation.
        login: Option<String>,
    },
    /// The issuer that must confirm a session does not answer.
    IssuerDown,
    /// Not this person.
    Denied {
        /// For people; `None` is the operator page.
        app: Option<String>,
        /// What is missing: `the group group2`.
        missing: String,
        /// Whom they are signed in as.
        user: String,
    },
    /// Another site made the browser ask.
    CrossSite,
    /// A script or a frame asked for what only a page of its own, or only a program, gets.
    Shielded,
    /// The body is longer than the app takes.
    BodyTooLarge,
    /// The body stopped coming.
    BodyTimeout,
    /// The app could not be reached or gave no proper answer.
    Upstream {
        /// For people.
        app: String,
        /// For the log.
        why: Cow<'static, str>,
    },
    /// The app gave no answer in time.
    UpstreamTimeout {
        /// For people.
        app: String,
    },
    /// A bug of ours.
    Internal,
}

impl Refusal {
    /// An upstream failure.
    pub(crate) fn upstream(app: &str, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Upstream { app: app.to_owned(), why: why.into() }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Asterisk => StatusCode::NO_CONTENT,
            Self::Coding => StatusCode::NOT_IMPLEMENTED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Starting { .. } | Self::NotReady { .. } | Self::IssuerDown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::SignIn { login: Some(_) } => StatusCode::FOUND,
            Self::SignIn { login: None } => StatusCode::UNAUTHORIZED,
            Self::Denied { .. } | Self::CrossSite | Self::Shielded => StatusCode::FORBIDDEN,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Upstream { .. } => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The log's `decision`.
    pub(crate) fn decision(&self) -> &'static str {
        match self {
            Self::SignIn { .. } => "sign-in",
            Self::Denied { .. } => "deny",
            Self::Starting { .. } | Self::NotReady { .. } | Self::IssuerDown => "wait",
            Self::Upstream { .. } | Self::UpstreamTimeout { .. } | Self::BodyTimeout => "allow",
            Self::NotFound => "no-route",
            _ => "refuse",
        }
    }

    /// The log's `reason`.
    pub(crate) fn reason(&self) -> Cow<'static, str> {
        match self {
            Self::Malformed(why) => Cow::Borrowed(why),
            Self::Method => "the method is not allowed".into(),
            Self::Asterisk => "answered by the proxy".into(),
            Self::Coding => "an unknown transfer coding".into(),
            Self::Expectation => "an unknown expectation".into(),
            Self::HeadersTooLarge => "the headers are too large".into(),
            Self::TargetTooLong => "the request line is too long".into(),
            Self::WebSocketVersion => "an unknown WebSocket version".into(),
            Self::UnknownHost => "an unknown host".into(),
            Self::Starting { why, .. } => why.clone().into(),
            Self::NotFound => "no route".into(),
            Self::NotReady { phase, .. } => format!("the app is {}", phase.as_str()).into(),
            Self::SignIn { .. } => "nobody is signed in".into(),
            Self::IssuerDown => "the issuer does not answer".into(),
            Self::Denied { missing, .. } => missing.clone().into(),
            Self::CrossSite => "another site asked".into(),
            Self::Shielded => "a script or a frame asked the sign-in service".into(),
            Self::BodyTooLarge => "the body is too large".into(),
            Self::BodyTimeout => "the body stopped coming".into(),
            Self::Upstream { why, .. } => why.clone(),
            Self::UpstreamTimeout { .. } => "no answer in time".into(),
            Self::Internal => "a bug in the appliance".into(),
        }
    }

    /// Heading of the page.
    pub(crate) fn title(&self) -> Cow<'static, str> {
        match self {
            Self::Starting { .. } => "Starting".into(),
            Self::NotReady { app, phase: Phase::Stopping | Phase::Stopped | Phase::Failed } => {
                format!("{app} does not run").into()
            }
            Self::NotReady { app, .. } => format!("{app} is not ready yet").into(),
            Self::IssuerDown => "Sign-in is not available right now".into(),
            Self::NotFound => "There is nothing here".into(),
            Self::UnknownHost => "This is not the right address".into(),
            Self::SignIn { .. } => "Please sign in".into(),
            Self::Denied { .. } => "This is not open to you".into(),
            Self::CrossSite => "This request came from another site".into(),
            Self::Shielded => "This opens only as a page of its own".into(),
            Self::Upstream { app, .. } => format!("{app} does not answer properly").into(),
            Self::UpstreamTimeout { app } => format!("{app} takes too long").into(),
            Self::BodyTooLarge => "This is too large".into(),
            Self::BodyTimeout => "The upload stopped".into(),
            Self::Internal => "Something went wrong".into(),
            _ => "This request cannot be understood".into(),
        }
    }

    /// What happened and what to do now, for people.
    pub(crate) fn message(&self) -> Cow<'static, str> {
        match self {
            Self::Starting { told, .. } => told.clone().into(),
            Self::NotReady { app, phase } => not_ready(app, *phase).into(),
            Self::IssuerDown => {
                "Your session has to be confirmed by the sign-in service, which does not answer.".into()
            }
            Self::NotFound => "Check the address, or go back to the start page.".into(),
            Self::UnknownHost => "Nothing is served under this host name.".into(),
            Self::SignIn { .. } => "not signed in".into(),
            Self::Denied { app, missing, user } => format!(
                "You are signed in as {user}, but {} needs {missing}. Ask for it, or sign in as somebody else.",
                app.as_deref().unwrap_or("this page"),
            )
            .into(),
            Self::CrossSite => "It was refused to protect you. Start from the start page instead.".into(),
            Self::Shielded => {
                "The sign-in service shares its origin with apps, so it answers neither their scripts nor frames.".into()
            }
            Self::Upstream { app, .. } => {
                format!("{app} gave no proper answer. It may be restarting: try again in a moment.")
                    .into()
            }
            Self::UpstreamTimeout { app } => {
                format!("{app} gave no answer in time. Try again in a moment.").into()
            }
            Self::BodyTooLarge => "The app does not take requests of this size.".into(),
            Self::BodyTimeout => "Nothing came for too long. Try again.".into(),
            Self::Internal => "The log says more under the number below.".into(),
            _ => {
                let mut text = self.reason().into_owned();
                if let Some(first) = text.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                text.push('.');
                text.into()
            }
        }
    }

    /// Seconds after which asking again makes sense; a page with it reloads itself.
    pub(super) fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Starting { .. } | Self::NotReady { .. } => Some(2),
            Self::IssuerDown => Some(5),
            _ => None,
        }
    }

    /// After these the connection is no longer trusted to be in step.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(
            self,
            Self::Malformed(_)
                | Self::Method
                | Self::Coding
                | Self::Expectation
                | Self::HeadersTooLarge
                | Self::TargetTooLong
                | Self::BodyTooLarge
                | Self::BodyTimeout
        )
    }
}

/// Where an app is that cannot be asked now, for people.
fn not_ready(app: &str, phase: Phase) -> String {
    match phase {
        Phase::Waiting => format!("{app} waits for what it needs."),
        Phase::Starting | Phase::Ready | Phase::Finished => format!("{app} is starting."),
        Phase::Unready => format!("{app} runs, but says that it is not well."),
        Phase::Backoff => format!("{app} ended and is started again in a moment."),
        Phase::Stopping => format!("{app} is ending."),
        Phase::Stopped => format!("{app} was stopped."),
        Phase::Failed => {
            format!("{app} does not run any more. Whoever runs this server finds why in its log.")
        }
    }
}
