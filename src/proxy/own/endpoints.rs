//! The paths of the appliance's endpoints. A path below `/oauth2` or `/_appliance` never reaches an
//! app.

use http::Method;
use http::header::HeaderMap;

use crate::proxy::answer::compose::ResponseFormat;
use crate::proxy::answer::pages::STYLE_PATH;
use crate::proxy::phases::admit::host::Host;
use crate::proxy::phases::route::routed_app::is_below;

/// An endpoint of the appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/_appliance/live`: the process responds.
    Live,
    /// `/_appliance/ready`: people can sign in, and all critical apps are ready.
    Ready,
    /// `/_appliance/style.css`: the style sheet of all pages.
    Style,
    /// `/_appliance/`: the apps that a person has access to.
    Portal,
    /// Under a host that only the issuer has: a redirect to the portal.
    Home,
    /// `/_appliance/apps`: the state of every app, for operators.
    Operators,
    /// `/oauth2/start`: begins a login and redirects to the issuer.
    Start,
    /// `/oauth2/callback`: the issuer redirects the browser to it after a login.
    Callback,
    /// `/oauth2/sign_in`: a page with a button that begins a login.
    SignIn,
    /// `/oauth2/sign_out`: ends the session.
    SignOut,
    /// `/oauth2/userinfo`: the signed-in person as JSON.
    Userinfo,
    /// `/oauth2/auth`: for the `auth_request` of another proxy.
    AuthRequest,
    /// `/oauth2/jwks`: the public keys of signed identity assertions.
    Keys,
    /// Any other path below `/oauth2` or `/_appliance`.
    Unknown,
}

/// The parts of a request that endpoints use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndpointRequest<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub path_and_query: &'a str,
    pub query: &'a str,
    /// The request is a navigation of a browser, which can be redirected to the login.
    pub navigation: bool,
    /// The format of the response.
    pub format: ResponseFormat<'a>,
}

/// The endpoint of a canonical path.
pub(crate) fn find(path: &str) -> Option<Endpoint> {
    Some(match path {
        "/_appliance/live" => Endpoint::Live,
        "/_appliance/ready" => Endpoint::Ready,
        STYLE_PATH => Endpoint::Style,
        "/_appliance" | "/_appliance/" => Endpoint::Portal,
        "/_appliance/apps" => Endpoint::Operators,
        "/oauth2/start" => Endpoint::Start,
        "/oauth2/callback" => Endpoint::Callback,
        "/oauth2/sign_in" => Endpoint::SignIn,
        "/oauth2/sign_out" => Endpoint::SignOut,
        "/oauth2/userinfo" => Endpoint::Userinfo,
        "/oauth2/auth" => Endpoint::AuthRequest,
        "/oauth2/jwks" => Endpoint::Keys,
        _ if is_below(path, "/_appliance") || is_below(path, "/oauth2") => Endpoint::Unknown,
        _ => return None,
    })
}

impl Endpoint {
    /// Whether the endpoint responds before people can sign in.
    pub(super) fn is_always_open(self) -> bool {
        matches!(self, Self::Live | Self::Ready | Self::Style)
    }

    /// The endpoint under a host that only the issuer has. There is no login there, because it would
    /// have no redirect URI at the issuer.
    pub(crate) fn beside_the_issuer(self) -> Self {
        match self {
            Self::Live | Self::Ready | Self::Style => self,
            Self::Portal => Self::Home,
            _ => Self::Unknown,
        }
    }

    /// Whether the endpoint is served under `host`. Every endpoint is served under a known host, the
    /// probes also under a loopback name.
    pub(crate) fn is_served_under(self, host: Host<'_>, known: bool) -> bool {
        known || host.is_loopback() && matches!(self, Self::Live | Self::Ready)
    }

    /// Whether the endpoint takes requests with `method`.
    pub(super) fn allows(self, method: &Method) -> bool {
        match self {
            Self::AuthRequest | Self::Unknown => true,
            Self::SignOut => matches!(*method, Method::GET | Method::POST),
            _ => matches!(*method, Method::GET | Method::HEAD),
        }
    }
}
