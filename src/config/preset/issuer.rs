//! `[oidc] provider`: what the issuers of one product have in common, as a table of default values.
//!
//! Each entry names the page of the product's documentation that its values are from. What people
//! have to set up at the issuer is in `docs/issuers.md`.

use crate::config::model::SignInProtocol;

/// The default values of `[oidc]` for one product.
#[derive(Debug)]
pub(crate) struct IssuerPreset {
    /// The value of `provider`; empty without one.
    pub(crate) name: &'static str,
    pub(crate) protocol: SignInProtocol,
    /// The issuer, if there is only one, or the one that is meant unless another is named.
    pub(crate) issuer: Option<&'static str>,
    /// An issuer as an example.
    pub(crate) example: &'static str,
    /// Parts of an issuer's path that stand for many organisations. Their discovery document names no
    /// issuer, so nobody could sign in.
    pub(crate) shared: &'static [&'static str],
    pub(crate) scopes: &'static [&'static str],
    pub(crate) user_claim: &'static str,
    pub(crate) email_claim: &'static str,
    pub(crate) groups_claim: &'static str,
    pub(crate) roles_claim: &'static str,
    pub(crate) login_params: &'static [(&'static str, &'static str)],
    /// The address that lists the groups of the signed-in person, if the product's tokens may only refer
    /// to them.
    pub(crate) groups_overage: Option<&'static str>,
}

/// The default values without `provider`.
pub(crate) const GENERIC: IssuerPreset = IssuerPreset {
    name: "",
    protocol: SignInProtocol::OpenIdConnect,
    issuer: None,
    example: "https://login.example.org/realms/staff",
    shared: &[],
    scopes: &["openid", "profile", "email"],
    user_claim: "preferred_username",
    email_claim: "email",
    groups_claim: "groups",
    roles_claim: "realm_access.roles",
    login_params: &[],
    groups_overage: None,
};

/// A refresh token needs a scope of its own (OpenID Connect Core §11).
const WITH_REFRESH: &[&str] = &["openid", "profile", "email", "offline_access"];

pub(crate) static PRESETS: [IssuerPreset; 8] = [
    // A refresh token comes without `offline_access`, and ends with the session of the issuer:
    // https://www.keycloak.org/docs/latest/server_admin/#_offline-access
    IssuerPreset { name: "keycloak", ..GENERIC },
    // Refresh tokens: https://learn.microsoft.com/entra/identity-platform/scopes-oidc
    // The claims: https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
    // More than 200 groups are referred to:
    // https://learn.microsoft.com/entra/identity/hybrid/connect/how-to-connect-fed-group-claims
    // The list, the scope for it, and `$count` with a filter by type:
    // https://learn.microsoft.com/graph/api/user-list-transitivememberof
    IssuerPreset {
        name: "entra",
        example: "https://login.microsoftonline.com/TENANT-ID/v2.0",
        shared: &["common", "organizations", "consumers"],
        scopes: &["openid", "profile", "email", "offline_access", "User.Read"],
        roles_claim: "roles",
        groups_overage: Some(concat!(
            "https://graph.microsoft.com/v1.0/me/transitiveMemberOf/microsoft.graph.group",
            "?$count=true&$select=id,displayName&$top=999"
        )),
        ..GENERIC
    },
    // The scope `offline_access` does not exist; a refresh token comes with `access_type=offline`, and
    // after the first login only with `prompt=consent`:
    // https://developers.google.com/identity/openid-connect/openid-connect#refresh-tokens
    // There is no `preferred_username`, and there are no groups:
    // https://developers.google.com/identity/openid-connect/reference#id-token
    IssuerPreset {
        name: "google",
        issuer: Some("https://accounts.google.com"),
        example: "https://accounts.google.com",
        user_claim: "email",
        login_params: &[("access_type", "offline"), ("prompt", "consent")],
        ..GENERIC
    },
    // `groups` and `offline_access`: https://developer.okta.com/docs/api/oauth2
    IssuerPreset {
        name: "okta",
        example: "https://example.okta.com",
        scopes: &["openid", "profile", "email", "groups", "offline_access"],
        roles_claim: "roles",
        ..GENERIC
    },
    // `groups` is in the scope `profile`. A refresh token comes with `offline_access` alone:
    // https://docs.goauthentik.io/add-secure-apps/providers/oauth2/create-oauth2-provider
    IssuerPreset {
        name: "authentik",
        example: "https://authentik.example.org/application/o/appliance/",
        scopes: WITH_REFRESH,
        roles_claim: "roles",
        ..GENERIC
    },
    // There are roles and no groups. The names of the members of an object are the roles:
    // https://zitadel.com/docs/guides/integrate/retrieve-user-roles
    // `offline_access`: https://zitadel.com/docs/apis/openidoauth/scopes
    IssuerPreset {
        name: "zitadel",
        example: "https://example.zitadel.cloud",
        scopes: WITH_REFRESH,
        groups_claim: "urn:zitadel:iam:org:project:roles.*",
        roles_claim: "urn:zitadel:iam:org:project:roles.*",
        ..GENERIC
    },
    // There is no `preferred_username`:
    // https://auth0.com/docs/secure/tokens/id-tokens/id-token-structure
    // An action cannot set `groups` and `roles`, only claims with the name of a URL:
    // https://auth0.com/docs/secure/tokens/json-web-tokens/create-custom-claims
    IssuerPreset {
        name: "auth0",
        example: "https://example.eu.auth0.com/",
        scopes: WITH_REFRESH,
        user_claim: "email",
        groups_claim: "https://appliance.example/groups",
        roles_claim: "https://appliance.example/roles",
        ..GENERIC
    },
    // No OpenID Connect: https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
    // The scopes: https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
    IssuerPreset {
        name: "github",
        protocol: SignInProtocol::GitHub,
        issuer: Some("https://github.com"),
        example: "https://github.example.org",
        scopes: &["read:user", "user:email", "read:org"],
        ..GENERIC
    },
];

/// The default values for this name.
pub(crate) fn find(name: &str) -> Option<&'static IssuerPreset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_what_a_login_needs() {
        for preset in &PRESETS {
            let name = preset.name;
            let is_openid = preset.protocol == SignInProtocol::OpenIdConnect;
            assert_eq!(preset.scopes.contains(&"openid"), is_openid, "{name}");
            assert!(url::Url::parse(preset.example).is_ok(), "{name}");
            assert!(find(name).is_some_and(|found| found.example == preset.example), "{name}");
            // Without a refresh token, nobody learns that a person has lost their account.
            let offline = preset.scopes.contains(&"offline_access")
                || preset.login_params.contains(&("access_type", "offline"));
            // GitHub's access token is asked with again.
            assert!(offline || matches!(name, "keycloak" | "github"), "{name}");
        }
    }
}
