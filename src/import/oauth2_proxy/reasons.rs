//! Options of oauth2-proxy that the appliance has no setting for, and what people do instead.

/// Options whose effect the appliance always has, or that say nothing about it.
const ALWAYS: [&str; 44] = [
    "provider",
    "provider_display_name",
    "oidc_issuer_url",
    "client_id",
    "client_secret",
    "client_secret_file",
    "scope",
    "redirect_url",
    "relative_redirect_url",
    "upstreams",
    "http_address",
    "metrics_address",
    "email_domains",
    "authenticated_emails_file",
    "allowed_groups",
    "allowed_roles",
    "user_id_claim",
    "oidc_email_claim",
    "oidc_groups_claim",
    "provider_ca_files",
    "prompt",
    "acr_values",
    "cookie_name",
    "cookie_expire",
    "skip_auth_routes",
    "skip_auth_regex",
    "api_routes",
    "force_json_errors",
    "pass_access_token",
    "pass_user_headers",
    "reverse_proxy",
    "trusted_proxy_ips",
    "upstream_timeout",
    "request_logging",
    "azure_tenant",
    "skip_provider_button",
    "code_challenge_method",
    "cookie_httponly",
    "standard_logging",
    "auth_logging",
    "silence_ping_logging",
    "config",
    "alpha_config",
    "banner",
];

/// Further ones, by their prefix, that concern only pages and formats of oauth2-proxy.
const ALWAYS_PREFIXES: [&str; 3] = ["cookie_csrf", "logging_", "flush_interval"];

/// In which position a switch has no equivalent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Set,
    On,
    Off,
    NotOff,
    Never,
}

