//! What the rest of the process gets to hear from here.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode};

use crate::auth::Session;

/// Who a request comes from.
#[derive(Debug)]
pub enum Authentication {
    /// Nobody that we know. `clear`: `Set-Cookie` values that remove dead cookies of ours.
    Anonymous {
        /// To be sent with the answer.
        clear: Vec<HeaderValue>,
    },
    /// A live session.
    SignedIn {
        /// It.
        session: Arc<Session>,
        /// A renewed cookie, to be sent with the answer.
        set_cookie: Option<HeaderValue>,
    },
    /// There is a cookie of ours, but the issuer that must confirm it does not answer: 503.
    Unavailable,
}

/// The answer of an endpoint; `proxy` renders it.
pub enum Reply {
    /// 302
    Redirect {
        /// `Location`
        location: String,
        /// `Set-Cookie`
        cookies: Vec<HeaderValue>,
    },
    /// A page for people, or the same as a JSON string.
    Page {
        /// Status.
        status: StatusCode,
        /// Heading.
        title: String,
        /// One or two sentences: what happened, what to do now.
        message: String,
        /// Text and path of the button, when there is a way on.
        action: Option<(String, String)>,
        /// `Retry-After`, seconds; a page with it reloads itself.
        retry_after: Option<u32>,
        /// `Set-Cookie`
        cookies: Vec<HeaderValue>,
    },
    /// `application/json`
    Json {
        /// Status.
        status: StatusCode,
        /// The document.
        body: String,
        /// `Set-Cookie`
        cookies: Vec<HeaderValue>,
    },
    /// Status and headers only, as `/oauth2/auth` answers.
    Empty {
        /// Status.
        status: StatusCode,
        /// Headers, `Set-Cookie` included.
        headers: HeaderMap,
    },
}

impl std::fmt::Debug for Reply {
    /// Without locations and bodies, which carry states, hints and names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Redirect { .. } => f.write_str("Redirect"),
            Self::Page { status, title, .. } => write!(f, "Page({status}, {title})"),
            Self::Json { status, .. } => write!(f, "Json({status})"),
            Self::Empty { status, .. } => write!(f, "Empty({status})"),
        }
    }
}

impl Reply {
    pub(crate) fn redirect(location: impl Into<String>) -> Self {
        Self::Redirect { location: location.into(), cookies: Vec::new() }
    }

    pub(crate) fn page(status: StatusCode, title: &str, message: impl Into<String>) -> Self {
        Self::Page {
            status,
            title: title.to_owned(),
            message: message.into(),
            action: None,
            retry_after: None,
            cookies: Vec::new(),
        }
    }

    /// The issuer gives no verdict: a page that tries again by itself.
    pub(crate) fn unavailable() -> Self {
        let message = "The identity provider does not answer right now.";
        let mut page =
            Self::page(StatusCode::SERVICE_UNAVAILABLE, "Sign-in is not possible yet", message);
        if let Self::Page { retry_after, .. } = &mut page {
            *retry_after = Some(3);
        }
        page
    }

    /// A page's button.
    pub(crate) fn with_action(mut self, text: &str, path: String) -> Self {
        if let Self::Page { action, .. } = &mut self {
            *action = Some((text.to_owned(), path));
        }
        self
    }

    pub(crate) fn with_cookie(mut self, cookie: HeaderValue) -> Self {
        match &mut self {
            Self::Redirect { cookies, .. }
            | Self::Page { cookies, .. }
            | Self::Json { cookies, .. } => {
                cookies.push(cookie);
            }
            Self::Empty { headers, .. } => {
                headers.append(http::header::SET_COOKIE, cookie);
            }
        }
        self
    }
}
