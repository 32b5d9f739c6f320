//! The addresses of GitHub: those of its pages, and that of its REST API.

use url::Url;

/// The addresses, each without a slash at its end.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::auth::issuer) struct Addresses {
    pages: String,
    api: String,
}

impl Addresses {
    /// `issuer` is the address of the pages. The API of a GitHub Enterprise Server is below it, the others
    /// have a host of their own:
    /// <https://docs.github.com/enterprise-server/rest/using-the-rest-api/getting-started-with-the-rest-api>,
    /// <https://docs.github.com/enterprise-cloud@latest/admin/data-residency/network-details-for-ghecom>.
    pub(super) fn of(issuer: &str) -> Self {
        let pages = issuer.trim_end_matches('/').to_owned();
        let host = Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        let api = match host.as_deref() {
            Some(host) if host == "github.com" || host.ends_with(".ghe.com") => {
                format!("https://api.{host}")
            }
            _ => format!("{pages}/api/v3"),
        };
        Self { pages, api }
    }

    /// The page on which a login begins.
    pub(in crate::auth::issuer) fn authorize(&self) -> String {
        format!("{}/login/oauth/authorize", self.pages)
    }

    /// The token endpoint.
    pub(super) fn token(&self) -> String {
        format!("{}/login/oauth/access_token", self.pages)
    }

    /// An address of the API.
    pub(super) fn api(&self, path: &str) -> String {
        format!("{}/{path}", self.api)
    }

    /// Whether an authorization response with this `iss` is from here (RFC 9207). GitHub does not document
    /// `iss`; the metadata of its authorization server (RFC 8414) names `/login/oauth`.
    pub(in crate::auth::issuer) fn are_of(&self, iss: &str) -> bool {
        iss.strip_prefix(&self.pages).is_some_and(|rest| matches!(rest, "" | "/" | "/login/oauth"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_github_has_its_api_elsewhere() {
        for (issuer, pages, api) in [
            ("https://github.com", "https://github.com", "https://api.github.com"),
            ("https://github.com/", "https://github.com", "https://api.github.com"),
            ("https://a.ghe.com", "https://a.ghe.com", "https://api.a.ghe.com"),
            (
                "https://ghe.example.org",
                "https://ghe.example.org",
                "https://ghe.example.org/api/v3",
            ),
            ("https://notgithub.com", "https://notgithub.com", "https://notgithub.com/api/v3"),
            ("http://127.0.0.1:81", "http://127.0.0.1:81", "http://127.0.0.1:81/api/v3"),
        ] {
            let expected = Addresses { pages: pages.into(), api: api.into() };
            assert_eq!(Addresses::of(issuer), expected);
        }
    }

    #[test]
    fn a_response_of_another_server_is_foreign() {
        let addresses = Addresses::of("https://github.com/");
        for iss in ["https://github.com", "https://github.com/", "https://github.com/login/oauth"] {
            assert!(addresses.are_of(iss), "{iss}");
        }
        for iss in ["", "https://github.com.test", "http://github.com", "https://github.com/x"] {
            assert!(!addresses.are_of(iss), "{iss}");
        }
    }
}
