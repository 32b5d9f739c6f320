use super::*;

#[test]
fn every_spelling_is_removed_and_similar_names_are_kept() {
    assert!(FORWARDING.is_sorted());
    let spoofed = SpoofedHeaders::of(["X-User", "X_Mail.Address", "_who"].into_iter());
    for name in [
        "x-forwarded-user",
        "x_forwarded_user",
        "x-forwarded_user",
        "x.forwarded.groups",
        "x-auth-request-anything",
        "x_auth_request_email",
        "remote-user",
        "remote_user",
        "x-user",
        "x_user",
        "x-mail-address",
        "proxy",
        "x-request-id",
        "x-appliance-token-handle",
        "x_appliance_token.handle",
        "x-original-url",
        "x~forwarded~user",
        "x+forwarded!user",
        "-who",
        "_who",
        ".who",
        "content_length",
        "transfer_encoding",
        "remote-groups",
        "remote.name",
        "REMOTE_anything",
        "x-remote-group",
        "x-forwarded-userx",
        "x-forwarded-roles",
        "x-http-method-override",
        "x_http_method_override",
        "x-http.method",
        "x-method-override",
        "x_method.override",
        "x-httpmethod-override",
        "x-httpmethod",
        "x-method",
        "x-action-method",
        "method-override",
        "x-override-method",
        "x-request-method",
        "_method",
        "x-http-verb",
        "script_name",
        "script-name",
        "x-script-name",
        "x_script.name",
        "path-info",
        "request_uri",
        "x-request-uri",
        "x-ingress-path",
        "x-envoy-original-path",
        "x-replaced-path",
        "x-http-url-override",
        "x-http-path-override",
        "x-forwarded-method",
        "x-original-method",
        "shiny-server-credentials",
        "rstudio_connect_credentials",
        "x-ms-client-principal-name",
        "ssl-client-verify",
        "x-streamlit-user",
        "x_streamlit_user",
        "plotly-user-data",
        "sm-user",
        "sm_userdn",
        "sm_universalid",
        "iv-user",
        "iv-groups",
        "iv-creds",
        "iv_server_name",
        "oidc-claim-sub",
        "oidc_claim_email",
        "oidc_access_token",
        "oam-remote-user",
        "oam_identity_domain",
        "ngrok-auth-user-email",
        "x-authelia-groups",
        "x-authentik-groups",
        "x-auth-user",
        "x-auth-groups",
        "x-auth-tokens",
        "x-consumer-id",
        "x-vouch-idp-claims-email",
        "x-sandstorm-permissions",
        "x-jwt-assertion",
        "my-remote-user",
        "forwarded-user",
        "x-groups",
        "teleport-jwt-assertion",
        "teleport_anything",
        "x-spiffe-id",
        "x_spiffe_jwt_svid",
        "spiffe-id",
        "x-token-subject",
        "x_token_subject",
        "x-ms-token-aad-access-token",
        "x_ms_token_google_id_token",
        "x-ms-token-aad-expires-on",
        "x-amz-cognito-identity-id",
        "x-amzn-cognito-id",
        "x-amzn-oidc-data",
        "x-amzn-oidc-accesstoken",
        "x-amzn-ava-user-context",
        "cf-access-jwt-assertion",
        "cf-access-anything",
        "x-goog-iap-jwt-assertion",
        "x-goog-authenticated-user-id",
        "x-vouch-token",
        "x-pomerium-jwt-assertion",
        "tailscale-user-login",
        "tailscale-app-capabilities",
        "tailscale_headers_info",
        "x-authentik-jwt",
        "ssl-client-cert",
        "ssl_client_s_dn",
    ] {
        let name = name.to_ascii_lowercase();
        assert!(spoofed.covers(&name, false) && spoofed.covers(&name, true), "{name}");
    }
    for name in [
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "x-forwarded-prefix",
        "x-forwarded-host",
        "x-forwarded",
        "true-client-ip",
        "x-forwarded-client-cert",
        "client-cert",
        "client-cert-chain",
        "x-client-cert",
        "x-client-certificate",
        "x-client-dn",
        "x-arr-clientcert",
        "x-amzn-mtls-clientcert-subject",
        "x-client-cert-chain",
        "x-envoy-peer-metadata",
        "x-envoy-peer-metadata-id",
        "x-envoy-downstream-service-cluster",
        "x-envoy-internal",
    ] {
        assert!(spoofed.covers(name, false) && !spoofed.covers(name, true), "{name}");
    }
    for name in [
        "x-user-agent",
        "remote",
        "access-control-request-method",
        "x-methodology",
        "x-override",
        "x-request",
        "proxyx",
        "user-agent",
        "sec-fetch-user",
        "upgrade-insecure-requests",
        "x-auth-token",
        "x-auth-key",
        "x-authorization",
        "x-csrf-token",
        "x-csrftoken",
        "x-xsrf-token",
        "x-client-data",
        "x-client-version",
        "x-client-request-id",
        "mcp-session-id",
        "x-token",
        "x-access-token",
        "x-subject-token",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-content-sha256",
        "x-ms-date",
        "x-ms-version",
        "x-envoy-retry-on",
        "x-envoy-upstream-rq-timeout-ms",
        "x-goog-api-key",
        "x-goog-api-client",
        "marimo-session-id",
        "smart",
        "ivy-x",
        "oidcx",
        "plotly-version",
        "x-stream",
        "accept",
        "cookie",
        "content-length",
        "transfer-encoding",
        "host",
        "x_content_length",
    ] {
        assert!(!spoofed.covers(name, false), "{name}");
    }
    assert!(spoofed.covers("x_forwarded_for", true));
}

