//! Where a person has signed in: what the request said that brought the session here.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::USER_AGENT;

/// The longest part of a `User-Agent` that is kept, bytes.
const MAX_AGENT: usize = 200;

/// Address and program of a client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Device {
    pub(super) client_ip: Option<IpAddr>,
    /// The begin of the `User-Agent`, in printable ASCII.
    pub(super) user_agent: Option<Box<str>>,
}

impl Device {
    /// The client of a request.
    pub(crate) fn of(headers: &HeaderMap, client_ip: Option<IpAddr>) -> Self {
        let agent = headers.get(USER_AGENT).map(|value| {
            let printable = value.as_bytes().iter().filter(|byte| matches!(byte, b' '..=b'~'));
            printable.take(MAX_AGENT).map(|byte| char::from(*byte)).collect::<String>()
        });
        let user_agent = agent.filter(|agent| !agent.is_empty()).map(String::into_boxed_str);
        Self { client_ip, user_agent }
    }

    pub(crate) fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_and_printable() {
        let agent = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, http::HeaderValue::from_bytes(value).unwrap());
            Device::of(&headers, None).user_agent.map(String::from)
        };
        assert_eq!(agent(b"Mozilla/5.0 (X11)").as_deref(), Some("Mozilla/5.0 (X11)"));
        assert_eq!(agent(b"a\xffb\tc").as_deref(), Some("abc"));
        assert_eq!(agent(&[b'x'; 5000]).map(|agent| agent.len()), Some(MAX_AGENT));
        assert_eq!(agent(b"\xff"), None);
        assert!(Device::of(&HeaderMap::new(), None).user_agent.is_none());
    }
}
