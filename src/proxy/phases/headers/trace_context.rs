//! `traceparent` (W3C Trace Context): one trace id for a request in the access log of the appliance,
//! in the app and in whatever the app calls.
//!
//! A valid `traceparent` of the client is passed on. A missing or invalid one is replaced by a new
//! one, and `tracestate`, which belongs to the other, is removed. A client can therefore choose a
//! trace id, as the standard wants it; `X-Request-Id` is the id that no client can choose.

use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::proxy::answer::request_id::{random, write_hex};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Length of `traceparent` in version 00: `00-<trace id>-<parent id>-<flags>`.
const LENGTH: usize = 55;
/// Where the parts begin, and their length.
const TRACE_ID: std::ops::Range<usize> = 3..35;
const PARENT_ID: std::ops::Range<usize> = 36..52;
const FLAGS: std::ops::Range<usize> = 53..55;

/// The `traceparent` of one request, in version 00.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceContext {
    text: [u8; LENGTH],
    origin: Origin,
}

/// Where a `traceparent` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The client, and the header stays as it is.
    Client,
    /// The client, but the header differs: its version is not known, or the span of the appliance
    /// is the parent of what the app does.
    Converted,
    /// The appliance.
    Made,
}

impl TraceContext {
    /// That of a request with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut sent = headers.get_all(TRACEPARENT).iter();
        match (sent.next(), sent.next()) {
            (Some(value), None) => parse(value.as_bytes()).unwrap_or_else(make),
            _ => make(),
        }
    }

    /// The trace id: 32 hexadecimal digits.
    pub(crate) fn id(&self) -> &str {
        std::str::from_utf8(&self.text[TRACE_ID]).unwrap_or_default()
    }

    /// The `traceparent` of the client, if it is valid.
    pub(crate) fn sent_by_client(&self) -> Option<&str> {
        std::str::from_utf8(&self.text).ok().filter(|_| self.origin != Origin::Made)
    }

    /// The same trace, or a new one, with another span as its parent for the app.
    pub(crate) fn continued_by(self, traceparent: Option<String>) -> Self {
        let text = traceparent.and_then(|text| text.into_bytes().try_into().ok());
        let Some(text) = text else { return self };
        let origin = if self.origin == Origin::Made { Origin::Made } else { Origin::Converted };
        Self { text, origin }
    }

    /// Sets the headers of the request to the app.
    pub(super) fn set(&self, headers: &mut HeaderMap) {
        if self.origin == Origin::Client {
            return;
        }
        if let Ok(value) = HeaderValue::from_bytes(&self.text) {
            headers.insert(TRACEPARENT, value);
        }
        if self.origin == Origin::Made {
            headers.remove(TRACESTATE);
        }
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", String::from_utf8_lossy(&self.text), self.origin)
    }
}

/// Reads a `traceparent`. A later version may have more parts behind the known ones.
fn parse(value: &[u8]) -> Option<TraceContext> {
    let (head, rest) = value.split_first_chunk::<LENGTH>()?;
    let dashes = [2, 35, 52].iter().all(|place| head[*place] == b'-');
    let is_hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &[u8]| is_hex(part) && part.iter().any(|b| *b != b'0');
    let valid = dashes
        && is_hex(&head[..2])
        && is_id(&head[TRACE_ID])
        && is_id(&head[PARENT_ID])
        && is_hex(&head[FLAGS]);
    match &head[..2] {
        _ if !valid => None,
        b"ff" => None,
        b"00" => rest.is_empty().then_some(TraceContext { text: *head, origin: Origin::Client }),
        _ if rest.first().is_some_and(|b| *b != b'-') => None,
        _ => {
            let mut text = *head;
            text[..2].copy_from_slice(b"00");
            // Of the flags of another version, only `sampled` has a known meaning.
            let sampled = matches!(head[54], b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f');
            text[FLAGS].copy_from_slice(if sampled { b"01" } else { b"00" });
            Some(TraceContext { text, origin: Origin::Converted })
        }
    }
}

/// A new trace. It is marked as sampled: an app whose sampler follows its parent records it as it
/// would record a request without `traceparent`.
fn make() -> TraceContext {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
    write_hex(&mut text[3..19], random());
    write_hex(&mut text[19..35], random());
    write_hex(&mut text[PARENT_ID], random());
    TraceContext { text, origin: Origin::Made }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    fn headers(parents: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for parent in parents {
            headers.append(TRACEPARENT, HeaderValue::from_str(parent).unwrap());
        }
        headers.insert(TRACESTATE, HeaderValue::from_static("vendor=1"));
        headers
    }

    /// The headers for the app.
    fn passed_on(parents: &[&str]) -> (TraceContext, String, bool) {
        let mut headers = headers(parents);
        let trace = TraceContext::of(&headers);
        trace.set(&mut headers);
        assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1, "{parents:?}");
        let parent = headers[TRACEPARENT].to_str().unwrap().to_owned();
        (trace, parent, headers.contains_key(TRACESTATE))
    }

    #[test]
    fn a_valid_parent_is_passed_on_with_its_state() {
        for (sent, passed) in [
            (VALID, VALID),
            (&VALID.replace("-01", "-00"), &VALID.replace("-01", "-00")),
            // Unknown flags of the known version stay.
            (&VALID.replace("-01", "-ff"), &VALID.replace("-01", "-ff")),
            // Another version: what is known of it.
            (&VALID.replacen("00", "cc", 1), VALID),
            (&(VALID.replacen("00", "01", 1) + "-what-follows"), VALID),
            (&VALID.replacen("00", "01", 1).replace("-01", "-06"), &VALID.replace("-01", "-00")),
        ] {
            let (trace, parent, state) = passed_on(&[sent]);
            assert_eq!((trace.id(), parent.as_str(), state), (ID, passed, true), "{sent}");
        }
    }

    #[test]
    fn a_missing_or_invalid_parent_is_replaced_and_its_state_removed() {
        let zeros = [
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ];
        let invalid = [
            VALID.to_uppercase(),
            VALID.replacen("00", "ff", 1),
            format!("{VALID}-"),
            format!("{VALID}-x"),
            format!(" {VALID}x"),
            VALID.replacen("00", "01", 1) + "x",
            VALID.replace('-', "_"),
            VALID[..54].to_owned(),
            VALID.replace("-01", "-0g"),
            VALID.replacen("00", "0", 1),
            String::new(),
        ];
        let lists: Vec<Vec<&str>> = invalid
            .iter()
            .map(String::as_str)
            .chain(zeros)
            .map(|one| vec![one])
            .chain([vec![], vec![VALID, VALID]])
            .collect();
        for list in lists {
            let (trace, parent, state) = passed_on(&list);
            assert!(!state && trace.id() != ID, "{list:?}");
            assert!(parent.contains(trace.id()) && parent.ends_with("-01"), "{list:?}: {parent}");
            let again = parse(parent.as_bytes()).unwrap();
            assert_eq!((again.id(), again.origin), (trace.id(), Origin::Client));
        }
    }

    #[test]
    fn no_two_requests_share_a_made_trace() {
        let made: std::collections::HashSet<_> = (0..1000).map(|_| make().text).collect();
        assert_eq!(made.len(), 1000);
    }
}
