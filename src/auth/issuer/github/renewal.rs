//! What brings the next tokens of a session: it takes the place of a refresh token.
//!
//! A GitHub App with expiring tokens gets a refresh token. An OAuth app gets none, and its access token has
//! no end: it renews itself for as long as GitHub accepts it.

use openidconnect::RefreshToken;

/// Before an access token; no token contains a blank.
const ACCESS: &str = "access ";

/// What brings the next tokens.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Renewal<'t> {
    ByRefresh(&'t str),
    ByAccess(&'t str),
}

impl<'t> Renewal<'t> {
    /// Reads what is kept of a session.
    pub(super) fn read(kept: &'t RefreshToken) -> Self {
        let text = kept.secret();
        text.strip_prefix(ACCESS).map_or(Self::ByRefresh(text), Self::ByAccess)
    }
}

/// What is kept of a session whose access token renews itself.
pub(super) fn by_access(token: &str) -> RefreshToken {
    RefreshToken::new(format!("{ACCESS}{token}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_token_is_no_refresh_token() {
        assert_eq!(Renewal::read(&by_access("gho_x")), Renewal::ByAccess("gho_x"));
        let token = RefreshToken::new("ghr_x".to_owned());
        assert_eq!(Renewal::read(&token), Renewal::ByRefresh("ghr_x"));
    }
}
