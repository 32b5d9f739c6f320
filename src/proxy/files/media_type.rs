//! The media type of a file, by the ending of its name.

use http::HeaderValue;
use mime_guess::mime;

/// The value of `Content-Type`. Texts are UTF-8. A name without a known ending has no type that a browser
/// would show or run.
pub(super) fn of(name: &str) -> HeaderValue {
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let is_text = kind.type_() == mime::TEXT
        || matches!(kind.subtype().as_str(), "javascript" | "json" | "xml")
        || matches!(kind.suffix(), Some(mime::XML | mime::JSON));
    let has_charset = kind.get_param(mime::CHARSET).is_some();
    let text = if is_text && !has_charset {
        format!("{}; charset=utf-8", kind.essence_str())
    } else {
        kind.as_ref().to_owned()
    };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_tells_the_type() {
        for (name, wanted) in [
            ("index.html", "text/html; charset=utf-8"),
            ("INDEX.HTML", "text/html; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "application/javascript; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.json", "application/json; charset=utf-8"),
            ("search_index.xml", "text/xml; charset=utf-8"),
            ("a.svg", "image/svg+xml; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.wasm", "application/wasm"),
            ("a.png", "image/png"),
            ("a.woff2", "font/woff2"),
            ("a.pdf", "application/pdf"),
            ("a.webmanifest", "application/manifest+json; charset=utf-8"),
            ("a.js.map", "text/plain; charset=utf-8"),
            ("a.tar.gz", "application/gzip"),
            ("a.parquet", "application/vnd.apache.parquet"),
            ("a.unknown", "application/octet-stream"),
            ("LICENSE", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(of(name), wanted, "{name}");
        }
    }
}
