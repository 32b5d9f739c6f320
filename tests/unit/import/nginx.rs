use super::*;

fn of(text: &str) -> Nginx {
    read(Path::new("/nowhere/nginx.conf"), "nginx.conf", text).unwrap().unwrap()
}

/// Path, upstream, access and settings of each route.
fn routes(nginx: &Nginx) -> Vec<String> {
    let of = |route: &Route| {
        let urls: Vec<_> = route.targets.iter().map(|target| target.url.as_str()).collect();
        let keys: Vec<_> =
            route.table.in_order().iter().map(|(key, value)| format!("{key}={value}")).collect();
        let access = route.access.value().map(|value| value.to_string()).unwrap_or_default();
        let host = route.host.as_deref().unwrap_or("");
        format!("{host}{} {} {access} {}", route.path, urls.join("+"), keys.join(" "))
            .trim_end()
            .to_owned()
    };
    nginx.routes.iter().map(of).collect()
}

const GATES: &str = "
    location /oauth2/ { proxy_pass http://gate:4180; }
    location = /oauth2/auth { internal; proxy_pass http://gate:4180; }
    location = /oauth2/auth_group2 { proxy_pass http://gate:4180/oauth2/auth?allowed_groups=group2; }
    location @login { return 302 /oauth2/start; }";

#[test]
fn access_follows_from_auth_request() {
    let nginx = of(&format!(
        "server {{ listen 8080; server_name apps.example.org; {GATES}
        location /a {{ auth_request /oauth2/auth; proxy_pass http://127.0.0.1:1; }}
        location /b/ {{ auth_request /oauth2/auth_group2; proxy_pass http://127.0.0.1:2/b/; }}
        location /c/ {{ auth_request /oauth2/auth?allowed_groups=x,y; proxy_pass http://127.0.0.1:3/; }}
        location /d {{ proxy_pass http://127.0.0.1:4; }}
        location ^~ /e {{ deny all; proxy_pass http://127.0.0.1:5; }}
    }}"
    ));
    assert_eq!(
        routes(&nginx),
        [
            "/a http://127.0.0.1:1",
            "/b http://127.0.0.1:2 { groups = [\"group2\"] }",
            "/c http://127.0.0.1:3 { groups = [\"x\", \"y\"] } strip_prefix=true",
            "/d http://127.0.0.1:4 \"public\"",
            "/e http://127.0.0.1:5",
        ]
    );
    assert_eq!(nginx.server, Some((Some("apps.example.org".to_owned()), 8080, false)));
    assert_eq!(nginx.gates.len(), 2, "{:?}", nginx.gates);
}

#[test]
fn a_server_asks_for_all_its_locations() {
    let nginx = of(&format!(
        "upstream backend {{ server 10.0.0.1:8000; server 10.0.0.2:8000 weight=2; ip_hash; }}
        map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
        map $host $x {{ default 1; }}
        server {{ listen 80; server_name a.org; return 301 https://a.org$request_uri; }}
        server {{ listen 443 ssl; server_name a.org; ssl_certificate x.pem; auth_request /oauth2/auth;
            client_max_body_size 20m; {GATES}
            location / {{ proxy_pass http://backend; proxy_read_timeout 300; }}
            location /open/ {{ auth_request off; proxy_pass http://backend; }}
            location ~ \\.css$ {{ proxy_pass http://backend; }}
            location /x/ {{ proxy_pass http://backend/y/; }}
            location /z {{ root /srv; }}
        }}
        server {{ server_name b.org; location / {{ proxy_pass http://$host; }} location /q {{
            set $up http://10.0.0.9:9; rewrite ^/q/(.*)$ /$1 break; proxy_pass $up; }} }}"
    ));
    assert_eq!(
        routes(&nginx),
        [
            "/ http://10.0.0.1:8000+http://10.0.0.2:8000  max_body=\"20MiB\" timeout=\"300s\"",
            "/open http://10.0.0.1:8000+http://10.0.0.2:8000 \"public\" max_body=\"20MiB\"",
            "b.org/q http://10.0.0.9:9 \"public\" strip_prefix=true",
        ]
    );
    let remarks = format!("{:?}", nginx.remarks.remarks);
    for named in
        ["ip_hash", "map … $x", "TLS", "location ~", "location /z", "becomes `/y/`", "$host"]
    {
        assert!(remarks.contains(named), "{named}: {remarks}");
    }
    assert!(!remarks.contains("connection_upgrade"), "{remarks}");
}

#[test]
fn identity_follows_from_the_headers() {
    let nginx = of("server { location /a { auth_request /auth;
        auth_request_set $user $upstream_http_x_auth_request_user;
        auth_request_set $token $upstream_http_x_auth_request_access_token;
        auth_request_set $all $upstream_http_authorization;
        proxy_set_header X-User $user; proxy_set_header X-Token $token;
        proxy_set_header Authorization $all; proxy_set_header Host $host;
        proxy_set_header X-Custom 7; proxy_set_header Upgrade $http_upgrade; proxy_read_timeout 86400;
        proxy_pass http://127.0.0.1:1; }
        location = /auth { proxy_pass http://gate:4180/oauth2/auth; } }");
    assert_eq!(
        routes(&nginx),
        ["/a http://127.0.0.1:1  identity={ user = \"X-User\", access_token = \"X-Token\" }"]
    );
    let remarks = format!("{:?}", nginx.routes[0].table.remarks);
    assert!(remarks.contains("Authorization") && remarks.contains("X-Custom"), "{remarks}");
    assert!(!remarks.contains("Host"), "{remarks}");
}

#[test]
fn only_blocks_of_nginx_are_recognised() {
    for (text, found) in [
        ("server { listen 80; }", true),
        ("http { server { } }", true),
        ("events { worker_connections 1; }\nhttp { }", true),
        ("[program:x]\ncommand=x\n", false),
        ("proxy_set_header X y;", false),
        ("server {", false),
        ("a: b\nc: d\n", false),
        ("", false),
    ] {
        let read = read(Path::new("/nowhere/x"), "x", text);
        assert_eq!(read.is_ok_and(|read| read.is_some()), found, "{text}");
    }
}
