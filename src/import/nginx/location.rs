//! A `location` as a route, or as a remark.

use super::directive::{Directive, named};
use super::scope::{self, Scope};
use crate::import::draft::Table;
use crate::import::route::{Access, Route, Target, prefix};

/// How a location matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Match<'d> {
    Prefix(&'d str),
    Exact(&'d str),
    /// A regular expression or a name.
    Other,
}

impl<'d> Match<'d> {
    pub(super) fn of(location: &'d Directive) -> Self {
        match (location.arg(0), location.arg(1)) {
            ("=", path) => Self::Exact(path),
            ("^~", path) => Self::Prefix(path),
            (path, "") if path.starts_with('/') => Self::Prefix(path),
            _ => Self::Other,
        }
    }
}

/// Where a location sends requests.
pub(super) enum Sends {
    To(Vec<Target>, Option<String>),
    /// The reason why it is no route.
    Nowhere(String),
}

/// What the locations of a server have in common.
pub(super) struct Site<'s> {
    pub(super) place: &'s str,
    /// `upstream` blocks by name.
    pub(super) upstreams: &'s [(String, Vec<String>)],
    /// Access of the paths that `auth_request` can name.
    pub(super) gates: &'s [(String, Access)],
}

impl Site<'_> {
    pub(super) fn sends(&self, location: &Directive, scope: &Scope) -> Sends {
        let Some(pass) = named(&location.block, "proxy_pass").next() else {
            return Sends::Nowhere(nowhere(location));
        };
        let mut url = pass.arg(0).to_owned();
        for (name, value) in &scope.variables {
            url = url
                .replace(&format!("${{{}}}", &name[1.min(name.len())..]), value)
                .replace(name, value);
        }
        for usual in ["$request_uri", "$is_args$args", "$uri"] {
            url = url.trim_end_matches(usual).to_owned();
        }
        let host = url
            .split_once("://")
            .map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or(""));
        let block = self.upstreams.iter().find(|(name, _)| name == host);
        let urls: Vec<String> = match block {
            Some((_, servers)) => {
                servers.iter().map(|server| url.replacen(host, server, 1)).collect()
            }
            None => vec![url.clone()],
        };
        let targets: Option<Vec<_>> = urls.iter().map(|url| Target::parse(url)).collect();
        match targets.filter(|targets| !targets.is_empty() && !url.contains('$')) {
            Some(targets) => {
                let query = url.split_once('?').map(|(_, query)| query.to_owned());
                Sends::To(targets, query)
            }
            None => Sends::Nowhere(format!("`proxy_pass {}` is no fixed address", pass.arg(0))),
        }
    }

    /// A location with `proxy_pass` as a route.
    pub(super) fn route(
        &self,
        location: &Directive,
        path: &str,
        targets: Vec<Target>,
        scope: &Scope,
        remarks: &mut Table,
    ) -> Option<Route> {
        let place = format!("{}, location {path}", self.place);
        let mut route = Route {
            place: place.clone(),
            path: prefix(path),
            access: self.access(scope, &place, remarks),
            ..Route::default()
        };
        let rewrite = named(&location.block, "rewrite").next();
        let rewritten = rewrite.map(|rewrite| strips(rewrite.arg(0), rewrite.arg(1), path));
        let passed = targets.first().and_then(|target| target.path.clone());
        match (passed.as_deref(), rewritten) {
            (_, Some(true)) => route.table.set("strip_prefix", true),
            (_, Some(false)) => remarks
                .missing(&place, "`rewrite`: a path can only lose its prefix (`strip_prefix`)"),
            (Some("/"), None) if route.path != "/" => route.table.set("strip_prefix", true),
            (Some(passed), None) if prefix(passed) != route.path => {
                remarks.missing(&place, format!("the path becomes `{passed}`: a path stays as it is, or loses its prefix; let the app listen below `{}`", route.path));
                return None;
            }
            _ => {}
        }
        route.targets = targets;
        scope.settings(&mut route.table, &place);
        without_equivalent(&location.block, &place, &mut route.table);
        Some(route)
    }

    pub(super) fn access(&self, scope: &Scope, place: &str, remarks: &mut Table) -> Access {
        if scope.is_closed {
            remarks.missing(place, "`allow`, `deny`, `auth_basic` and client certificates: the appliance lets people in by their login");
        }
        match &scope.auth {
            Some(auth) => {
                let (path, query) = auth.split_once('?').unwrap_or((auth, ""));
                let known = self.gates.iter().find(|(known, _)| known == path);
                match (scope::access(query), known) {
                    (Access::Default, Some((_, access))) => access.clone(),
                    (access, _) => access,
                }
            }
            // What was closed in another way must not become public.
            None if scope.is_closed => Access::Default,
            None => Access::Public,
        }
    }
}

/// Whether `rewrite FROM TO` only removes the prefix.
fn strips(from: &str, to: &str, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let Some(rest) = from.strip_prefix('^').and_then(|from| from.strip_prefix(path)) else {
        return false;
    };
    matches!(
        (rest.trim_end_matches('$'), to),
        ("/(.*)" | "/?(.*)", "/$1") | ("(/.*)" | "(.*)", "$1") | ("(/|$)(.*)", "/$2")
    )
}

