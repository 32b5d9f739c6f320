//! Whether the client has the file already, or wants another one (RFC 9110 section 13).

use std::time::{Duration, SystemTime};

use http::HeaderValue;
use http::header::{
    HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE,
};

use crate::site::File;

/// A file that was changed so recently can change again without another time: its tag is weak (RFC 9110
/// section 8.8.1).
const RECENT: Duration = Duration::from_secs(2);

/// What tells one content of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Validators {
    /// The tag with its quotes, and `W/` before if it is weak.
    pub(super) tag: String,
    /// When the content was changed, to the second.
    pub(super) modified: SystemTime,
}

/// What the conditions of a request say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The file is sent.
    Send,
    /// The client has the file: 304.
    NotModified,
    /// The client wants another file: 412.
    Failed,
}

impl Validators {
    /// The tag has the times of content and inode and the length. A neighbour has a tag of its own.
    pub(super) fn of(file: &File, now: SystemTime) -> Self {
        let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH);
        let modified = since(file.modified).unwrap_or_default();
        let (changed, now) = (file.changed, since(now).unwrap_or_default());
        let last = modified.as_nanos().max(u128::try_from(changed).unwrap_or_default());
        let is_recent = last + RECENT.as_nanos() > now.as_nanos();
        let (weak, ending) = (if is_recent { "W/" } else { "" }, file.ending.unwrap_or_default());
        let (length, modified_at) = (file.length, modified.as_nanos());
        let tag = format!("{weak}\"{modified_at:x}-{changed:x}-{length:x}{ending}\"");
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(modified.as_secs());
        Self { tag, modified }
    }

    /// What the conditions say, in the order of RFC 9110 section 13.2.2.
    pub(super) fn judge(&self, headers: &HeaderMap) -> Verdict {
        if headers.contains_key(IF_MATCH) {
            if !Self::is_listed(headers, &IF_MATCH, |tag| self.is_strongly(tag)) {
                return Verdict::Failed;
            }
        } else if date(headers.get(IF_UNMODIFIED_SINCE)).is_some_and(|date| self.modified > date) {
            return Verdict::Failed;
        }
        let is_known = if headers.contains_key(IF_NONE_MATCH) {
            Self::is_listed(headers, &IF_NONE_MATCH, |tag| opaque(tag) == opaque(&self.tag))
        } else {
            date(headers.get(IF_MODIFIED_SINCE)).is_some_and(|date| self.modified <= date)
        };
        if is_known { Verdict::NotModified } else { Verdict::Send }
    }

    /// Whether a part may be sent: the client has parts of this very content, or says nothing.
    pub(super) fn allow_range(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(IF_RANGE) else { return true };
        let is_tag = value.to_str().is_ok_and(|value| self.is_strongly(value.trim()));
        // A date is a strong validator only if the file was not changed a moment ago.
        let is_strong = !self.tag.starts_with("W/");
        is_tag || is_strong && date(Some(value)) == Some(self.modified)
    }

    fn is_strongly(&self, tag: &str) -> bool {
        !tag.starts_with("W/") && tag == self.tag
    }

    fn is_listed(headers: &HeaderMap, name: &HeaderName, is_own: impl Fn(&str) -> bool) -> bool {
        let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        // The own tags have no comma.
        lines.flat_map(|line| line.split(',')).map(str::trim).any(|tag| tag == "*" || is_own(tag))
    }
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// A date of HTTP; `None` if it cannot be read, which counts as no condition.
fn date(value: Option<&HeaderValue>) -> Option<SystemTime> {
    httpdate::parse_http_date(value?.to_str().ok()?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn validators(tag: &str) -> Validators {
        let modified = httpdate::parse_http_date(TIME).unwrap();
        Validators { tag: tag.to_owned(), modified }
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        lines.collect()
    }

    #[test]
    fn conditions_are_judged_in_the_order_of_the_standard() {
        let (before, after) = ("Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        for (lines, wanted) in [
            (&[][..], Verdict::Send),
            (&[("if-none-match", "\"a\"")], Verdict::NotModified),
            (&[("if-none-match", "W/\"a\"")], Verdict::NotModified),
            (&[("if-none-match", "\"x\", \"a\"")], Verdict::NotModified),
            (&[("if-none-match", "*")], Verdict::NotModified),
            (&[("if-none-match", "\"b\"")], Verdict::Send),
            (&[("if-none-match", "a")], Verdict::Send),
            (&[("if-none-match", "\"b\""), ("if-modified-since", after)], Verdict::Send),
            (&[("if-modified-since", TIME)], Verdict::NotModified),
            (&[("if-modified-since", after)], Verdict::NotModified),
            (&[("if-modified-since", before)], Verdict::Send),
            (&[("if-modified-since", "yesterday")], Verdict::Send),
            (&[("if-match", "\"a\"")], Verdict::Send),
            (&[("if-match", "*")], Verdict::Send),
            (&[("if-match", "W/\"a\"")], Verdict::Failed),
            (&[("if-match", "\"b\"")], Verdict::Failed),
            (&[("if-match", "\"a\""), ("if-unmodified-since", before)], Verdict::Send),
            (&[("if-unmodified-since", before)], Verdict::Failed),
            (&[("if-unmodified-since", TIME)], Verdict::Send),
            (&[("if-match", "\"a\""), ("if-none-match", "\"a\"")], Verdict::NotModified),
        ] {
            assert_eq!(validators("\"a\"").judge(&headers(lines)), wanted, "{lines:?}");
        }
        let weak = validators("W/\"a\"");
        assert_eq!(weak.judge(&headers(&[("if-none-match", "\"a\"")])), Verdict::NotModified);
        assert_eq!(weak.judge(&headers(&[("if-match", "W/\"a\"")])), Verdict::Failed);
    }

    #[test]
    fn a_part_belongs_to_the_content_that_the_client_has() {
        for (tag, value, wanted) in [
            ("\"a\"", None, true),
            ("\"a\"", Some("\"a\""), true),
            ("\"a\"", Some("\"b\""), false),
            ("\"a\"", Some("W/\"a\""), false),
            ("W/\"a\"", Some("W/\"a\""), false),
            ("\"a\"", Some(TIME), true),
            ("W/\"a\"", Some(TIME), false),
            ("\"a\"", Some("Sun, 06 Nov 1994 08:49:38 GMT"), false),
            ("\"a\"", Some("soon"), false),
        ] {
            let lines: Vec<_> = value.map(|value| ("if-range", value)).into_iter().collect();
            assert_eq!(validators(tag).allow_range(&headers(&lines)), wanted, "{tag} {value:?}");
        }
    }

    #[test]
    fn a_tag_tells_contents_apart_and_is_weak_for_a_moment() {
        let place = tempfile::tempfile().unwrap();
        let now = SystemTime::now();
        let old = now - Duration::from_mins(1);
        let at = |time: SystemTime| {
            i128::try_from(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()).unwrap()
        };
        let tag = |length, modified, changed, ending| {
            let file = File {
                opened: std::sync::Arc::new(place.try_clone().unwrap()),
                length,
                modified,
                changed,
                name: String::new(),
                ending,
                varies: false,
                first: None,
                pace: crate::site::Pace::Whole,
            };
            Validators::of(&file, now).tag
        };
        let first = tag(7, old, at(old), None);
        assert!(first.starts_with('"') && first.ends_with('"'), "{first}");
        assert_eq!(tag(7, old, at(old), None), first);
        let others = [
            tag(8, old, at(old), None),
            tag(7, old - Duration::from_nanos(1), at(old), None),
            tag(7, old, at(old) + 1, None),
            tag(7, old, at(old), Some(".br")),
        ];
        assert!(
            others.iter().all(|other| *other != first && !other.starts_with("W/")),
            "{others:?}"
        );
        for (modified, changed) in [(now, at(old)), (old, at(now)), (old, at(now) * 2)] {
            let tag = tag(7, modified, changed, None);
            assert!(tag.starts_with("W/\""), "{tag}");
        }
    }
}
