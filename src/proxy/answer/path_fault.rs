//! What makes the path of a request ambiguous: the part that servers read in different ways, and why.

use std::borrow::Cow;

use crate::texts::{Message, Text};

/// A part of a path that the proxy refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathFault {
    /// A byte that a path cannot have without an escape.
    Byte(u8),
    /// An escaped byte that no path has: a backslash or a control character.
    Escape(u8),
    /// A percent sign without two hexadecimal digits.
    Percent,
    /// An escape that is itself escaped, many times over.
    Escapes,
    /// A segment `.` or `..`, in any spelling.
    Dots,
    /// A segment that is `.`, `..`, nothing or several segments for a server that drops bytes which are not UTF-8
    /// or replaces letters by their plain form.
    Displaced,
    /// `;`
    Semicolon,
    /// `%3B`
    EscapedSemicolon,
    /// `%2F`
    EscapedSlash,
    /// `//`
    EmptySegment,
}

impl PathFault {
    /// Whether an app with `raw_path` gets paths with this part.
    pub(crate) fn passes_raw(self) -> bool {
        matches!(
            self,
            Self::Semicolon | Self::EscapedSemicolon | Self::EscapedSlash | Self::EmptySegment
        )
    }

    /// The part and the reason, for the log.
    pub(super) fn reason(self) -> Cow<'static, str> {
        match self {
            Self::Byte(b'\\') => {
                "`\\` in the path is not allowed: some servers read a backslash as a slash".into()
            }
            Self::Byte(byte @ b'!'..=b'~') => format!(
                "`{}` in the path is not allowed: it must be written `%{byte:02X}`",
                char::from(byte)
            )
            .into(),
            Self::Byte(byte) => format!("a byte in the path must be written `%{byte:02X}`").into(),
            Self::Escape(b'\\') => {
                "`%5C` in the path is not allowed: some servers read a backslash as a slash".into()
            }
            Self::Escape(byte) => {
                format!("`%{byte:02X}` in the path is not allowed: it is a control character")
                    .into()
            }
            Self::Percent => {
                "`%` in the path has no two hexadecimal digits after it: a percent sign is written \
                 `%25`"
                    .into()
            }
            Self::Escapes => {
                "an escape in the path is escaped too often: servers decode it a different number \
                 of times"
                    .into()
            }
            Self::Dots => {
                "a segment `.` or `..` in the path is not allowed: servers resolve it in different \
                 ways"
                    .into()
            }
            Self::Displaced => {
                "a segment in the path is not allowed: some servers read it as `.`, `..`, nothing or \
                 several segments"
                    .into()
            }
            Self::Semicolon => {
                "`;` in the path is not allowed: some servers cut the segment off there".into()
            }
            Self::EscapedSemicolon => {
                "`%3B` in the path is not allowed: some servers cut the segment off at a semicolon"
                    .into()
            }
            Self::EscapedSlash => {
                "`%2F` in the path is not allowed: some servers read it as a slash".into()
            }
            Self::EmptySegment => {
                "`//` in the path is not allowed: some servers read it as one slash".into()
            }
        }
    }

    /// The part and the reason, for the page, and what an administrator can do.
    pub(super) fn message(self) -> Message {
        let fault = match self {
            Self::Byte(b'\\') => Text::PathBackslash.with("part", "\\"),
            Self::Byte(byte @ b'!'..=b'~') => Text::PathMustBeEscaped
                .with("part", char::from(byte).to_string())
                .with("escape", escape(byte)),
            Self::Byte(byte) => Text::PathByte.with("escape", escape(byte)),
            Self::Escape(b'\\') => Text::PathBackslash.with("part", "%5C"),
            Self::Escape(byte) => Text::PathControl.with("part", escape(byte)),
            Self::Percent => Text::PathPercent.into(),
            Self::Escapes => Text::PathEscapes.into(),
            Self::Dots => Text::PathDots.into(),
            Self::Displaced => Text::PathDisplaced.into(),
            Self::Semicolon => Text::PathSemicolon.into(),
            Self::EscapedSemicolon => Text::PathEscapedSemicolon.into(),
            Self::EscapedSlash => Text::PathEscapedSlash.into(),
            Self::EmptySegment => Text::PathEmptySegment.into(),
        };
        if self.passes_raw() { Text::PathRaw.with("fault", fault) } else { fault }
    }
}

fn escape(byte: u8) -> String {
    format!("%{byte:02X}")
}
