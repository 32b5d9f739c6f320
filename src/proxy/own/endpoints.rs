//! Which of the appliance's own endpoints a path is. No path below `/oauth2` or `/_appliance` ever
//! reaches an app.

use http::Method;
use http::header::HeaderMap;

use crate::proxy::answer::compose::Manner;
use crate::proxy::answer::pages::STYLE_PATH;
use crate::proxy::phases::admit::host::Host;
use crate::proxy::phases::route::target::is_below;

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
    /// The way to the portal from the issuer's own host.
    Home,
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
    pub manner: Manner<'a>,
}

/// The endpoint of a canonical path.
pub(crate) fn find(path: &str) -> Option<Own> {
    Some(match path {
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
        _ if is_below(path, "/_appliance") || is_below(path, "/oauth2") => Own::Unknown,
        _ => return None,
    })
}

impl Own {
    /// Whether it is answered before people can sign in.
    pub(super) fn is_always_open(self) -> bool {
        matches!(self, Self::Live | Self::Ready | Self::Style)
    }

    /// What it is under a host that only the issuer has. Nobody signs in to anything there: a login
    /// would have no redirect URI at the issuer.
    pub(crate) fn under_the_issuers_host(self) -> Self {
        match self {
            Self::Live | Self::Ready | Self::Style => self,
            Self::Portal => Self::Home,
            _ => Self::Unknown,
        }
    }

    /// Whether it is served under a host. The probes are served under a loopback name, too.
    pub(crate) fn is_served_under(self, host: Host<'_>, known: bool) -> bool {
        known || host.is_loopback() && matches!(self, Self::Live | Self::Ready)
    }

    pub(super) fn allows(self, method: &Method) -> bool {
        match self {
            Self::AuthRequest | Self::Unknown => true,
            Self::SignOut => matches!(*method, Method::GET | Method::POST),
            _ => matches!(*method, Method::GET | Method::HEAD),
        }
    }
}
