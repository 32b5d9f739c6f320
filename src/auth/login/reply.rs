//! The answer of an endpoint, for `proxy` to render.

use http::{HeaderMap, HeaderValue, StatusCode};

use crate::texts::{Message, Text};

/// The answer of an endpoint.
pub enum Reply {
    /// 302
    Redirect {
        /// `Location`
        location: String,
        /// `Set-Cookie`
        cookies: Vec<HeaderValue>,
    },
    /// A page for people; a JSON string for other clients.
    Page {
        /// Status code.
        status: StatusCode,
        /// Heading.
        title: Message,
        /// One or two sentences: what has happened and what to do.
        message: Message,
        /// The page's button, if it has one.
        action: Option<Action>,
        /// Text and path of a link beside the button, if there is one.
        link: Option<(Message, String)>,
        /// `Retry-After`, seconds; a page that has it reloads itself.
        retry_after: Option<u32>,
        /// `Set-Cookie`
        cookies: Vec<HeaderValue>,
    },
    /// `application/json`
    Json {
        /// Status code.
        status: StatusCode,
        /// The JSON text.
        body: String,
        /// `Set-Cookie`
        cookies: Vec<HeaderValue>,
    },
    /// Status code and headers without a body, as `/oauth2/auth` answers.
    Empty {
        /// Status code.
        status: StatusCode,
        /// Headers, including `Set-Cookie`.
        headers: HeaderMap,
    },
}

/// The button of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What the button says.
    pub text: Message,
    /// Where it leads.
    pub path: String,
    /// Whether it sends a form (POST): it changes something.
    pub post: bool,
}

impl std::fmt::Debug for Reply {
    /// Leaves out locations and bodies, which contain states, hints and names.
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
    pub(super) fn redirect(location: impl Into<String>) -> Self {
        Self::Redirect { location: location.into(), cookies: Vec::new() }
    }

    pub(super) fn page(
        status: StatusCode,
        title: impl Into<Message>,
        message: impl Into<Message>,
    ) -> Self {
        Self::Page {
            status,
            title: title.into(),
            message: message.into(),
            action: None,
            link: None,
            retry_after: None,
            cookies: Vec::new(),
        }
    }

    /// 503: the issuer does not answer. The page reloads itself.
    pub(super) fn unavailable() -> Self {
        Self::later(Text::NotYet, Text::ProviderSilent)
    }

    /// 503: too many sign-ins run. The page reloads itself.
    pub(super) fn busy() -> Self {
        Self::later(Text::PleaseWait, Text::ManySignIn)
    }

    fn later(title: Text, message: Text) -> Self {
        let mut page = Self::page(StatusCode::SERVICE_UNAVAILABLE, title, message);
        if let Self::Page { retry_after, .. } = &mut page {
            *retry_after = Some(3);
        }
        page
    }

    /// Adds a button to a page that leads to a path.
    pub(super) fn with_action(self, text: impl Into<Message>, path: String) -> Self {
        self.with_button(Action { text: text.into(), path, post: false })
    }

    /// Adds a button to a page that sends a form.
    pub(super) fn with_form(self, text: impl Into<Message>, path: String) -> Self {
        self.with_button(Action { text: text.into(), path, post: true })
    }

    fn with_button(mut self, button: Action) -> Self {
        if let Self::Page { action, .. } = &mut self {
            *action = Some(button);
        }
        self
    }

    /// Adds a link beside the button of a page.
    pub(super) fn with_link(mut self, text: impl Into<Message>, path: String) -> Self {
        if let Self::Page { link, .. } = &mut self {
            *link = Some((text.into(), path));
        }
        self
    }

    /// Adds a `Set-Cookie` value.
    pub(super) fn with_cookie(mut self, cookie: HeaderValue) -> Self {
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
