//! Copies of values that point into the read buffer of a request. What lasts longer than a request holds
//! copies: one slice would keep the whole buffer of its connection in memory, 8 KiB and more.

use http::HeaderValue;
use http::uri::PathAndQuery;

/// A header value with memory of its own.
pub(crate) fn header(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

/// A request target with memory of its own.
pub(crate) fn target(target: &PathAndQuery) -> PathAndQuery {
    target.as_str().parse().unwrap_or_else(|_| target.clone())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_copy_keeps_the_value_and_not_the_buffer() {
        let buffer = Bytes::from(b"/a/b?c=%2F localhost:80\xe9".to_vec());
        let path = PathAndQuery::from_maybe_shared(buffer.slice(..10)).unwrap();
        let host = HeaderValue::from_maybe_shared(buffer.slice(11..)).unwrap();
        let (path_copy, host_copy) = (target(&path), header(&host));
        assert_eq!((&path_copy, &host_copy), (&path, &host));
        drop((path, host));
        assert!(buffer.is_unique());
    }
}
