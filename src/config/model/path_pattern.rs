//! Path prefixes and patterns of the configuration, compared with the path of a request.
//!
//! Apps read paths in different ways: some decode escapes, some ignore letter case, blanks at the ends of a
//! segment, or bytes that are no text, some convert letters to another form. Every comparison therefore
//! names a reading.

use icu_normalizer::ComposingNormalizerBorrowed;
use percent_encoding::percent_decode;

/// How a path of a request is compared with the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The path as sent: for apps that do not decode escapes.
    Sent,
    /// The decoded path; letter case counts.
    Decoded,
    /// The decoded path in its [`folded`] form: letter case is ignored, and so is what else some servers
    /// make equal.
    Folded,
}

impl Reading {
    /// Whether a segment of a request's path equals a decoded segment of the configuration.
    fn is_same(self, segment: &[u8], wanted: &[u8]) -> bool {
        match self {
            Self::Sent => is_sent_as(segment, wanted),
            Self::Decoded => segment == wanted,
            Self::Folded => is_folded_from(segment, wanted),
        }
    }
}

/// Whether a segment as sent is `wanted` without a needless escape. A byte that a path cannot have as it
/// is must be escaped.
fn is_sent_as(segment: &[u8], wanted: &[u8]) -> bool {
    let mut sent = segment.iter();
    let same = wanted.iter().all(|&byte| match sent.next() {
        Some(b'%') => {
            let digits = [sent.next(), sent.next()].map(|digit| digit.copied().unwrap_or(b'?'));
            !stands_in_a_path(byte) && digits.eq_ignore_ascii_case(&hexadecimal(byte))
        }
        found => found == Some(&byte),
    });
    same && sent.next().is_none()
}

fn hexadecimal(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// Whether a segment can have the byte without an escape (RFC 3986 section 3.3).
fn stands_in_a_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte)
}

/// The form of a path in which segments are equal that some server takes for the same: one that ignores
/// letter case, drops blanks around a segment or dots at its end (Windows), reads `+` as a blank, drops bytes
/// that are not UTF-8, or converts letters to another form (full-width to ordinary, a letter and an accent to
/// one letter; Unicode NFKC). It has as many segments as the path.
///
/// A client chooses the path, and the conversion is dear: fold it once, not for each comparison. For several
/// readings of one path there is a [`super::folder::Folder`].
pub fn folded(path: &[u8]) -> Vec<u8> {
    folded_by(path, |all, segment| all.extend(converted(segment)))
}

/// The same, where `convert` appends the form of a segment that is not ASCII.
pub(super) fn folded_by(path: &[u8], mut convert: impl FnMut(&mut Vec<u8>, &[u8])) -> Vec<u8> {
    let mut all = Vec::with_capacity(path.len());
    for (place, segment) in path.split(|&byte| byte == b'/').enumerate() {
        if place > 0 {
            all.push(b'/');
        }
        let begin = all.len();
        let kept = trimmed(segment);
        if kept.is_ascii() {
            all.extend(kept.iter().copied().map(fold));
        } else {
            convert(&mut all, kept);
        }
        if all.len() == begin && !segment.is_empty() {
            all.push(NOTHING);
        }
    }
    all
}

/// The folded form of a segment that is not ASCII. Dear: a letter may become eighteen.
pub(super) fn converted(segment: &[u8]) -> Vec<u8> {
    plain(&String::from_utf8_lossy(segment)).bytes().map(within_a_segment).collect()
}

/// Whether a segment of a folded path equals a decoded segment of the configuration.
fn is_folded_from(segment: &[u8], wanted: &[u8]) -> bool {
    let kept = trimmed(wanted);
    if kept.is_ascii() && !kept.is_empty() {
        segment.iter().copied().eq(kept.iter().copied().map(fold).map(within_a_segment))
    } else {
        let mut wanted = [b"/", wanted].concat();
        wanted[1..].iter_mut().for_each(|byte| *byte = within_a_segment(*byte));
        folded(&wanted)[1..] == *segment
    }
}

/// A segment of which nothing is left is still a segment: `*` matches it.
const NOTHING: u8 = 0;

fn fold(byte: u8) -> u8 {
    if byte == b'+' { b' ' } else { byte.to_ascii_lowercase() }
}

/// Some letters become text with a slash, which would begin another segment.
fn within_a_segment(byte: u8) -> u8 {
    if byte == b'/' { 0 } else { byte }
}

/// Without blanks at the start, and without blanks and dots at the end.
fn trimmed(segment: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'+');
    let start = segment.iter().position(|byte| !is_blank(byte)).unwrap_or(segment.len());
    let last = segment.iter().rposition(|byte| !is_blank(byte) && *byte != b'.');
    &segment[start.min(last.map_or(0, |last| last + 1))..last.map_or(0, |last| last + 1)]
}

/// The form of a text in which similar texts are equal. App servers convert to upper case or to lower case,
/// so this does both.
fn plain(text: &str) -> String {
    let text = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    let kept = text.chars().filter(|&c| c != char::REPLACEMENT_CHARACTER);
    let blank = kept.map(|c| if c == '+' { ' ' } else { c });
    let folded =
        blank.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect::<String>();
    folded.trim_start().trim_end_matches(|c: char| c.is_whitespace() || c == '.').to_owned()
}