#[test]
fn former_identity_headers_stay_removed() {
    let named = |name: &str| {
        let mut app = crate::proxy::tests::app("app", "/app", 1);
        let identity = Identity { user: Some(name.to_owned()), ..Identity::default() };
        app.route.as_mut().unwrap().identity = Some(identity);
        crate::proxy::tests::config(8080, vec![app])
    };
    let first = SpoofedHeaders::new(&named("X-Who"), None);
    assert!(!first.covers("x-sso-name", false));
    let second = SpoofedHeaders::new(&named("X-Sso-Name"), Some(&first));
    let none = crate::proxy::tests::config(8080, Vec::new());
    let third = SpoofedHeaders::new(&none, Some(&second));
    for name in ["x-who", "x_who", "x-sso-name", "x-sso-groups"] {
        assert!(third.covers(name, false) && third.covers(name, true), "{name}");
    }
    assert!(!third.covers("x-whose", false));
    assert!(!SpoofedHeaders::new(&none, None).covers("x-who", false));
}

#[test]
fn an_identity_header_has_a_family() {
    for (name, wanted) in [
        ("x-webauth-user", Some("x-webauth-")),
        ("x-webauth-preferred-username", Some("x-webauth-")),
        ("x-company-auth-user", Some("x-company-auth-")),
        ("x-access-token", Some("x-access-")),
        ("remote-user", Some("remote-")),
        ("cf-access-authenticated-user-email", Some("cf-access-authenticated-")),
        ("oidc-claim-sub", Some("oidc-claim-")),
        ("x-user", None),
        ("user", None),
    ] {
        assert_eq!(family(name).as_deref(), wanted, "{name}");
    }
}

#[test]
fn a_whole_family_is_removed_and_standard_names_are_kept() {
    let own = ["X-Webauth-User", "X_Sso-Mail", "User-Name", "Access-Token", "X-Requested-User"];
    let spoofed = SpoofedHeaders::of(own.into_iter().chain(["X-Real-IP"]));
    for name in [
        "x-webauth-groups",
        "x_webauth_role",
        "x-webauth.anything-at-all",
        "x-sso-admin",
        "user-groups",
        "access-level",
        "x-requested-role",
        "x-real-ip",
    ] {
        assert!(spoofed.covers(name, false) && spoofed.covers(name, true), "{name}");
    }
    for name in [
        "x-webauthn",
        "x-ssokey",
        "user-agent",
        "access-control-request-method",
        "x-requested-with",
        "x-group",
        "x-role",
    ] {
        assert!(!spoofed.covers(name, false), "{name}");
    }
}
