//! The part of a file that a request asks for (RFC 9110 section 14).
//!
//! One range gets a part. Several ranges get the whole file, which the standard allows: hardly any client
//! asks for several, and answers to many small or overlapping ranges would cost more than the file.

/// What a `Range` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The whole file: the header has another unit, several ranges or a mistake, and is ignored.
    Whole,
    /// From the first to before the second position.
    Part(u64, u64),
    /// Nothing of the file.
    Nothing,
}

/// Reads a `Range` header for a file with so many bytes.
pub(super) fn asked(header: &str, length: u64) -> Asked {
    read(header, length).unwrap_or(Asked::Whole)
}

fn read(header: &str, length: u64) -> Option<Asked> {
    let (unit, set) = header.split_once('=')?;
    let (first, last) = set.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let part = match (position(first), position(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(length)),
        (Some(first), None) if last.is_empty() => (first, length),
        (None, Some(last)) if first.is_empty() => (length.saturating_sub(last), length),
        _ => return None,
    };
    Some(if part.0 < part.1 { Asked::Part(part.0, part.1) } else { Asked::Nothing })
}

/// A number of digits only. One that is too large lies behind the end of every file.
fn position(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_gets_its_part() {
        for (header, length, wanted) in [
            ("bytes=0-0", 10, Asked::Part(0, 1)),
            ("bytes=0-9", 10, Asked::Part(0, 10)),
            ("bytes=2-99", 10, Asked::Part(2, 10)),
            ("bytes=9-", 10, Asked::Part(9, 10)),
            ("bytes=-3", 10, Asked::Part(7, 10)),
            ("bytes=-99", 10, Asked::Part(0, 10)),
            ("Bytes = 1-2", 10, Asked::Part(1, 3)),
            ("bytes=0-18446744073709551615", 10, Asked::Part(0, 10)),
            ("bytes=0-99999999999999999999999", 10, Asked::Part(0, 10)),
            ("bytes=10-", 10, Asked::Nothing),
            ("bytes=10-20", 10, Asked::Nothing),
            ("bytes=99999999999999999999999-", 10, Asked::Nothing),
            ("bytes=-0", 10, Asked::Nothing),
            ("bytes=0-", 0, Asked::Nothing),
            ("bytes=-5", 0, Asked::Nothing),
            ("bytes=0-1,4-5", 10, Asked::Whole),
            ("bytes=5-4", 10, Asked::Whole),
            ("bytes=-", 10, Asked::Whole),
            ("bytes=", 10, Asked::Whole),
            ("bytes=a-b", 10, Asked::Whole),
            ("bytes=+1-2", 10, Asked::Whole),
            ("bytes=1-2-3", 10, Asked::Whole),
            ("lines=1-2", 10, Asked::Whole),
            ("0-1", 10, Asked::Whole),
            ("", 10, Asked::Whole),
        ] {
            assert_eq!(asked(header, length), wanted, "{header} of {length}");
        }
    }
}