/// The rest of a path that is `prefix` or lies below it: empty, or beginning with a slash.
pub fn below<'a>(path: &'a [u8], prefix: &str, reading: Reading) -> Option<&'a [u8]> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if reading == Reading::Decoded {
        let rest = path.strip_prefix(prefix.as_bytes())?;
        return (rest.is_empty() || rest.starts_with(b"/")).then_some(rest);
    }
    let mut rest = path;
    for wanted in prefix.split('/').skip(1) {
        let from = rest.strip_prefix(b"/")?;
        let end = memchr::memchr(b'/', from).unwrap_or(from.len());
        if !reading.is_same(&from[..end], wanted.as_bytes()) {
            return None;
        }
        rest = &from[end..];
    }
    Some(rest)
}

/// The first `count` segments of a path: whether it lies below a prefix of so many segments is told by these.
/// Segments stay segments when they are folded.
pub fn first_segments(path: &[u8], count: usize) -> &[u8] {
    let end = memchr::memchr_iter(b'/', path.get(1..).unwrap_or_default()).nth(count.max(1) - 1);
    end.map_or(path, |end| &path[..=end])
}

/// A path pattern: `*` is one segment, `**` any number of segments, also none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// `*`
    One,
    /// `**`
    Many,
    /// A decoded segment.
    Named(Vec<u8>),
}

impl PathPattern {
    /// Parses a pattern. The check has refused invalid ones.
    pub fn new(text: &str) -> Self {
        let segments = segments(text.as_bytes()).map(|segment| match segment {
            b"*" => Segment::One,
            b"**" => Segment::Many,
            named => Segment::Named(percent_decode(named).collect()),
        });
        Self { segments: segments.collect(), text: text.to_owned() }
    }

    /// The pattern as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a path, relative to the app, matches. One trailing slash makes no difference.
    ///
    /// Greedy, with one position to go back to, so that the cost is at most the length of the path
    /// times the length of the pattern.
    pub fn matches(&self, path: &[u8], reading: Reading) -> bool {
        let mut rest = segments(path);
        let mut at = 0;
        let mut back = None;
        loop {
            let here = rest.clone();
            let Some(segment) = rest.next() else { break };
            let fits = match self.segments.get(at) {
                Some(Segment::Many) => {
                    back = Some((at, here.clone()));
                    rest = here;
                    true
                }
                Some(Segment::One) => !segment.is_empty(),
                Some(Segment::Named(wanted)) => reading.is_same(segment, wanted),
                None => false,
            };
            at += 1;
            if !fits {
                let Some((many, mut from)) = back else { return false };
                from.next();
                rest = from.clone();
                at = many + 1;
                back = Some((many, from));
            }
        }
        self.segments[at..].iter().all(|left| *left == Segment::Many)
    }
}

