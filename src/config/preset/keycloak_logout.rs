//! Where Keycloak reports that a session has ended.

use crate::config::model::{Listen, PublicUrl};

/// The address of the appliance for Keycloak, which runs on the same machine: a loopback address where
/// the appliance listens in clear, otherwise `public_url`. From inside of a container or a network, the
/// public name need not lead back to the appliance.
pub(super) fn url(listen: &[Listen], speaks_tls: bool, public: &PublicUrl) -> String {
    let mut clear = listen.iter().filter_map(Listen::tcp).filter(|_| !speaks_tls);
    let port = clear.find_map(|address| {
        let is_reached = address.ip().is_unspecified() || address.ip().to_string() == "127.0.0.1";
        (is_reached && address.port() != 0).then_some(address.port())
    });
    let origin = match port {
        Some(port) => format!("http://127.0.0.1:{port}"),
        None => public.to_string(),
    };
    format!("{origin}/oauth2/backchannel_logout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_address_in_clear_comes_before_the_public_name() {
        let public = PublicUrl { secure: true, host: "apps.example.org".into(), port: 443 };
        let tcp = |address: &str| Listen::Tcp(address.parse().unwrap());
        let by_name = "https://apps.example.org/oauth2/backchannel_logout";
        for (address, origin) in [
            ("0.0.0.0:8080", Some("http://127.0.0.1:8080")),
            ("127.0.0.1:80", Some("http://127.0.0.1:80")),
            ("[::]:8080", Some("http://127.0.0.1:8080")),
            ("[::1]:8080", None),
            ("192.0.2.1:8080", None),
            ("0.0.0.0:0", None),
        ] {
            let wanted = origin.map(|origin| format!("{origin}/oauth2/backchannel_logout"));
            let found = url(&[Listen::Unix("/s".into()), tcp(address)], false, &public);
            assert_eq!(found, wanted.as_deref().unwrap_or(by_name), "{address}");
            assert_eq!(url(&[tcp(address)], true, &public), by_name, "{address}");
        }
        assert_eq!(url(&[], false, &public), by_name);
    }
}
