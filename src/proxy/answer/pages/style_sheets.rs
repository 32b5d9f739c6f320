//! The style sheets: their files, the color of `[server] color`, and the logo on Keycloak's pages.

use std::fmt::Write as _;

use bytes::Bytes;

use super::accent;
use crate::config::Server;

/// The colors of both style sheets.
const COLORS: &str = include_str!("colors.css");
const PAGES: &str = include_str!("style.css");
const SIGN_IN: &str = include_str!("sign-in.css");

/// The texts of the style sheets.
#[derive(Debug, Hash)]
pub(crate) struct StyleSheets {
    /// For the pages of the appliance.
    pub pages: Bytes,
    /// For the pages of the Keycloak of a preset.
    pub sign_in: Bytes,
}

impl StyleSheets {
    pub(super) fn new(server: &Server) -> Self {
        let accent = server.color.map(accent::rules).unwrap_or_default();
        let logo = server.logo.as_deref().map(|logo| {
            // Keycloak may have a host of its own, where the app with the image is not.
            let origin =
                if logo.starts_with('/') { server.public_url.to_string() } else { String::new() };
            logo_rule(&format!("{origin}{logo}"))
        });
        let pages = format!("{COLORS}{accent}\n{PAGES}");
        let sign_in = format!("{COLORS}{accent}\n{SIGN_IN}{}", logo.unwrap_or_default());
        Self { pages: pages.into(), sign_in: sign_in.into() }
    }
}

/// Shows the image with this address in the place for the logo.
fn logo_rule(url: &str) -> String {
    let mut quoted = String::with_capacity(url.len());
    for c in url.chars() {
        // A string of CSS contains no line break, and `\` begins an escape (CSS Syntax Level 3, §4.3.5).
        if matches!(c, '"' | '\\') || c.is_control() {
            let _ = write!(quoted, "\\{:x} ", u32::from(c));
        } else {
            quoted.push(c);
        }
    }
    format!("\n.appliance-logo {{ display: block; content: url(\"{quoted}\"); }}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BrandColor;
    use crate::proxy::tests::config;

    fn sheets(logo: Option<&str>, color: Option<BrandColor>) -> [String; 2] {
        let mut server = config(8080, Vec::new()).server;
        (server.logo, server.color) = (logo.map(str::to_owned), color);
        let StyleSheets { pages, sign_in } = StyleSheets::new(&server);
        [pages, sign_in].map(|text| String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn both_have_the_same_colors_and_the_color_of_the_file() {
        for text in sheets(None, None) {
            assert!(text.starts_with(":root {") && text.contains("--accent: #1f5fbf;"), "{text}");
        }
        for text in sheets(None, Some(BrandColor([0x7a, 0x1f, 0xa2]))) {
            let own = text.find("--button: #7a1fa2;").unwrap();
            assert!(own > text.find("--button: #1f5fbf;").unwrap(), "the last rule counts");
        }
    }

    #[test]
    fn the_logo_is_on_the_sign_in_page_and_stays_inside_of_its_quotes() {
        let [pages, sign_in] = sheets(Some("data:image/svg+xml,<svg a=\"b\\\n\">"), None);
        assert!(!pages.contains("data:") && !sheets(None, None)[1].contains("content: url("));
        assert!(
            sign_in.contains(r#"url("data:image/svg+xml,<svg a=\22 b\5c \a \22 >")"#),
            "{sign_in}"
        );
        let [_, sign_in] = sheets(Some("/app/logo.svg"), None);
        assert!(sign_in.contains("url(\"http://localhost:8080/app/logo.svg\")"), "{sign_in}");
    }
}
