//! The e-mail address of a person, and what it counts for.
//!
//! People can often set the address themselves at the issuer. An address is therefore an identity
//! only if the issuer does not say that it is unverified (OpenID Connect Core §5.7): [`Email::known`]
//! is the one accessor for policies, headers, assertions and the endpoints, and [`is_unverified`] keeps
//! the address out of every other claim that these read.

use icu_normalizer::ComposingNormalizerBorrowed;
use serde_json::Value;

use super::claims;

/// An address as the issuer gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    claimed: Option<String>,
    verified: Verified,
}

/// The claim `email_verified`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verified {
    Yes,
    No,
    /// The issuer gives no such claim.
    Unsaid,
}

impl Email {
    /// The address at a dotted path of the claims.
    pub(super) fn read(claims: &Value, path: &str) -> Self {
        let verified = Verified::read(claims.get("email_verified"));
        Self { claimed: claims::text(claims, path), verified }
    }

    /// The address, unless the issuer says that it is not verified.
    pub fn known(&self) -> Option<&str> {
        self.claimed.as_deref().filter(|_| self.verified != Verified::No)
    }

    /// The issuer says that the address is verified.
    pub(crate) fn is_verified(&self) -> bool {
        self.claimed.is_some() && self.verified == Verified::Yes
    }
}

/// Whether `text` is an address that the issuer marks as unverified: the one at the path `email_path`
/// or the standard claim, which `email_verified` describes.
pub(super) fn is_unverified(claims: &Value, email_path: &str, text: &str) -> bool {
    let same = |path| claims::text(claims, path).is_some_and(|one| folded(&one) == folded(text));
    Verified::read(claims.get("email_verified")) == Verified::No
        && (same(email_path) || same("email"))
}

/// Text without its letter case, without blanks around it, and with each letter in its plain form (Unicode NFKC):
/// texts that people take for the same are equal.
pub(super) fn folded(text: &str) -> String {
    let text = text.trim();
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let plain = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    plain.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// A domain in the form in which all spellings of it are equal (IDNA): `xn--exmple-cua.org` for `Exämple.org.`.
pub(super) fn domain(text: &str) -> String {
    let folded = folded(text);
    let name = folded.trim_end_matches('.');
    match url::Host::parse(name) {
        Ok(url::Host::Domain(name)) => name,
        _ => name.to_owned(),
    }
}

impl Verified {
    /// Some issuers write the truth value as text or as a number. A value that means nothing is no
    /// verification.
    fn read(claim: Option<&Value>) -> Self {
        match claim {
            None | Some(Value::Null) => Self::Unsaid,
            Some(Value::Bool(true)) => Self::Yes,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") || text == "1" => {
                Self::Yes
            }
            Some(Value::Number(number)) if number.as_u64() == Some(1) => Self::Yes,
            Some(_) => Self::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_counts_unless_the_issuer_says_that_it_is_unverified() {
        for (claim, known, verified) in [
            (json!(true), true, true),
            (json!("true"), true, true),
            (json!("True"), true, true),
            (json!(1), true, true),
            (json!(null), true, false),
            (json!(false), false, false),
            (json!("false"), false, false),
            (json!("False"), false, false),
            (json!("no"), false, false),
            (json!(0), false, false),
            (json!([]), false, false),
        ] {
            let claims = json!({"email": "a@x.example", "email_verified": claim});
            let email = Email::read(&claims, "email");
            assert_eq!(email.known().is_some(), known, "{claims}");
            assert_eq!(email.is_verified(), verified, "{claims}");
            for (path, text) in [("email", "a@x.example"), ("mail", " A@X.example")] {
                assert_eq!(is_unverified(&claims, path, text), !known, "{claims}");
            }
            assert!(!is_unverified(&claims, "email", "b@x.example"), "{claims}");
        }
    }

    #[test]
    fn without_an_address_nothing_is_verified() {
        for claims in [json!({"email_verified": true}), json!({"email": ""}), json!({"email": 7})] {
            let email = Email::read(&claims, "email");
            assert_eq!(email.known(), None);
            assert!(!email.is_verified() && !is_unverified(&claims, "email", ""), "{claims}");
        }
    }
}
