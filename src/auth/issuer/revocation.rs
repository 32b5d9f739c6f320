//! Token revocation (RFC 7009): ends the session at the issuer.

use base64::Engine as _;
use http::{Request, header};
use openidconnect::RefreshToken;
use tracing::warn;

use super::provider::Provider;
use super::watch::Issuer;

impl Issuer {
    /// Revokes a refresh token, which ends the issuer's session that it belongs to. Returns whether
    /// the issuer confirmed; failures are logged.
    pub(crate) async fn revoke(&self, token: &RefreshToken) -> bool {
        let Some(provider) = self.provider() else { return false };
        let Some(url) = &provider.metadata.revocation_endpoint else { return false };
        let Some(request) = self.revocation_request(url, token, &provider) else { return false };
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

    /// Built here because `openidconnect` refuses to revoke over plain HTTP, which is what direct
    /// calls to an issuer on loopback use.
    fn revocation_request(
        &self,
        url: &str,
        token: &RefreshToken,
        provider: &Provider,
    ) -> Option<Request<Vec<u8>>> {
        let id = self.registration.client_id.as_str();
        let secret = self.registration.client_secret.secret();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token.secret()).append_pair("token_type_hint", "refresh_token");
        let mut request =
            Request::post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if provider.metadata.wants_secret_in_body() {
            form.append_pair("client_id", id).append_pair("client_secret", secret);
        } else {
            let encode = |text: &str| -> String {
                form_urlencoded::byte_serialize(text.as_bytes()).collect()
            };
            let pair = format!("{}:{}", encode(id), encode(secret));
            let pair = base64::prelude::BASE64_STANDARD.encode(pair);
            request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
        }
        request.body(form.finish().into_bytes()).ok()
    }
}
