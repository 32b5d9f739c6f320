//! Token revocation (RFC 7009): ends the session at the issuer.

use openidconnect::RefreshToken;
use tracing::warn;

use super::client_request;
use super::watch::Issuer;

impl Issuer {
    /// Revokes a refresh token, which ends the issuer's session that it belongs to. Returns whether
    /// the issuer confirmed; failures are logged.
    pub(crate) async fn revoke(&self, token: &RefreshToken) -> bool {
        if let Some(github) = self.github() {
            let ended = github.revoke(&self.http, &self.registration, token).await;
            return ended
                .inspect_err(|reason| warn!(reason, "the issuer did not revoke a session"))
                .is_ok();
        }
        let Some(provider) = self.provider() else { return false };
        let Some(url) = &provider.metadata.revocation_endpoint else { return false };
        let form = [("token", token.secret().as_str()), ("token_type_hint", "refresh_token")];
        let request = client_request::post(url, &form, &provider, &self.registration);
        let Some(request) = request else { return false };
        match self.http.send(request).await {
            Ok(response) if response.status().is_success() => true,
            Ok(response) => {
                warn!(status = response.status().as_u16(), "the issuer did not revoke a session");
                false
            }
            Err(error) => {
                warn!(reason = %error, "the issuer did not revoke a session");
                self.report_failure();
                false
            }
        }
    }
}
