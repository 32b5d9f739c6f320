//! Text from the issuer as HTTP header values: printable ASCII, everything else percent-encoded.

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

/// Encoded in a header value: control characters and everything beyond ASCII (always encoded by
/// `percent_encode`), and `%` itself, so that decoding returns the original text.
const VALUE: &AsciiSet = &CONTROLS.add(b'%');
/// The same for an element of a comma-joined list.
const ELEMENT: &AsciiSet = &VALUE.add(b',');

/// The longest value of a header for groups, bytes. Servers refuse a request with a longer line:
/// gunicorn takes 8190 bytes, nginx 8 KiB, Node.js 16 KiB for all headers together. The 200 identifiers
/// of groups that a token of Entra ID holds at most have 7399 bytes.
pub(super) const MOST: usize = 8000;

/// The header value of one text.
pub(super) fn of_text(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&encode(text, VALUE)).ok()
}

/// The header value of a list: its elements encoded, then joined with commas. `None` if it is
/// empty.
pub(super) fn of_list(list: &[&str]) -> Option<HeaderValue> {
    if list.is_empty() {
        return None;
    }
    let elements: Vec<_> = list.iter().map(|element| encode(element, ELEMENT)).collect();
    HeaderValue::from_str(&elements.join(",")).ok()
}

/// Encodes spaces at both ends as well: HTTP strips them from a field value (RFC 9110 §5.5).
fn encode(text: &str, set: &'static AsciiSet) -> String {
    let inner = text.trim_matches(' ');
    let (before, rest) = text.split_at(text.len() - text.trim_start_matches(' ').len());
    let after = rest.len() - inner.len();
    let mut out = "%20".repeat(before.len());
    out.extend(percent_encode(inner.as_bytes(), set));
    out.push_str(&"%20".repeat(if inner.is_empty() { 0 } else { after }));
    out
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;

    use super::*;

    fn decoded(text: &str) -> String {
        percent_decode_str(text).decode_utf8().unwrap().into_owned()
    }

    #[test]
    fn a_text_decodes_to_the_original() {
        for text in ["jörg", "eve\r\nX-Injected: 1", "nul\0x", "tab\tx", "日本", "50%41"] {
            let value = of_text(text).unwrap();
            assert_eq!(decoded(value.to_str().unwrap()), text);
        }
    }

    #[test]
    fn the_elements_of_a_list_decode_to_the_originals() {
        let list = ["a,b", "c", "/Übung/日本", "x y", "100%", "q'", " lead", "trail ", " "];
        let value = of_list(&list).unwrap();
        let found: Vec<_> = value.to_str().unwrap().split(',').map(decoded).collect();
        assert_eq!(found, list);
    }

    #[test]
    fn an_empty_list_has_no_header_value() {
        assert!(of_list(&[]).is_none());
    }
}