/// What a location without `proxy_pass` does.
fn nowhere(location: &Directive) -> String {
    let has = |name: &str| location.block.iter().any(|directive| directive.name == name);
    if has("return") || has("rewrite") {
        "redirects are not carried; the portal is at `/_appliance/`, and `/` leads to it".to_owned()
    } else if has("root") || has("alias") || has("try_files") {
        "files of a folder need an app that serves them".to_owned()
    } else if has("fastcgi_pass") || has("uwsgi_pass") || has("grpc_pass") || has("scgi_pass") {
        "apps must speak HTTP".to_owned()
    } else {
        "it has no `proxy_pass`".to_owned()
    }
}

/// Directives whose effect the appliance always has, or that concern only nginx itself.
const ALWAYS: [&str; 65] = [
    "proxy_pass",
    "proxy_set_header",
    "proxy_http_version",
    "proxy_buffering",
    "proxy_buffers",
    "proxy_buffer_size",
    "proxy_busy_buffers_size",
    "proxy_request_buffering",
    "proxy_redirect",
    "proxy_pass_request_body",
    "proxy_pass_request_headers",
    "proxy_pass_header",
    "proxy_hide_header",
    "proxy_connect_timeout",
    "proxy_send_timeout",
    "proxy_read_timeout",
    "proxy_next_upstream",
    "proxy_headers_hash_max_size",
    "proxy_headers_hash_bucket_size",
    "proxy_intercept_errors",
    "proxy_ssl_server_name",
    "proxy_max_temp_file_size",
    "proxy_temp_file_write_size",
    "auth_request",
    "auth_request_set",
    "error_page",
    "set",
    "rewrite",
    "client_max_body_size",
    "client_body_buffer_size",
    "client_body_timeout",
    "client_header_timeout",
    "client_header_buffer_size",
    "large_client_header_buffers",
    "keepalive_timeout",
    "keepalive_requests",
    "send_timeout",
    "access_log",
    "error_log",
    "log_not_found",
    "log_format",
    "gzip",
    "sendfile",
    "tcp_nopush",
    "tcp_nodelay",
    "server_tokens",
    "types",
    "default_type",
    "types_hash_max_size",
    "charset",
    "index",
    "internal",
    "resolver",
    "listen",
    "server_name",
    "http2",
    "chunked_transfer_encoding",
    "location",
    "server",
    "upstream",
    "reset_timedout_connection",
    "underscores_in_headers",
    "absolute_redirect",
    "port_in_redirect",
    "server_names_hash_bucket_size",
];

/// Names the directives of a block that have no equivalent.
pub(super) fn without_equivalent(block: &[Directive], place: &str, table: &mut Table) {
    for directive in block {
        let (name, first) = (directive.name.as_str(), directive.arg(0));
        let prefixes = [
            "gzip_",
            "fastcgi_buffer",
            "open_file_cache",
            "ssl_prefer",
            "ssl_session",
            "ssl_ciphers",
            "ssl_protocols",
            "ssl_dhparam",
            "ssl_certificate_key",
        ];
        if ALWAYS.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let text = match name {
            // The parts of a large cookie of oauth2-proxy.
            "add_header" if first.eq_ignore_ascii_case("set-cookie") => continue,
            "if" if directive.args.join(" ").contains("cookie") => continue,
            "map" if directive.arg(1) == "$connection_upgrade" => continue,
            "add_header" => format!("`add_header {first}`: let the app send its headers"),
            // What a header or a parameter is compared with can be a key.
            "if" if ["($http_", "($arg_"].iter().any(|begin| first.starts_with(begin)) => {
                format!("`if {first} …)`: there are no conditions")
            }
            "if" => format!("`if {}`: there are no conditions", directive.args.join(" ")),
            "map" => format!("`map … {}`: there are no maps", directive.arg(1)),
            "return" => "`return`: redirects are not carried".to_owned(),
            "allow" | "deny" | "auth_basic" | "auth_basic_user_file" | "satisfy" => continue,
            "limit_req" | "limit_req_zone" | "limit_conn" | "limit_conn_zone" => {
                format!("`{name}`: see `[server] max_connections_per_ip`")
            }
            "ssl_certificate" | "ssl" => "TLS: the appliance does not end TLS; keep a proxy in front and name it in `[server] trusted_proxies`".to_owned(),
            "set_real_ip_from" | "real_ip_header" | "real_ip_recursive" => {
                format!("`{name}`: name the proxies in front in `[server] trusted_proxies`")
            }
            "root" | "alias" | "try_files" => {
                format!("`{name}`: files of a folder need an app that serves them")
            }
            name => format!("`{name}`: the appliance has no such setting"),
        };
        table.missing(place, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_recognised_in_rewrites() {
        for (from, to, found) in [
            ("^/app1/(.*)$", "/$1", true),
            ("^/app1(/.*)$", "$1", true),
            ("^/app1/?(.*)$", "/$1", true),
            ("^/app1(/|$)(.*)", "/$2", true),
            ("^/app1/(.*)$", "/v2/$1", false),
            ("^/other/(.*)$", "/$1", false),
        ] {
            assert_eq!(strips(from, to, "/app1/"), found, "{from}");
        }
    }
}
