//! Colors, as `#rrggbb`.

use super::Parsed;
use crate::config::model::BrandColor;

/// A color of `[server] color`.
pub(crate) fn color(text: &str) -> Parsed<BrandColor> {
    let bytes = text.strip_prefix('#').filter(|digits| digits.len() == 6).and_then(|digits| {
        let mut bytes = [0; 3];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            let is_hex = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(pair, 16).ok().filter(|_| is_hex)?;
        }
        Some(BrandColor(bytes))
    });
    bytes.ok_or_else(|| {
        format!(
            "`{text}` is not a color; write `#` and six hexadecimal digits, for example `#1f5fbf`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_color_has_six_digits() {
        assert_eq!(color("#1f5FbF").unwrap(), BrandColor([0x1f, 0x5f, 0xbf]));
        assert_eq!(color("#1f5FbF").unwrap().to_string(), "#1f5fbf");
        for text in ["", "#", "1f5fbf", "#fff", "#1f5fbf0", "#1f5fbg", "#+1+1+1", "blue", "#ééé"]
        {
            assert!(color(text).unwrap_err().contains("is not a color"), "{text}");
        }
    }
}
