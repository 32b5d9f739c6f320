//! The look of every page: one layout, one style sheet, no script, nothing from other origins.
//!
//! Templates are HTML files that are compiled in; the template engine escapes every value.

use std::hash::{DefaultHasher, Hash, Hasher};

use askama::Template;
use http::HeaderValue;

use crate::config::Config;

/// The style sheet of all pages.
pub(crate) const STYLE: &str = include_str!("pages/style.css");
/// The path of the style sheet.
pub(crate) const STYLE_PATH: &str = "/_appliance/style.css";

/// What all pages share: names, links and headers from the configuration.
#[derive(Debug)]
pub(crate) struct Pages {
    /// The name of the installation, `[server] title`.
    pub brand: String,
    /// The address of an image, `[server] logo`.
    pub logo: Option<String>,
    /// Who to ask for help, `[server] contact`.
    pub contact: Option<Contact>,
    /// Changes with the style sheet, so that browsers fetch a new one.
    pub version: String,
    home: String,
    policy: HeaderValue,
}

/// Who to ask for help.
#[derive(Debug)]
pub(crate) struct Contact {
    /// As configured.
    pub text: String,
    /// An address that a browser can open.
    pub link: Option<String>,
}

/// What the layout shows around the content of one page.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    /// What all pages share.
    pub site: &'a Pages,
    /// Title and heading.
    pub title: &'a str,
    /// The name of the person who is signed in.
    pub user: Option<&'a str>,
    /// Seconds after which the page refreshes itself.
    pub reload: Option<u32>,
    /// The page is a refusal: it shows who to ask.
    pub refused: bool,
    /// `X-Request-Id`.
    pub id: &'a str,
}

/// A page that says one thing: what happened and what to do now.
#[derive(Debug, Template)]
#[template(path = "answer/pages/notice.html")]
pub(super) struct Notice<'a> {
    /// What the layout shows around it.
    pub frame: Frame<'a>,
    /// What happened and what to do now.
    pub message: &'a str,
    /// Text and address of a button.
    pub action: Option<(&'a str, &'a str)>,
}

impl Pages {
    pub(crate) fn new(config: &Config) -> Self {
        let server = &config.server;
        let mut hasher = DefaultHasher::new();
        STYLE.hash(&mut hasher);
        Self {
            brand: server.title.clone().unwrap_or_else(|| "Appliance".to_owned()),
            logo: server.logo.clone(),
            contact: server.contact.as_deref().map(Contact::new),
            version: format!("{:016x}", hasher.finish()),
            home: format!("{}/", server.public_url),
            policy: policy(config),
        }
    }

    /// `public_url` with a slash at its end.
    pub(super) fn home(&self) -> &str {
        &self.home
    }

    /// The portal under `public_url`.
    pub(crate) fn portal(&self) -> String {
        format!("{}_appliance/", self.home)
    }

    /// `Content-Security-Policy`
    pub(crate) fn policy(&self) -> HeaderValue {
        self.policy.clone()
    }

    /// The frame of an ordinary page.
    pub(crate) fn frame<'a>(&'a self, title: &'a str, id: &'a HeaderValue) -> Frame<'a> {
        let id = id.to_str().unwrap_or_default();
        Frame { site: self, title, user: None, reload: None, refused: false, id }
    }
}

impl Contact {
    fn new(text: &str) -> Self {
        let link = if text.starts_with("https://") || text.starts_with("http://") {
            Some(text.to_owned())
        } else if text.contains('@') && !text.contains(char::is_whitespace) {
            Some(format!("mailto:{text}"))
        } else {
            None
        };
        Self { text: text.to_owned(), link }
    }
}

/// The content security policy. Forms may lead to the appliance, and from there to the issuer's end
/// of the session.
fn policy(config: &Config) -> HeaderValue {
    let issuer = config.oidc.as_ref().and_then(|oidc| url::Url::parse(&oidc.issuer).ok());
    let issuer =
        issuer.map_or_else(String::new, |url| format!(" {}", url.origin().ascii_serialization()));
    let text = format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'{issuer}; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::from_str(&text)
        .unwrap_or(HeaderValue::from_static("default-src 'none'; style-src 'self'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::tests::config;

    #[test]
    fn a_notice_shows_all_its_parts_escaped() {
        let pages = Pages::new(&config(8080, Vec::new()));
        let id = HeaderValue::from_static("0123");
        let frame = Frame {
            reload: Some(2),
            refused: true,
            user: Some("<eve>"),
            ..pages.frame("<x>", &id)
        };
        let notice = Notice { frame, message: "a & b", action: Some(("Go", "/?a=\"b\"")) };
        let text = notice.render().unwrap();
        for part in [
            r#"<html lang="en">"#,
            "<title>&#60;x&#62; · Data &#60;Team&#62;</title>",
            r#"<meta http-equiv="refresh" content="2">"#,
            "<p>a &#38; b This page refreshes automatically.</p>",
            r#"href="/?a=&#34;b&#34;">Go<"#,
            "<span>&#60;eve&#62;</span>",
            r#"<a href="mailto:help@corp.example">"#,
            "Request 0123",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("{{") && !text.contains("<script"), "{text}");
    }
}
