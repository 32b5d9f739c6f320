//! The parts that all pages share: one layout, one style sheet, no script except on the two pages for
//! frames, nothing from other origins.
//!
//! Templates are HTML files that are compiled in; the template engine escapes every value.

mod accent;
mod style_sheets;

use std::borrow::Borrow;
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};

use askama::Template;
use http::HeaderValue;
use style_sheets::StyleSheets;

use crate::auth::Action;
use crate::config::Config;
use crate::texts::{Language, Message, Text, state};

/// The path of the style sheet of all pages.
pub(crate) const STYLE_PATH: &str = "/_appliance/style.css";
/// The path of the style sheet that Keycloak's pages load with the theme of the preset.
pub(crate) const SIGN_IN_STYLE_PATH: &str = "/_appliance/sign-in.css";
/// The script of the two pages by which people sign in for a frame of another site.
pub(crate) const SCRIPT: &str = include_str!("pages/embed.js");
/// The path of the script.
pub(crate) const SCRIPT_PATH: &str = "/_appliance/embed.js";

/// The parts that all pages share: names, links and headers from the configuration.
#[derive(Debug)]
pub(crate) struct Pages {
    /// The name of the installation, `[server] title`.
    pub brand: String,
    /// The address of an image, `[server] logo`.
    pub logo: Option<String>,
    /// The address for questions, `[server] contact`.
    pub contact: Option<Contact>,
    /// The style sheets, in the color of `[server] color`.
    pub style_sheets: StyleSheets,
    /// A hash of the style sheets and the script. Browsers fetch them again when the hash changes.
    pub version: String,
    home: String,
    policy: HeaderValue,
    framed_policy: HeaderValue,
    script_policy: HeaderValue,
}

/// The address for questions.
#[derive(Debug)]
pub(crate) struct Contact {
    /// The text as configured.
    pub text: String,
    /// A URL that a browser can open, if the text is a web or e-mail address.
    pub link: Option<String>,
}

/// The values that the layout shows around the content of one page.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    /// The parts that all pages share.
    pub site: &'a Pages,
    /// The language of the page.
    pub language: Language,
    /// The title of the browser tab and the heading of the page.
    pub title: String,
    /// The name of the person who is signed in.
    pub user: Option<&'a str>,
    /// Seconds after which the page refreshes itself.
    pub reload: Option<u32>,
    /// The page is a refusal: it shows the address for questions.
    pub refused: bool,
    /// The reason of a refusal as a word for programs.
    pub reason: Option<&'a str>,
    /// `X-Request-Id`.
    pub id: &'a str,
}

/// A page with one message: what happened, and what to do now.
#[derive(Debug, Template)]
#[template(path = "answer/pages/notice.html")]
pub(super) struct Notice<'a> {
    /// The values for the layout.
    pub frame: Frame<'a>,
    /// What happened, and what to do now.
    pub message: Message,
    /// The buttons below the message.
    pub buttons: Buttons<'a>,
    /// A moving bar shows that the page is expected to change soon.
    pub in_progress: bool,
}

impl Frame<'_> {
    /// The words of a text without places.
    pub(crate) fn say(&self, text: impl Borrow<Text>) -> &'static str {
        text.borrow().to(self.language)
    }

    /// The words of a message.
    pub(crate) fn tell(&self, message: impl Borrow<Message>) -> String {
        message.borrow().to(self.language)
    }

    /// The words of a text with one value.
    pub(crate) fn fill(
        &self,
        text: impl Borrow<Text>,
        place: &'static str,
        value: impl Display,
    ) -> String {
        text.borrow().with(place, value.to_string()).to(self.language)
    }

    /// The words for a state that programs know by `word`.
    pub(crate) fn state<'w>(&self, word: &'w str) -> &'w str {
        state(self.language, word)
    }
}

