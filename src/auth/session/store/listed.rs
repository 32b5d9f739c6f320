//! A session as people and operators see it.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::auth::runtime::clock::Millis;
use crate::auth::session::Session;
use crate::telemetry::rfc3339;

/// One session in a list. Nothing in it is a secret: the id counts only inside a sealed cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Names the session in a list and in an order to end it.
    pub id: String,
    /// The user name of the person.
    pub user: String,
    /// When the person signed in, RFC 3339.
    pub since: String,
    /// When a person last used the session, RFC 3339: see `[session] idle`.
    pub last_used: String,
    /// The address from which the session came into this process: at its login, or after a restart.
    pub client_ip: Option<String>,
    /// The begin of the `User-Agent` of the same request.
    pub user_agent: Option<String>,
    /// WebSockets, event streams and other transfers that last.
    pub sockets: usize,
    /// The session of the request that asks.
    pub current: bool,
}

impl SessionRow {
    pub(super) fn of(session: &Session) -> Self {
        let device = &session.device;
        Self {
            id: session.id.to_string(),
            user: session.person().user.clone(),
            since: text(session.signed_in.saturating_mul(1000)),
            last_used: text(session.activity().used),
            client_ip: device.client_ip.map(|ip| ip.to_string()),
            user_agent: device.user_agent.as_deref().map(str::to_owned),
            sockets: session.tunnels(),
            current: false,
        }
    }
}

fn text(at: Millis) -> String {
    rfc3339(UNIX_EPOCH + Duration::from_millis(at)).to_string()
}
