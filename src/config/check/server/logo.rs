//! The logo of the pages: a path of the origin, a `data:` URL, or a file that is read once.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::image;
use crate::config::check::context::{Check, absolute};
use crate::config::file::At;
use crate::config::grammar;
use crate::config::ownership::operator_file;

/// The logo is a part of every page.
const LARGEST: u64 = 128 * 1024;

impl Check<'_, '_> {
    pub(super) fn logo(&mut self, at: Option<&At<String>>) -> Option<String> {
        let dir = self.dir;
        self.parse_some(at, |text| {
            let is_address = text.starts_with('/') || text.contains(':') || text.is_empty();
            if is_address { image(text) } else { embedded(&absolute(dir, text)) }
        })
    }
}

/// The file as a `data:` URL.
fn embedded(path: &Path) -> grammar::Parsed<String> {
    let shown = path.display();
    let kind = match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => "svg+xml",
        Some("png") => "png",
        _ => {
            return Err(format!(
                "the logo {shown} is not an SVG or PNG file; use a file that ends in `.svg` or `.png`"
            ));
        }
    };
    let unreadable = |error| {
        format!(
            "the logo {shown} cannot be read: {error}; a path that begins with `/` is an address, any other path starts at the folder of this file"
        )
    };
    let known = path.metadata().map_err(unreadable)?;
    if !known.is_file() || known.len() > LARGEST {
        return Err(format!(
            "the logo {shown} is larger than 128 KiB or not a file; use a smaller image"
        ));
    }
    let bytes = operator_file::read(path).map_err(unreadable)?;
    let fits = match kind {
        "png" => bytes.starts_with(b"\x89PNG"),
        _ => bytes.windows(4).any(|part| part == b"<svg"),
    };
    if !fits {
        return Err(format!(
            "the logo {shown} does not contain what its name says; use an SVG or PNG image"
        ));
    }
    Ok(format!("data:image/{kind};base64,{}", BASE64_STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_logo_is_an_address_or_a_small_image_beside_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("appliance.toml");
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        write("a.svg", b"<?xml version='1.0'?><svg/>");
        write("a.png", b"\x89PNG\r\n");
        write("wrong.png", b"<svg/>");
        write("big.svg", &[b"<svg>".to_vec(), vec![b' '; 200_000]].concat());
        write("a.gif", b"GIF89a");
        let logo = |text: &str| {
            std::fs::write(&path, format!("[server]\nlogo = \"{text}\"\n")).unwrap();
            Config::load(&path, |_| None)
                .map(|config| config.server.logo.unwrap())
                .map_err(|error| error.to_string())
        };
        assert!(logo("a.svg").unwrap().starts_with("data:image/svg+xml;base64,PD94"));
        assert!(logo("./a.png").unwrap().starts_with("data:image/png;base64,iVBO"));
        assert_eq!(logo("/app/logo.svg").unwrap(), "/app/logo.svg");
        for (text, why) in [
            ("wrong.png", "does not contain"),
            ("big.svg", "larger than 128 KiB"),
            ("a.gif", "not an SVG or PNG"),
            ("none.svg", "cannot be read"),
            ("https://elsewhere.example/a.svg", "other sites"),
            ("//elsewhere.example/a.svg", "other sites"),
        ] {
            let error = logo(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