/// The buttons of a page, each with its text and its address.
#[derive(Debug, Default)]
pub(super) struct Buttons<'a> {
    /// A button that sends a form, because it changes something.
    pub form: Option<(Message, &'a str)>,
    /// A button that leads to another page.
    pub action: Option<(Message, &'a str)>,
    /// A button that opens a window in which people sign in for this frame: its text, its address, and
    /// the name of the app.
    pub window: Option<(Message, &'a str, &'a str)>,
    /// A button that opens a new tab.
    pub new_tab: Option<(Message, &'a str)>,
    /// A link beside the button.
    pub link: Option<(Message, &'a str)>,
}

impl<'a> Buttons<'a> {
    /// The buttons of a login endpoint's page.
    pub(super) fn of(action: Option<&'a Action>, link: Option<&'a (Message, String)>) -> Self {
        let button = |wanted: bool| {
            let action = action.filter(|action| action.post == wanted)?;
            Some((action.text.clone(), action.path.as_str()))
        };
        let link = link.map(|(text, path)| (text.clone(), path.as_str()));
        Self { form: button(true), action: button(false), window: None, new_tab: None, link }
    }
}

impl Pages {
    pub(crate) fn new(config: &Config) -> Self {
        let server = &config.server;
        let mut hasher = DefaultHasher::new();
        let style_sheets = StyleSheets::new(server);
        (&style_sheets, SCRIPT).hash(&mut hasher);
        Self {
            brand: server.title.clone().unwrap_or_else(|| "Appliance".to_owned()),
            logo: server.logo.clone(),
            contact: server.contact.as_deref().map(Contact::new),
            version: format!("{:016x}", hasher.finish()),
            style_sheets,
            home: format!("{}/", server.public_url),
            policy: policy(config, "frame-ancestors 'none'; "),
            framed_policy: policy(config, ""),
            script_policy: policy_with_script(config, "'none'"),
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

    /// The value of `Content-Security-Policy`.
    pub(super) fn policy(&self) -> HeaderValue {
        self.policy.clone()
    }

    /// The value of `Content-Security-Policy` of the one page that other sites may frame: it has a
    /// link to itself and changes nothing.
    pub(super) fn framed_policy(&self) -> HeaderValue {
        self.framed_policy.clone()
    }

    /// The value of `Content-Security-Policy` of a page with the script, which no page may frame.
    pub(crate) fn script_policy(&self) -> HeaderValue {
        self.script_policy.clone()
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

/// The content security policy of a page with the script, which `ancestors` may frame.
pub(crate) fn policy_with_script(config: &Config, ancestors: &str) -> HeaderValue {
    let more = "script-src 'self'; connect-src 'self'; ";
    policy(config, &format!("{more}frame-ancestors {ancestors}; "))
}

/// The content security policy. The sign-out form leads to the appliance, from there to the issuer,
/// and from there to the logout of a brokered provider, whose origin is not known. Chromium applies
/// `form-action` to every redirect on the way and would leave the person on the page, so the
/// destinations are limited by their scheme only. The pages contain no form that is not their own.
/// `frames` says who may frame the page.
fn policy(config: &Config, frames: &str) -> HeaderValue {
    let issuer = config.oidc.as_ref().map_or("", |oidc| oidc.issuer.as_str());
    let is_encrypted = config.server.public_url.secure && !issuer.starts_with("http://");
    let schemes = if is_encrypted { "https:" } else { "https: http:" };
    let text = format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self' {schemes}; \
         {frames}base-uri 'none'"
    );
    HeaderValue::from_str(&text)
        .unwrap_or(HeaderValue::from_static("default-src 'none'; style-src 'self'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::answer::compose::ResponseFormat;
    use crate::proxy::tests::config;

    #[test]
    fn a_sign_out_may_lead_to_any_origin_and_no_page_is_framed() {
        let mut config = config(8080, Vec::new());
        let plain = policy(&config, "frame-ancestors 'none'; ");
        assert_eq!(
            plain,
            "default-src 'none'; style-src 'self'; img-src 'self' data:; \
             form-action 'self' https: http:; frame-ancestors 'none'; base-uri 'none'"
        );
        config.server.public_url.secure = true;
        config.oidc = None;
        let text = policy(&config, "").to_str().unwrap().to_owned();
        assert!(text.contains("form-action 'self' https:; base-uri 'none'"), "{text}");
    }

    #[test]
    fn a_notice_shows_all_its_parts_escaped() {
        let pages = Pages::new(&config(8080, Vec::new()));
        let id = HeaderValue::from_static("0123");
        let format = ResponseFormat::of(&pages, true, &id, None);
        let frame = Frame {
            reload: Some(2),
            refused: true,
            user: Some("<eve>"),
            reason: Some("group_missing"),
            ..format.frame(Message::plain("<x>"))
        };
        let buttons = Buttons {
            form: Some((Message::plain("Do <it>"), "/x?y=\"z\"")),
            action: Some((Message::plain("Go"), "/?a=\"b\"")),
            window: None,
            new_tab: Some((Message::plain("Tab"), "/?t=1")),
            link: Some((Message::plain("Not <now>"), "/")),
        };
        let notice = Notice { frame, message: Message::plain("a & b"), buttons, in_progress: true };
        let text = notice.render().unwrap();
        for part in [
            r#"<html lang="en">"#,
            "<title>&lt;x&gt; · Data &lt;Team&gt;</title>",
            r#"<meta http-equiv="refresh" content="2">"#,
            r#"<p class="pulse"></p>"#,
            "<p>a &amp; b This page refreshes automatically.</p>",
            r#"href="/?a=&quot;b&quot;">Go<"#,
            r#"<form method="post" action="/x?y=&quot;z&quot;"><button class="button">Do &lt;it&gt;<"#,
            r#"<a class="button" target="_blank" rel="noopener" href="/?t=1">Tab</a>"#,
            r#"<a href="/">Not &lt;now&gt;</a>"#,
            "<span>&lt;eve&gt;</span>",
            r#"<a href="mailto:help@corp.example">"#,
            "Request 0123 · Reason group_missing",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("{{") && !text.contains("<script"), "{text}");
    }
}
