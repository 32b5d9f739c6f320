//! The paths of the appliance's endpoints. A path below `/oauth2` or `/_appliance` never reaches an
//! app.

use std::net::IpAddr;

use http::Method;
use http::header::HeaderMap;

use super::console::paths::{self, Place};
use super::first_administrator::link;
use super::{authority, session_paths};
use crate::auth::Visitor;
use crate::config::{Reading, below, is_loopback_host};
use crate::proxy::answer::compose::ResponseFormat;
use crate::proxy::answer::pages::{SCRIPT_PATH, SIGN_IN_STYLE_PATH, STYLE_PATH};
use crate::proxy::phases::admit::host::Host;
use crate::proxy::phases::admit::rate::Purpose;

/// An endpoint of the appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/_appliance/live`: the process responds.
    Live,
    /// `/_appliance/ready`: people can sign in, and all critical apps are ready.
    Ready,
    /// `/_appliance/style.css`: the style sheet of all pages.
    Style,
    /// `/_appliance/sign-in.css`: the style sheet of Keycloak's pages.
    SignInStyle,
    /// `/_appliance/embed.js`: the script of the pages for frames of other sites.
    Script,
    /// `/_appliance/ca.pem`: the certificate of the appliance's own authority.
    Authority,
    /// `/_appliance/`: the apps that a person has access to.
    Portal,
    /// `/_appliance/first-administrator`: the link with which the first administrator makes an account.
    FirstAdministrator,
    /// Under a host that only the issuer has: a redirect to the portal.
    Home,
    /// `/_appliance/apps` and `/_appliance/apps/NAME`: the console, for operators.
    Console,
    /// `/_appliance/apps/NAME/log`: the log of an app, for operators.
    Log,
    /// `/_appliance/apps/NAME/start`, `stop` and `restart`: an order to an app, for operators.
    Order,
    /// `/_appliance/session`: where the person is signed in.
    OwnSessions,
    /// `/_appliance/session/ID/end`: ends a session of the person, or all others.
    EndOwnSession,
    /// `/_appliance/sessions`: where everybody is signed in, for operators.
    Sessions,
    /// `/_appliance/sessions/ID/end`: ends a session, for operators.
    EndSession,
    /// `/oauth2/start`: begins a login and redirects to the issuer.
    Start,
    /// `/oauth2/callback`: the issuer redirects the browser to it after a login.
    Callback,
    /// `/oauth2/sign_in`: a page with a button that begins a login.
    SignIn,
    /// `/oauth2/embed`: a window in which a person signs in for a frame of another site, and the exchange of
    /// the code that the window hands over.
    Embed,
    /// `/oauth2/sign_out`: ends the session.
    SignOut,
    /// `/oauth2/backchannel_logout`: the issuer ends sessions.
    BackchannelLogout,
    /// `/oauth2/frontchannel_logout`: a page of the issuer tells of the end of a session.
    FrontchannelLogout,
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
    /// The path as the client sent it.
    pub raw_path: &'a str,
    /// The address of the client.
    pub client: Option<IpAddr>,
    pub path_and_query: &'a str,
    pub query: &'a str,
    /// The request is a navigation of a browser, which can be redirected to the login.
    pub navigation: bool,
    /// The client runs on this machine.
    pub local: bool,
    /// The `Host` is that of `public_url` or of an app.
    pub known_host: bool,
    /// The format of the response.
    pub format: ResponseFormat<'a>,
    /// The body, for an endpoint that [reads one](Endpoint::reads_form).
    pub form: &'a [u8],
}

impl<'a> EndpointRequest<'a> {
    /// The parts of the request that authentication uses.
    pub(super) fn visitor(&self) -> Visitor<'a> {
        Visitor {
            method: self.method,
            headers: self.headers,
            path: self.raw_path,
            client: self.client,
        }
    }
}

