//! Names of headers, claims and variables.

use super::Parsed;

/// A header field name (RFC 9110 section 5.1), in lower case.
pub(crate) fn header(text: &str) -> Parsed<String> {
    http::HeaderName::from_bytes(text.as_bytes())
        .map(|name| name.as_str().to_owned())
        .map_err(|_| format!("`{text}` is not a header name; write for example `X-User`"))
}

/// A token (RFC 9110 section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// `name` or `a.b.c`
pub(crate) fn claim(text: &str) -> Parsed<String> {
    if text.split('.').any(str::is_empty) {
        return Err(format!(
            "`{text}` is not a claim name; write for example `email` or `realm_access.roles`"
        ));
    }
    Ok(text.to_owned())
}

/// `[A-Za-z_][A-Za-z0-9_]*`
pub(crate) fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
