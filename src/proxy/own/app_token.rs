//! The access token of a session, for the program of an app that shows a handle of the session.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::proxy::Proxy;
use crate::proxy::phases::route::routed_app::RoutedApp;

/// An access token that is valid.
#[derive(Debug)]
pub struct AppToken {
    /// The token. Marked as sensitive, so its `Debug` does not show it.
    pub token: HeaderValue,
    /// How long it is still valid.
    pub left: Duration,
}

/// Why an app gets no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoToken {
    /// No app of this name that the appliance runs asks for access tokens.
    UnknownApp,
    /// The handle was not made for this app, or its session has ended.
    NoSession,
    /// The token of the session has expired, and there is no refresh token to get another one.
    Expired,
    /// The app does not admit the person.
    Denied,
    /// The token has expired, and the issuer has given no other one.
    IssuerDown {
        /// When it is asked again at the earliest.
        again: Duration,
    },
}

impl Proxy {
    /// The access token of the session of `handle`, if `app` admits the person under the rules in force. A
    /// token that is about to end is refreshed before: this may take a few seconds.
    ///
    /// # Errors
    ///
    /// See [`NoToken`].
    pub async fn app_token(&self, app: &str, handle: &str) -> Result<AppToken, NoToken> {
        let auth = self.auth.as_deref().ok_or(NoToken::UnknownApp)?;
        let known = self.asking(app)?;
        let session = auth.session_of_handle(handle, &known.name).await;
        let session = session.ok_or(NoToken::NoSession)?;
        // A reload may have changed the rules meanwhile.
        if !self.asking(app)?.admits(&session) {
            return Err(NoToken::Denied);
        }
        match (session.access_token_and_life(), session.next_refresh()) {
            (Some((token, left)), _) => Ok(AppToken { token, left }),
            (None, Some(again)) => Err(NoToken::IssuerDown { again }),
            (None, None) => Err(NoToken::Expired),
        }
    }

    /// The app of this name under the routes in force.
    fn asking(&self, name: &str) -> Result<Arc<RoutedApp>, NoToken> {
        let routes = self.routes_in_force.newest();
        let mut asking = routes.all().iter().filter(|app| app.asks_for_tokens);
        asking.find(|app| app.name.as_str() == name).cloned().ok_or(NoToken::UnknownApp)
    }
}