/// Options, and what to say about them.
const REASONS: &[(&[&str], When, &str)] = &[
    (
        &["cookie_secret", "cookie_secret_file"],
        When::Set,
        "the appliance generates the keys of its cookies and keeps them in `state_dir`",
    ),
    (
        &["cookie_refresh"],
        When::Set,
        "tokens are refreshed before they expire, see `[session] recheck`",
    ),
    (
        &["cookie_domains"],
        When::Set,
        "a session holds for one host; people sign in once for each host",
    ),
    (&["cookie_path"], When::Set, "the cookie holds for the whole host"),
    (&["cookie_samesite"], When::Set, "cookies are `SameSite=Lax`"),
    (&["cookie_secure"], When::On, "cookies are `Secure` if `public_url` begins with https://"),
    (
        &["session_store_type", "session_cookie_minimal"],
        When::Set,
        "tokens stay in the memory of the appliance, and the cookie is small",
    ),
    (
        &["htpasswd_file", "htpasswd_user_groups", "display_htpasswd_form"],
        When::Set,
        "there are no passwords besides those of the issuer",
    ),
    (
        &["trusted_ips"],
        When::Set,
        "no client address gets in without a login; make a path public with `rules`",
    ),
    (
        &[
            "skip_jwt_bearer_tokens",
            "extra_jwt_issuers",
            "oidc_extra_audiences",
            "bearer_token_login_fallback",
        ],
        When::NotOff,
        "set `bearer = true` in the apps that take access tokens, and `[oidc] audiences`",
    ),
    (&["oidc_audience_claims"], When::Set, "the ID token must have the `client_id` in `aud`"),
    (
        &["skip_auth_preflight"],
        When::On,
        "`OPTIONS` requests need the rights of other requests; add a rule with `methods = [\"OPTIONS\"]`",
    ),
    (
        &["set_xauthrequest"],
        When::On,
        "apps get `X-Forwarded-User` and its kin; other names are set with `identity`",
    ),
    (
        &["set_authorization_header", "pass_authorization_header"],
        When::On,
        "apps do not get the ID token; `identity = { assertion = \"X-Identity-Assertion\" }` sends them a signed one",
    ),
    (
        &["pass_basic_auth", "set_basic_auth", "basic_auth_password"],
        When::NotOff,
        "apps get no basic authentication",
    ),
    (
        &["prefer_email_to_user"],
        When::On,
        "set `identity = { user = … }` or `[oidc] user_claim = \"email\"`",
    ),
    (&["pass_host_header"], When::Off, "apps always get the `Host` that browsers sent"),
    (&["proxy_websockets"], When::Off, "WebSockets are always passed on"),
    (
        &["ssl_insecure_skip_verify", "ssl_upstream_insecure_skip_verify"],
        When::On,
        "certificates are always verified; name the CA in `[oidc] ca_file`",
    ),
    (
        &["insecure_oidc_skip_issuer_verification", "insecure_oidc_skip_nonce"],
        When::On,
        "issuer and nonce are always verified",
    ),
    (&["skip_oidc_discovery"], When::On, "the issuer must have a discovery document"),
    (
        &[
            "login_url",
            "redeem_url",
            "profile_url",
            "oidc_jwks_url",
            "validate_url",
            "oidc_public_key_files",
        ],
        When::Set,
        "the addresses come from the discovery document of the issuer",
    ),
    (&["whitelist_domains"], When::Set, "people return to paths of the appliance's own hosts only"),
    (&["backend_logout_url"], When::Set, "the appliance signs people out at the issuer itself"),
    (&["proxy_prefix"], When::Set, "the endpoints are below `/oauth2`"),
    (
        &["ping_path", "ready_path", "ping_user_agent", "gcp_healthchecks"],
        When::Set,
        "probes ask `/_appliance/live` and `/_appliance/ready`",
    ),
    (
        &[
            "https_address",
            "tls_cert_file",
            "tls_key_file",
            "tls_min_version",
            "tls_cipher_suites",
            "metrics_secure_address",
            "metrics_tls_cert_file",
            "metrics_tls_key_file",
        ],
        When::Set,
        "the appliance does not end TLS: keep a proxy in front, and name it in `[server] trusted_proxies`",
    ),
    (
        &["force_https"],
        When::On,
        "a request by http is redirected if `public_url` is https and the proxy in front says so",
    ),
    (
        &["real_client_ip_header"],
        When::Set,
        "the address of a client comes from `X-Forwarded-For` of `trusted_proxies`",
    ),
    (
        &["custom_templates_dir", "custom_sign_in_logo", "footer"],
        When::Set,
        "see `[server] title`, `logo` and `contact` for the pages",
    ),
    (&["request_id_header"], When::Set, "the header is `X-Request-Id`"),
    (&["signature_key"], When::Set, "see `identity = { assertion = … }` for a signed identity"),
    (
        &[
            "github_org",
            "github_team",
            "github_repo",
            "github_users",
            "gitlab_groups",
            "gitlab_projects",
            "google_groups",
            "google_admin_email",
            "keycloak_groups",
            "bitbucket_team",
            "bitbucket_repository",
        ],
        When::Set,
        "set `access = { groups = … }` with the groups that the issuer puts into its tokens",
    ),
    (&["jwt_key", "jwt_key_file", "pubjwk_url"], When::Set, "the client signs in with its secret"),
    (&["exclude_logging_paths"], When::Set, "see `[log] access`"),
    (&["insecure_oidc_allow_unverified_email"], When::On, "an unverified address counts as none"),
    (&["encode_state", "allow_query_semicolons", "skip_auth_strip_headers"], When::Never, ""),
];

/// What to say about an option; `None` if nothing is missing. `on`, `off`: the position of a switch.
pub(super) fn reason(name: &str, on: bool, off: bool) -> Option<&'static str> {
    if ALWAYS.contains(&name) || ALWAYS_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    if name.starts_with("redis_") {
        return Some("sessions need no store");
    }
    let Some((_, when, text)) = REASONS.iter().find(|(names, ..)| names.contains(&name)) else {
        return Some("the appliance has no such option");
    };
    let is_missing = match when {
        When::Set => true,
        When::On => on,
        When::Off => off,
        When::NotOff => !off,
        When::Never => false,
    };
    is_missing.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_named_only_in_the_position_that_differs() {
        for (name, on, off) in [
            ("pass_host_header", false, true),
            ("proxy_websockets", false, true),
            ("set_xauthrequest", true, false),
            ("skip_jwt_bearer_tokens", true, false),
            ("cookie_refresh", true, true),
            ("nonsense", true, true),
            ("client_id", false, false),
            ("redis_password", true, true),
        ] {
            assert_eq!(reason(name, true, false).is_some(), on, "{name} on");
            assert_eq!(reason(name, false, true).is_some(), off, "{name} off");
        }
    }

    #[test]
    fn no_option_has_two_reasons() {
        let mut names: Vec<&str> =
            REASONS.iter().flat_map(|(names, ..)| names.iter().copied()).collect();
        names.extend(ALWAYS);
        names.sort_unstable();
        let number = names.len();
        names.dedup();
        assert_eq!(names.len(), number);
    }
}
