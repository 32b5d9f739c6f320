//! Amounts of memory for people.

/// Bytes in the unit that gives few digits, as sizes are written in the configuration.
pub fn amount(bytes: u64) -> String {
    const MEGABYTE: u64 = 1_000_000;
    match bytes {
        0..MEGABYTE => format!("{} kB", bytes / 1000),
        MEGABYTE..1_000_000_000 => format!("{} MB", bytes / MEGABYTE),
        _ => format!("{}.{} GB", bytes / MEGABYTE / 1000, bytes / MEGABYTE % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shown_with_few_digits() {
        let cases = [
            (0, "0 kB"),
            (999_999, "999 kB"),
            (1_000_000, "1 MB"),
            (999_999_999, "999 MB"),
            (1_000_000_000, "1.0 GB"),
            (12_345_678_901, "12.3 GB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(amount(bytes), text);
        }
    }
}
