//! The alpha configuration of oauth2-proxy (YAML): upstreams, providers, injected headers.

use super::options::Options;
use crate::import::route::{Route, Target, prefix};
use crate::import::yaml::Node;

/// Whether a document is one.
pub(super) fn is_one(root: &Node) -> bool {
    ["upstreamConfig", "upstreams", "providers", "injectRequestHeaders"]
        .iter()
        .any(|key| root.get(key).is_some())
        && root.get("services").is_none()
}

pub(super) fn options(root: &Node, place: &str) -> Options {
    let mut options = Options::new(place);
    let upstreams = root.get("upstreamConfig").and_then(|config| config.get("upstreams"));
    for upstream in upstreams.or_else(|| root.get("upstreams")).map_or(&[][..], Node::list) {
        add_upstream(&mut options, upstream, place);
    }
    let providers = root.get("providers").map_or(&[][..], Node::list);
    if let Some(provider) = providers.first() {
        add_provider(&mut options, provider);
    }
    for other in providers.iter().skip(1) {
        let name = other.text_of("id").or_else(|| other.text_of("provider")).unwrap_or("?");
        options.remarks.missing(place, format!("`providers`: `{name}`: there is one issuer"));
    }
    for header in root.get("injectRequestHeaders").map_or(&[][..], Node::list) {
        add_header(&mut options, header, place);
    }
    if root.get("injectResponseHeaders").is_some_and(|node| !node.list().is_empty()) {
        options
            .remarks
            .missing(place, "`injectResponseHeaders`: browsers get no headers about the person");
    }
    if let Some(address) = root
        .get("server")
        .and_then(|server| server.text_of("BindAddress").or_else(|| server.text_of("bindAddress")))
    {
        options.add("http_address", vec![address.to_owned()]);
    }
    let metrics = root
        .get("metricsServer")
        .and_then(|server| server.text_of("BindAddress").or_else(|| server.text_of("bindAddress")));
    if let Some(address) = metrics {
        options.add("metrics_address", vec![address.to_owned()]);
    }
    options
}

fn add_upstream(options: &mut Options, upstream: &Node, place: &str) {
    let id = upstream.text_of("id").unwrap_or_default();
    let path = upstream.text_of("path").unwrap_or("/");
    let uri = upstream.text_of("uri").unwrap_or_default();
    let is_static = upstream.text_of("static") == Some("true");
    let Some(target) = Target::parse(uri).filter(|_| !is_static) else {
        if !is_static {
            options.remarks.missing(place, format!("`upstreams`: `{id}` is no address of an app"));
        }
        return;
    };
    if path.starts_with('^') {
        options.remarks.missing(place, format!("`upstreams`: `{id}`: `path` is a regular expression; write the prefix as `path` of an app"));
        return;
    }
    let mut route = Route {
        place: place.to_owned(),
        path: prefix(path),
        targets: vec![target],
        ..Route::default()
    };
    if let Some(rewrite) = upstream.text_of("rewriteTarget") {
        if matches!(rewrite, "/" | "/$1") {
            route.table.set("strip_prefix", true);
        } else {
            options.remarks.missing(
                place,
                format!(
                    "`upstreams`: `{id}`: `rewriteTarget` can only be removed (`strip_prefix`)"
                ),
            );
        }
    }
    if let Some(time) = upstream.text_of("timeout").filter(|t| humantime::parse_duration(t).is_ok())
    {
        route.table.set("timeout", time);
    }
    if upstream.text_of("insecureSkipTLSVerify") == Some("true") {
        options
            .remarks
            .missing(place, format!("`upstreams`: `{id}`: certificates are always verified"));
    }
    options.routes.push(route);
}

fn add_provider(options: &mut Options, provider: &Node) {
    let mut add = |name: &str, node: Option<&Node>| {
        let values: Vec<_> = node.map(Node::texts).unwrap_or_default();
        if !values.is_empty() {
            options.add(name, values);
        }
    };
    let names = [
        ("provider", "provider"),
        ("client_id", "clientID"),
        ("client_secret", "clientSecret"),
        ("client_secret_file", "clientSecretFile"),
        ("allowed_groups", "allowedGroups"),
        ("scope", "scope"),
        ("provider_ca_files", "caFiles"),
        ("login_url", "loginURL"),
        ("redeem_url", "redeemURL"),
        ("profile_url", "profileURL"),
    ];
    for (option, key) in names {
        add(option, provider.get(key));
    }
    if let Some(oidc) = provider.get("oidcConfig") {
        for (option, key) in [
            ("oidc_issuer_url", "issuerURL"),
            ("oidc_email_claim", "emailClaim"),
            ("oidc_groups_claim", "groupsClaim"),
            ("oidc_jwks_url", "jwksURL"),
            ("oidc_extra_audiences", "extraAudiences"),
        ] {
            add(option, oidc.get(key));
        }
        let skip = oidc.text_of("skipDiscovery") == Some("true");
        add("skip_oidc_discovery", oidc.get("skipDiscovery").filter(|_| skip));
    }
    let keycloak = provider.get("keycloakConfig");
    add("allowed_roles", keycloak.and_then(|config| config.get("roles")));
    let azure = provider.get("azureConfig").or_else(|| provider.get("microsoftEntraIDConfig"));
    add("azure_tenant", azure.and_then(|config| config.get("tenant")));
}

fn add_header(options: &mut Options, header: &Node, place: &str) {
    let name = header.text_of("name").unwrap_or_default();
    let values = header.get("values").map_or(&[][..], Node::list);
    let claims: Vec<_> = values
        .iter()
        .filter_map(|v| v.text_of("claim").or_else(|| v.get("claimSource")?.text_of("claim")))
        .collect();
    let [part @ ("user" | "email" | "groups" | "preferred_username" | "access_token")] =
        claims.as_slice()
    else {
        options.remarks.missing(
            place,
            format!("`injectRequestHeaders`: `{name}`: only user, email, groups, preferred_username and access_token can be sent"),
        );
        return;
    };
    let is_plain = values
        .iter()
        .all(|value| value.get("basicAuthPassword").is_none() && value.get("prefix").is_none());
    if crate::config::is_identity_header(name) && is_plain {
        options.identity.push(((*part).to_owned(), name.to_owned()));
    } else {
        options.remarks.missing(place, format!("`injectRequestHeaders`: apps cannot get `{name}`"));
    }
}
