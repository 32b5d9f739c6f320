//! A dispute: a request with the cookies of several sessions, of which at least one was planted.
//!
//! The request counts as having no session. The list of the sessions travels, sealed, through the
//! login that follows: that login ends all of them, so that its own session is the only one left,
//! even if the browser keeps sending the planted cookie.

use super::ticket::SessionId;
use crate::auth::cookie::{Binding, Cookies, Keyring, Purpose};

/// How many sessions one dispute names. A browser with more of them needs another login.
const MAX: usize = 8;

/// The sessions of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dispute(pub(crate) Vec<SessionId>);

impl Dispute {
    /// As a query parameter that only the appliance can make.
    pub(crate) fn seal(&self, keyring: &Keyring, cookies: &Cookies) -> String {
        let named = &self.0[..self.0.len().min(MAX)];
        // Serializing plain data into memory cannot fail; an empty value would not open.
        keyring.seal(binding(cookies), &postcard::to_stdvec(named).unwrap_or_default())
    }

    /// Opens what [`Self::seal`] made; `None` for anything else.
    pub(crate) fn open(text: &str, keyring: &Keyring, cookies: &Cookies) -> Option<Self> {
        let plain = keyring.open(binding(cookies), text.as_bytes())?;
        postcard::from_bytes(&plain).ok().map(Self)
    }
}

fn binding(cookies: &Cookies) -> Binding<'_> {
    Binding { purpose: Purpose::Dispute, name: &cookies.session, host: &cookies.host }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;
    use crate::config::PublicUrl;

    #[test]
    fn only_what_was_sealed_here_opens() {
        let ring = |byte: u8| {
            let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([byte; 32]);
            Keyring::parse(&key).unwrap()
        };
        let url = PublicUrl { secure: false, host: "localhost".into(), port: 8080 };
        let cookies = Cookies::new("appliance", &url, &crate::auth::cookie::CookieNames::default());
        let dispute = Dispute((0..2 * MAX).map(|_| SessionId::random()).collect());
        let text = dispute.seal(&ring(1), &cookies);
        let opened = Dispute::open(&text, &ring(1), &cookies).unwrap();
        assert_eq!(opened.0, dispute.0[..MAX]);
        assert_eq!(Dispute::open(&text, &ring(2), &cookies), None);
        assert_eq!(Dispute::open("rubbish", &ring(1), &cookies), None);
    }
}