/// The endpoint of a path whose escapes are decoded.
pub(crate) fn find(path: &[u8]) -> Option<Endpoint> {
    let is_below = |prefix| below(path, prefix, Reading::Decoded).is_some();
    if !is_below("/_appliance") && !is_below("/oauth2") {
        return None;
    }
    let text = std::str::from_utf8(path).unwrap_or_default();
    Some(match text {
        "/_appliance/live" => Endpoint::Live,
        "/_appliance/ready" => Endpoint::Ready,
        STYLE_PATH => Endpoint::Style,
        SIGN_IN_STYLE_PATH => Endpoint::SignInStyle,
        SCRIPT_PATH => Endpoint::Script,
        authority::PATH => Endpoint::Authority,
        "/_appliance" | "/_appliance/" => Endpoint::Portal,
        link::PATH => Endpoint::FirstAdministrator,
        session_paths::OWN => Endpoint::OwnSessions,
        session_paths::ALL => Endpoint::Sessions,
        _ if session_paths::ended_id(text, session_paths::OWN).is_some() => Endpoint::EndOwnSession,
        _ if session_paths::ended_id(text, session_paths::ALL).is_some() => Endpoint::EndSession,
        _ if let Some(place) = paths::find(text) => match place {
            Place::List | Place::App(_) => Endpoint::Console,
            Place::Log(_) => Endpoint::Log,
            Place::Order(..) => Endpoint::Order,
        },
        "/oauth2/start" => Endpoint::Start,
        "/oauth2/callback" => Endpoint::Callback,
        "/oauth2/sign_in" => Endpoint::SignIn,
        "/oauth2/embed" => Endpoint::Embed,
        "/oauth2/sign_out" => Endpoint::SignOut,
        "/oauth2/backchannel_logout" => Endpoint::BackchannelLogout,
        "/oauth2/frontchannel_logout" => Endpoint::FrontchannelLogout,
        "/oauth2/userinfo" => Endpoint::Userinfo,
        "/oauth2/auth" => Endpoint::AuthRequest,
        "/oauth2/jwks" => Endpoint::Keys,
        _ => Endpoint::Unknown,
    })
}

impl Endpoint {
    /// Whether the endpoint responds before people can sign in, over the limit of connections, and under
    /// every host.
    pub(crate) fn is_always_open(self) -> bool {
        self.is_asset() || matches!(self, Self::Live | Self::Ready | Self::Authority)
    }

    /// Whether a page loads it.
    fn is_asset(self) -> bool {
        matches!(self, Self::Style | Self::SignInStyle | Self::Script)
    }

    /// Whether only `[server] operators` may use the endpoint.
    pub(crate) fn is_for_operators(self) -> bool {
        matches!(self, Self::Sessions | Self::EndSession)
    }

    /// Whether the operators of an app may use the endpoint as well.
    pub(crate) fn is_console(self) -> bool {
        matches!(self, Self::Console | Self::Log | Self::Order)
    }

    /// Whether nothing is there.
    pub(crate) fn is_unknown(self) -> bool {
        self == Self::Unknown
    }

    /// Whether a request to the endpoint begins or completes a login.
    pub(super) fn is_login(self) -> bool {
        matches!(self, Self::Start | Self::Callback)
    }

    /// Which limit of a client's requests counts.
    pub(crate) fn purpose(self) -> Purpose {
        if self.is_always_open() {
            Purpose::Health
        } else if self.is_login()
            || matches!(self, Self::FrontchannelLogout | Self::FirstAdministrator)
        {
            Purpose::Login
        } else {
            Purpose::Other
        }
    }

    /// The endpoint under the own host of an app. Its scripts could ask for the sessions of people and for
    /// the console there as for a page of their own, so these pages lead to the portal.
    pub(crate) fn beside_an_app(self) -> Self {
        match self {
            Self::OwnSessions | Self::Sessions | Self::Console => Self::Home,
            Self::EndOwnSession
            | Self::EndSession
            | Self::Log
            | Self::Order
            | Self::FirstAdministrator => Self::Unknown,
            other => other,
        }
    }

    /// The endpoint under a host that only the issuer has. There is no login there, because it would
    /// have no redirect URI at the issuer.
    pub(crate) fn beside_the_issuer(self) -> Self {
        match self {
            _ if self.is_always_open() || self == Self::BackchannelLogout => self,
            Self::Portal => Self::Home,
            _ => Self::Unknown,
        }
    }

    /// Whether the endpoint is served under a host that is known or not. Probes may use any host, for
    /// example the address of a container; the page for an unknown host needs its style sheet, and a
    /// browser may fetch the certificate before it trusts any name. An issuer on this machine calls by a
    /// loopback name.
    pub(crate) fn is_served_under(self, known_host: bool, host: Host<'_>) -> bool {
        known_host
            || self.is_always_open()
            || self == Self::BackchannelLogout && is_loopback_host(&host.name.to_ascii_lowercase())
    }

    /// Whether the endpoint uses the body of a request.
    pub(crate) fn reads_form(self) -> bool {
        matches!(self, Self::BackchannelLogout | Self::FirstAdministrator | Self::Embed)
    }

    /// Whether the endpoint takes requests with `method`.
    pub(crate) fn allows(self, method: &Method) -> bool {
        match self {
            Self::AuthRequest | Self::Unknown => true,
            Self::BackchannelLogout | Self::EndOwnSession | Self::EndSession | Self::Order => {
                *method == Method::POST
            }
            Self::SignOut => matches!(*method, Method::GET | Method::POST),
            Self::Callback | Self::FirstAdministrator | Self::Embed => {
                matches!(*method, Method::GET | Method::HEAD | Method::POST)
            }
            _ => matches!(*method, Method::GET | Method::HEAD),
        }
    }
}
