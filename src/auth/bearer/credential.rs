//! The bearer token of a request (RFC 6750 §2.1).

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// What the `Authorization` header of a request brings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'h> {
    /// An access token.
    Token(&'h str),
    /// The scheme is `Bearer`, and what follows cannot be a token, or there are several headers.
    Unreadable,
    /// Nothing, or a credential of another scheme.
    None,
}

impl<'h> Credential<'h> {
    /// Reads it from the headers of a request. The scheme has no letter case (RFC 9110 §11.1).
    pub fn of(headers: &'h HeaderMap) -> Self {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = all.next() else { return Self::None };
        let others = all.any(|other| is_bearer(other.as_bytes()));
        if !is_bearer(value.as_bytes()) {
            return if others { Self::Unreadable } else { Self::None };
        }
        if headers.get_all(AUTHORIZATION).iter().count() > 1 {
            return Self::Unreadable;
        }
        let token = value.to_str().ok().and_then(|value| value.get(SCHEME.len()..));
        let token = token.map(|token| token.trim_matches(' '));
        token.filter(|token| is_token(token)).map_or(Self::Unreadable, Self::Token)
    }
}

const SCHEME: &[u8] = b"bearer";

fn is_bearer(value: &[u8]) -> bool {
    let (Some(scheme), rest) = (value.get(..SCHEME.len()), value.get(SCHEME.len())) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(SCHEME) && rest.is_none_or(u8::is_ascii_whitespace)
}

/// `b64token` of RFC 6750 §2.1.
fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !body.is_empty() && body.bytes().all(is_allowed)
}

/// Without the token.
impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::Unreadable => "Unreadable",
            Self::None => "None",
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let values = values.iter().map(|&value| (AUTHORIZATION, HeaderValue::from_static(value)));
        values.collect()
    }

    #[test]
    fn a_token_follows_the_scheme() {
        for value in ["Bearer a.b-c_~+/==", "bearer  a.b-c_~+/==", "BEARER a.b-c_~+/== "] {
            let headers = headers(&[value]);
            assert_eq!(Credential::of(&headers), Credential::Token("a.b-c_~+/=="), "{value}");
        }
    }

    #[test]
    fn what_cannot_be_a_token_is_unreadable() {
        for value in ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer =", "Bearer\ta\tb"] {
            assert_eq!(Credential::of(&headers(&[value])), Credential::Unreadable, "{value}");
        }
        for two in [["Bearer a", "Bearer b"], ["Basic a", "Bearer b"], ["Bearer a", "Basic b"]] {
            assert_eq!(Credential::of(&headers(&two)), Credential::Unreadable, "{two:?}");
        }
    }

    #[test]
    fn other_schemes_are_no_bearer_tokens() {
        for value in ["Basic YTpi", "Bearers a", "Bear", "", "DPoP a", "a Bearer b"] {
            assert_eq!(Credential::of(&headers(&[value])), Credential::None, "{value}");
        }
        assert_eq!(Credential::of(&HeaderMap::new()), Credential::None);
    }

    #[test]
    fn a_token_is_not_shown() {
        let headers = headers(&["Bearer secret"]);
        assert!(!format!("{:?}", Credential::of(&headers)).contains("secret"));
    }
}