/// The segments of a path; the root path has none.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    path.split(|&byte| byte == b'/').filter(move |_| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str, reading: Reading) -> bool {
        let pattern = PathPattern::new(pattern);
        match reading {
            Reading::Folded => pattern.matches(&folded(path.as_bytes()), reading),
            _ => pattern.matches(path.as_bytes(), reading),
        }
    }

    #[test]
    fn patterns_match_whole_segments() {
        for (pattern, matching, other) in [
            (
                "/pub/*",
                &["/pub/a", "/pub/a/"][..],
                &["/pub", "/pub/", "/pub/a/b", "/pubs/a", "/x/pub/a", "/PUB/a"][..],
            ),
            ("/all/**", &["/all", "/all/", "/all/x", "/all/x/y/z"], &["/allx", "/", "/x/all"]),
            ("/**", &["", "/", "/a", "/a/b/"], &[]),
            ("/", &["", "/"], &["/a"]),
            ("/a/**/z", &["/a/z", "/a/b/z", "/a/b/c/z", "/a/z/z"], &["/a", "/a/b", "/a/z/b"]),
            ("/**/x/*", &["/x/1", "/a/x/x/1"], &["/x", "/a/x"]),
            ("/exact", &["/exact", "/exact/"], &["/exact/x", "/exac"]),
        ] {
            for path in matching {
                assert!(matches(pattern, path, Reading::Decoded), "{pattern} {path}");
            }
            for path in other {
                assert!(!matches(pattern, path, Reading::Decoded), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn a_pattern_may_have_escapes_and_letters_beyond_ascii() {
        for pattern in ["/Caf%C3%A9:x/**", "/Caf%c3%a9%3ax/**", "/Café:x/**", "/%43afé%3Ax/**"] {
            assert!(matches(pattern, "/Café:x/1", Reading::Decoded), "{pattern}");
            assert!(matches(pattern, "/cafÉ:X/1", Reading::Folded), "{pattern}");
            assert!(matches(pattern, "/Caf%C3%a9:x/1", Reading::Sent), "{pattern}");
            assert!(!matches(pattern, "/Caf%C3%A9%3Ax/1", Reading::Sent), "{pattern}");
            assert!(!matches(pattern, "/%43af%C3%A9:x/1", Reading::Sent), "{pattern}");
        }
        assert!(matches("/%2A", "/*", Reading::Decoded));
        assert!(!matches("/%2A", "/x", Reading::Decoded));
    }

    #[test]
    fn letter_case_may_be_ignored() {
        for (pattern, path) in
            [("/Special", "/sPECIAL"), ("/straße", "/STRASSE"), ("/kelvin", "/\u{212a}ELVIN")]
        {
            assert!(matches(pattern, path, Reading::Folded), "{pattern} {path}");
            assert!(!matches(pattern, path, Reading::Decoded), "{pattern} {path}");
        }
        let latin1 = PathPattern::new("/%E9x");
        assert!(latin1.matches(&folded(b"/\xe9X"), Reading::Folded));
        assert!(!latin1.matches(&folded("/éx".as_bytes()), Reading::Folded));
    }

    #[test]
    fn a_folded_path_keeps_its_segments() {
        for (path, wanted) in [
            ("/", "/"),
            ("", ""),
            ("/A/b+c/ D. /", "/a/b c/d/"),
            ("//x", "//x"),
            ("/a/.../+/\u{3000}", "/a/\0/\0/\0"),
            // The letter becomes `a/c`, and full-width signs their ordinary forms.
            ("/\u{2100}/x", "/a\0c/x"),
            ("/a\u{ff0f}b", "/a\0b"),
        ] {
            assert_eq!(folded(path.as_bytes()), wanted.as_bytes(), "{path}");
        }
        for (pattern, path) in [
            ("/admin/*", "/ADMIN/..."),
            ("/admin/*", "/ADMIN/+"),
            ("/admin/*", "/ADMIN/\u{fffd}"),
            ("/admin/*/x", "/ADMIN/\u{3000}/x"),
            ("/*/admin", "/.../ADMIN"),
            ("/...", "/+"),
        ] {
            assert!(matches(pattern, path, Reading::Folded), "{pattern} {path}");
        }
        assert!(!matches("/*", "/", Reading::Folded));
        assert!(!matches("/a/b", "/a\u{ff0f}b", Reading::Folded));
        assert!(matches("/a%2Fb", "/a\u{ff0f}b", Reading::Folded));
    }

    #[test]
    fn a_segment_is_found_in_every_form_that_some_server_makes_of_it() {
        for (pattern, path) in [
            ("/admin", "/admin."),
            ("/admin", "/Admin.. "),
            ("/admin", "/ admin"),
            ("/admin", "/+admin+"),
            ("/a b", "/A+B"),
            ("/a+b", "/a b"),
            ("/v1./x", "/v1/x"),
            ("/admin", "/\u{ff41}\u{ff24}min"),
            ("/caf\u{e9}", "/cafe\u{301}"),
            ("/cafe\u{301}", "/CAF\u{c9}."),
            ("/admin", "/admin\u{3000}"),
        ] {
            assert!(matches(pattern, path, Reading::Folded), "{pattern} {path}");
            assert!(!matches(pattern, path, Reading::Decoded), "{pattern} {path}");
        }
        let admin = PathPattern::new("/admin");
        for path in [&b"/ad\xffmin"[..], b"/\xc0admin\xfe"] {
            assert!(admin.matches(&folded(path), Reading::Folded), "{path:?}");
        }
        for path in
            ["/.admin", "/ad.min", "/ad min", "/admin.json", "/admins", "/adm\u{ed}n", "/.", "/+"]
        {
            assert!(!matches("/admin", path, Reading::Folded), "{path}");
        }
    }

    #[test]
    fn prefixes_end_at_segment_borders() {
        for (path, prefix, reading, rest) in [
            ("/app", "/app", Reading::Decoded, Some("")),
            ("/app/x", "/app/", Reading::Decoded, Some("/x")),
            ("/appx", "/app", Reading::Decoded, None),
            ("/x", "/", Reading::Decoded, Some("/x")),
            ("/APP/x", "/app", Reading::Decoded, None),
            ("/APP/x", "/app", Reading::Folded, Some("/x")),
            ("/APPx", "/app", Reading::Folded, None),
            ("/x", "/", Reading::Folded, Some("/x")),
            ("/%61pp/x", "/app", Reading::Sent, None),
            ("/app/%61", "/app", Reading::Sent, Some("/%61")),
        ] {
            let read = match reading {
                Reading::Folded => folded(path.as_bytes()),
                _ => path.as_bytes().to_vec(),
            };
            let found = below(&read, prefix, reading);
            assert_eq!(found, rest.map(str::as_bytes), "{path} {prefix} {reading:?}");
        }
    }

    /// Trying each `**` against each segment would take minutes.
    #[test]
    fn a_long_path_is_matched_in_time() {
        let rule = PathPattern::new("/**/a/**/b/**/c/**/d");
        let path = ["/a", "/b", "/c"].map(|segment| segment.repeat(2500)).concat();
        let begun = std::time::Instant::now();
        assert!(!rule.matches(path.as_bytes(), Reading::Decoded));
        assert!(begun.elapsed() < std::time::Duration::from_secs(2));
    }
}
