//! Which of the appliance's own endpoints a path is. No path below `/oauth2` or `/_appliance` ever
//! reaches an app.

use http::Method;
use http::header::HeaderMap;

use crate::config::{Reading, below};
use crate::proxy::answer::compose::Manner;
use crate::proxy::answer::pages::STYLE_PATH;

/// One of the appliance's own endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// `/_appliance/live`
    Live,
    /// `/_appliance/ready`
    Ready,
    /// The style sheet of the appliance's pages.
    Style,
    /// The apps that a person has access to.
    Portal,
    /// The operators' table of apps.
    Operators,
    /// A login begins.
    Start,
    /// The issuer sends the browser back.
    Callback,
    /// A page with one button.
    SignIn,
    /// The session ends.
    SignOut,
    /// Who is signed in, as JSON.
    Userinfo,
    /// For the `auth_request` of another proxy.
    AuthRequest,
    /// The public keys of signed identity assertions.
    Keys,
    /// A path below the reserved prefixes that does not exist.
    Unknown,
}

/// What an endpoint gets to see of its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub path_and_query: &'a str,
    pub query: &'a str,
    /// The browser navigates: it can be redirected to the login.
    pub navigation: bool,
    /// The client runs on this machine.
    pub local: bool,
    /// The `Host` is that of `public_url` or of an app.
    pub known_host: bool,
    pub manner: Manner<'a>,
}

/// The endpoint of a path whose escapes are undone.
pub(crate) fn find(path: &[u8]) -> Option<Own> {
    let is_below = |prefix| below(path, prefix, Reading::Decoded).is_some();
    Some(match std::str::from_utf8(path).unwrap_or_default() {
        "/_appliance/live" => Own::Live,
        "/_appliance/ready" => Own::Ready,
        STYLE_PATH => Own::Style,
        "/_appliance" | "/_appliance/" => Own::Portal,
        "/_appliance/apps" => Own::Operators,
        "/oauth2/start" => Own::Start,
        "/oauth2/callback" => Own::Callback,
        "/oauth2/sign_in" => Own::SignIn,
        "/oauth2/sign_out" => Own::SignOut,
        "/oauth2/userinfo" => Own::Userinfo,
        "/oauth2/auth" => Own::AuthRequest,
        "/oauth2/jwks" => Own::Keys,
        _ if is_below("/_appliance") || is_below("/oauth2") => Own::Unknown,
        _ => return None,
    })
}

impl Own {
    /// Whether it is answered before people can sign in.
    pub(super) fn is_always_open(self) -> bool {
        matches!(self, Self::Live | Self::Ready | Self::Style)
    }

    /// Whether it is served under a host that is known or not. Probes ask under any host: by the
    /// address of a container, for example.
    pub(crate) fn is_served_under(self, known: bool) -> bool {
        known || matches!(self, Self::Live | Self::Ready)
    }

    pub(super) fn allows(self, method: &Method) -> bool {
        match self {
            Self::AuthRequest | Self::Unknown => true,
            Self::SignOut => matches!(*method, Method::GET | Method::POST),
            _ => matches!(*method, Method::GET | Method::HEAD),
        }
    }
}
