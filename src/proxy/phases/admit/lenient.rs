//! The segments that some server may find in an ambiguous path.
//!
//! Servers differ: some decode escapes more than once, read `%2F` and `\` as a slash, merge `//`, or cut a
//! segment off at `;`. This module does not follow one of them: it lists the pieces between all of
//! these characters, and tells which pieces some servers do not see.

use crate::config::{Reading, below, folded};

/// The pieces of a path, in order.
#[derive(Debug)]
pub(crate) struct LenientPath {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    text: Vec<u8>,
    /// The same as a path, folded.
    folded: Vec<u8>,
    /// Some servers cut the path off before this piece.
    may_vanish: bool,
}

impl LenientPath {
    /// Splits a path as sent, whose escapes are valid.
    pub(super) fn new(sent: &str) -> Self {
        let bytes: Vec<_> = sent.bytes().map(|byte| (byte, true)).collect();
        let mut path = Self { pieces: Vec::new() };
        let (mut text, mut in_parameter, mut in_query) = (Vec::new(), false, false);
        for (byte, is_sent) in decode_all(bytes) {
            if !matches!(byte, b'/' | b'\\' | b';' | b'?' | b'#') {
                text.push(byte);
                continue;
            }
            path.push(std::mem::take(&mut text), in_parameter || in_query);
            match byte {
                // Some servers look for the end of a parameter before they decode escapes.
                b'/' if is_sent => in_parameter = false,
                b';' => in_parameter = true,
                b'?' | b'#' => in_query = true,
                _ => {}
            }
        }
        path.push(text, in_parameter || in_query);
        path
    }

    fn push(&mut self, text: Vec<u8>, may_vanish: bool) {
        if !text.is_empty() {
            let folded = folded(&[b"/", text.as_slice()].concat());
            self.pieces.push(Piece { text, folded, may_vanish });
        }
    }

    /// Whether some server finds a `.` or `..` segment.
    pub(super) fn has_dots(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece.text.as_slice(), b"." | b".."))
    }

    /// Whether some server finds a path that is `prefix` or lies below it, in any letter case.
    pub(crate) fn may_be_below(&self, prefix: &str) -> bool {
        let wanted: Vec<&str> = prefix.split('/').filter(|segment| !segment.is_empty()).collect();
        // For each number of found segments: whether some server has found that many so far.
        let mut found = vec![false; wanted.len() + 1];
        found[0] = true;
        for piece in &self.pieces {
            for count in (0..wanted.len()).rev() {
                if found[count] && piece.is(wanted[count]) {
                    found[count + 1] = true;
                    found[count] = piece.may_vanish;
                } else {
                    found[count] &= piece.may_vanish;
                }
            }
        }
        found[wanted.len()]
    }
}

impl Piece {
    fn is(&self, wanted: &str) -> bool {
        let rest = below(&self.folded, &format!("/{wanted}"), Reading::Folded);
        rest.is_some_and(<[u8]>::is_empty)
    }
}

/// Decodes escapes until none is left. Their depth is limited.
fn decode_all(mut bytes: Vec<(u8, bool)>) -> Vec<(u8, bool)> {
    loop {
        let decoded = decode(&bytes);
        if decoded.len() == bytes.len() {
            return decoded;
        }
        bytes = decoded;
    }
}

/// Decodes escapes once. Each byte comes with whether it was sent as it is.
fn decode(bytes: &[(u8, bool)]) -> Vec<(u8, bool)> {
    let hex = |at: usize| {
        let (digit, _) = bytes.get(at)?;
        char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
    };
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&(byte, is_sent)) = bytes.get(at) {
        if let (b'%', Some(high), Some(low)) = (byte, hex(at + 1), hex(at + 2)) {
            decoded.push((high << 4 | low, false));
            at += 3;
        } else {
            decoded.push((byte, is_sent));
            at += 1;
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_be_below_a_prefix_for_some_server() {
        for (sent, prefix, wanted) in [
            ("/raw//app2/x", "/raw/app2", true),
            ("/raw/%2Fapp2", "/raw/app2", true),
            ("/raw%2FApp2/x", "/raw/app2", true),
            ("/raw;v=1/app2", "/raw/app2", true),
            ("/raw/;x/app2;y/z", "/raw/app2", true),
            ("/raw/;x%2Fapp2", "/raw/app2", true),
            ("/raw/;x%2Fq/app2", "/raw/app2", true),
            ("/raw/;x%252Fapp2", "/raw/app2", true),
            ("/raw/%61pp2%3Bq", "/raw/app2", true),
            ("/raw//a%2570p2", "/raw/app2", true),
            ("/raw//app2%3Fx", "/raw/app2", true),
            ("/raw//app2", "/app2", false),
            ("/;x/app2", "/app2", true),
            ("//app2", "/app2", true),
            ("//", "/", true),
            ("/raw/x/app2%2Fy", "/raw/app2", false),
            ("/raw/app2x;y", "/raw/app2", false),
            ("/raw/x;app2", "/raw/app2", false),
            ("/raw/a;b/c%2Fd", "/raw/app2", false),
            ("/raw;", "/raw/app2", false),
        ] {
            assert_eq!(LenientPath::new(sent).may_be_below(prefix), wanted, "{sent} {prefix}");
        }
    }

    #[test]
    fn dot_segments_are_found_in_every_spelling() {
        for (sent, wanted) in [
            ("/a/..;/b", true),
            ("/a/..%3Bx/b", true),
            ("/a/..%2Fb", true),
            ("/a%2F..", true),
            ("/a%2F%2e%2E/b", true),
            ("/a;/.%2Fb", true),
            ("/a;b%2F%252e%252e", true),
            ("/a/..%252Fb;", true),
            ("/a..;b/c", false),
            ("/a;b//c%2Fd...", false),
        ] {
            assert_eq!(LenientPath::new(sent).has_dots(), wanted, "{sent}");
        }
    }
}
