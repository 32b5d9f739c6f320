//! The look of our pages: one layout, no script, nothing from elsewhere.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::HeaderValue;

use crate::config::Config;

const LAYOUT: &str = include_str!("pages/layout.html");
/// The style sheet of all pages.
pub(super) const STYLE: &str = include_str!("pages/style.css");
/// Where it is served.
pub(super) const STYLE_PATH: &str = "/_appliance/style.css";

/// What all pages share.
#[derive(Debug)]
pub(super) struct Pages {
    brand: String,
    logo: String,
    contact: String,
    home: String,
    policy: HeaderValue,
    version: String,
}

/// What one page says.
#[derive(Debug, Default)]
pub(super) struct Page<'a> {
    /// Heading and title.
    pub title: &'a str,
    /// What happened and what to do now.
    pub message: &'a str,
    /// Text and path of a button.
    pub action: Option<(&'a str, &'a str)>,
    /// Seconds after which it reloads itself.
    pub reload: Option<u32>,
    /// Shows whom to ask.
    pub refused: bool,
    /// HTML below the message; the caller has escaped what is in it.
    pub more: &'a str,
    /// Who is signed in.
    pub user: Option<&'a str>,
}

impl Pages {
    pub(super) fn new(config: &Config) -> Self {
        let server = &config.server;
        let title = server.title.as_deref().unwrap_or("Appliance");
        let logo = server.logo.as_deref().map_or_else(String::new, |logo| {
            format!(r#"<img class="logo" src="{}" alt="">"#, escape(logo))
        });
        let mut hasher = DefaultHasher::new();
        STYLE.hash(&mut hasher);
        Self {
            brand: escape(title),
            logo,
            contact: server.contact.as_deref().map_or_else(String::new, contact),
            home: format!("{}/", server.public_url),
            policy: policy(config),
            version: format!("{:016x}", hasher.finish()),
        }
    }

    /// The public address with a slash.
    pub(super) fn home(&self) -> &str {
        &self.home
    }

    /// `Content-Security-Policy`
    pub(super) fn policy(&self) -> HeaderValue {
        self.policy.clone()
    }

    /// Changes with the style sheet.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// A whole page.
    pub(super) fn render(&self, page: &Page<'_>, id: &HeaderValue) -> String {
        let title = escape(page.title);
        let reload = page.reload.map_or_else(String::new, |seconds| {
            format!(r#"<meta http-equiv="refresh" content="{seconds}">"#)
        });
        let again = if page.reload.is_some() { " This page tries again by itself." } else { "" };
        let message = if page.message.is_empty() {
            String::new()
        } else {
            format!("<p>{}{again}</p>", escape(page.message))
        };
        let action = page.action.map_or_else(String::new, |(text, path)| {
            format!(r#"<p><a class="button" href="{}">{}</a></p>"#, escape(path), escape(text))
        });
        let user = page.user.map_or_else(String::new, signed_in);
        let contact = if page.refused { self.contact.as_str() } else { "" };
        let waiting = if page.reload.is_some() { r#"<p class="pulse"></p>"# } else { "" };
        fill(
            LAYOUT,
            &[
                ("title", &title),
                ("reload", &reload),
                ("version", &self.version),
                ("logo", &self.logo),
                ("brand", &self.brand),
                ("user", &user),
                ("waiting", waiting),
                ("message", &message),
                ("more", page.more),
                ("action", &action),
                ("contact", contact),
                ("id", &escape(id.to_str().unwrap_or_default())),
            ],
        )
    }
}

fn signed_in(user: &str) -> String {
    format!(
        r#"<form class="who" method="post" action="/oauth2/sign_out"><span>{}</span><button>Sign out</button></form>"#,
        escape(user)
    )
}

fn contact(contact: &str) -> String {
    let shown = escape(contact);
    if contact.starts_with("https://") || contact.starts_with("http://") {
        format!(r#"<p>Questions? <a href="{shown}">{shown}</a></p>"#)
    } else if contact.contains('@') && !contact.contains(char::is_whitespace) {
        format!(r#"<p>Questions? <a href="mailto:{shown}">{shown}</a></p>"#)
    } else {
        format!("<p>Questions? {shown}</p>")
    }
}

/// Forms lead to ourselves, and from there to the issuer's end of the session.
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

/// Replaces `{{name}}` in one pass: what is put in is never looked at again.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() + 512);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        if let Some((_, value)) = values.iter().find(|(key, _)| *key == name) {
            out.push_str(value);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Text for HTML, also inside of quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;

    #[test]
    fn escapes_everything_that_could_end_a_text_or_an_attribute() {
        assert_eq!(escape(r"<a href='x'>&"), "&lt;a href=&#39;x&#39;&gt;&amp;");
    }

    #[test]
    fn a_page_says_it_all() {
        let pages = Pages::new(&config(8080, Vec::new()));
        let page = Page {
            title: "<x>",
            message: "a & b",
            action: Some(("Go", "/?a=\"b\"")),
            reload: Some(2),
            refused: true,
            more: "<hr>",
            user: Some("<eve>"),
        };
        let text = pages.render(&page, &HeaderValue::from_static("0123"));
        for part in [
            r#"<html lang="en">"#,
            "<title>&lt;x&gt; · Data &lt;Team&gt;</title>",
            r#"<meta http-equiv="refresh" content="2">"#,
            "<p>a &amp; b This page tries again by itself.</p>",
            "<hr>",
            r#"href="/?a=&quot;b&quot;">Go<"#,
            "<span>&lt;eve&gt;</span>",
            r#"<a href="mailto:help@corp.example">"#,
            "Request 0123",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("{{") && !text.contains("<script"), "{text}");
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        assert_eq!(fill("{{a}}-{{b}}-{{c}}", &[("a", "{{b}}"), ("b", "2")]), "{{b}}-2-");
    }
}
