//! What the issuer has registered about the appliance: its client id and secret
//! (RFC 6749 §2).

use openidconnect::{ClientId, ClientSecret};

/// The appliance as a client of the issuer.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) client_id: ClientId,
    pub(crate) client_secret: ClientSecret,
}
