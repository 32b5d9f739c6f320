//! One alert, and its body as JSON or for Slack. Pure.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::config::{AlertEvent, AlertFormat};
use crate::supervisor::{Exit, Incident, Trouble};
use crate::telemetry::rfc3339;

/// Longest reason in an alert, in characters: it may contain text of an app.
const LONGEST_REASON: usize = 500;

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alert {
    pub(super) event: AlertEvent,
    /// Name of the app; `appliance` for an issuer that is no app.
    pub(super) app: String,
    /// The process that the alert is about, if the app has several: `app1.0`. Else the app.
    process: String,
    reason: Option<String>,
    last_exit: Option<Exit>,
    restarts: Option<u64>,
    at: SystemTime,
}

impl From<Incident> for Alert {
    fn from(incident: Incident) -> Self {
        let event = match incident.trouble {
            Trouble::Failed => AlertEvent::Failed,
            Trouble::Restarted => AlertEvent::Restarted,
            Trouble::Memory => AlertEvent::Memory,
            Trouble::Unready => AlertEvent::Unready,
        };
        Self {
            event,
            app: incident.app.app().to_owned(),
            process: incident.app.to_string(),
            reason: incident.reason.as_deref().map(brief).filter(|reason| !reason.is_empty()),
            last_exit: incident.last_exit,
            restarts: Some(incident.restarts),
            at: incident.at,
        }
    }
}

impl Alert {
    /// The issuer is down. `app`: the app that serves the issuer, if any.
    pub(super) fn of_issuer(app: Option<&str>, reason: &str) -> Self {
        let app = app.unwrap_or("appliance").to_owned();
        Self {
            event: AlertEvent::Issuer,
            process: app.clone(),
            app,
            reason: Some(brief(reason)),
            last_exit: None,
            restarts: None,
            at: SystemTime::now(),
        }
    }

    /// Certificates expire soon: name and end of each. `None` if there are none.
    pub(super) fn of_certificates(certificates: &[(String, SystemTime)]) -> Option<Self> {
        let first = certificates.iter().map(|(_, end)| *end).min()?;
        let names: Vec<_> = certificates.iter().map(|(name, _)| name.as_str()).collect();
        Some(Self {
            event: AlertEvent::Certificate,
            app: "appliance".to_owned(),
            process: names.join(", "),
            reason: Some(format!("it is valid until {}", rfc3339(first))),
            last_exit: None,
            restarts: None,
            at: SystemTime::now(),
        })
    }

    /// The authority has issued no certificate for these hosts.
    pub(super) fn of_failed_order(hosts: &[String], why: &str) -> Self {
        Self {
            event: AlertEvent::Certificate,
            app: "appliance".to_owned(),
            process: hosts.join(", "),
            reason: Some(brief(&format!("the authority issued none: {why}"))),
            last_exit: None,
            restarts: None,
            at: SystemTime::now(),
        }
    }

    /// The body of the request. `url`: where people see more.
    pub(super) fn body(&self, format: AlertFormat, url: &str) -> Value {
        match format {
            AlertFormat::Json => json!({
                "event": self.event.as_str(),
                "app": self.app,
                "text": self.text(str::to_owned),
                "reason": self.reason,
                "last_exit": self.last_exit.map(exit),
                "restarts": self.restarts,
                "ts": rfc3339(self.at).to_string(),
                "url": url,
            }),
            AlertFormat::Slack => {
                json!({ "text": format!("{}\n<{url}>", self.text(for_slack)) })
            }
        }
    }

    /// One sentence for people. `shown`: how the reason is written, which may have text of an app.
    fn text(&self, shown: impl Fn(&str) -> String) -> String {
        let app = &self.process;
        let what = match self.event {
            AlertEvent::Failed => format!("{app} has failed for good"),
            AlertEvent::Restarted => format!("{app} ended by itself and is being restarted"),
            AlertEvent::Memory => format!("{app} uses too much memory and is being restarted"),
            AlertEvent::Unready => format!("{app} is no longer ready"),
            AlertEvent::Issuer => "the issuer is down: nobody can sign in".to_owned(),
            AlertEvent::Certificate => format!("the certificate of {app} must be renewed"),
        };
        match &self.reason {
            Some(reason) => format!("{what}: {}", shown(reason)),
            None => what,
        }
    }
}

/// On one line, and not too long.
fn brief(reason: &str) -> String {
    let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// As in `appliance status --json`.
fn exit(exit: Exit) -> Value {
    match exit {
        Exit::Code(code) => json!({ "code": code }),
        Exit::Signal(_) => json!({ "signal": exit.signal_name() }),
    }
}

/// Text that an app must not turn into a link or a mention. Slack, Mattermost, Rocket.Chat and Google
/// Chat show code as it is, but each has other markup, and some notify people that code mentions. So the
/// text is code, and what begins a mention or a link is also broken by a space that nobody sees.
fn for_slack(text: &str) -> String {
    const PLAIN: [(&str, &str); 8] = [
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        // Would end the code.
        ("`", "'"),
        ("@", "@\u{200b}"),
        ("://", ":\u{200b}//"),
        ("](", "]\u{200b}("),
        ("www.", "www\u{200b}."),
    ];
    let text = PLAIN.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::AppName;

    fn incident(trouble: Trouble, reason: &str, last_exit: Option<Exit>) -> Alert {
        Alert::from(Incident {
            app: AppName::new("app1").unwrap(),
            trouble,
            reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
            last_exit,
            restarts: 4,
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        })
    }

    #[test]
    fn the_json_body_has_all_facts() {
        let url = "https://apps.example/_appliance/apps";
        let alert = incident(Trouble::Failed, "too many\nrestarts", Some(Exit::Code(3)));
        assert_eq!(
            alert.body(AlertFormat::Json, url),
            json!({
                "event": "failed",
                "app": "app1",
                "text": "app1 has failed for good: too many restarts",
                "reason": "too many restarts",
                "last_exit": { "code": 3 },
                "restarts": 4,
                "ts": "2023-11-14T22:13:20.123Z",
                "url": url,
            })
        );
        let down = Alert::of_issuer(None, "it answers 503").body(AlertFormat::Json, url);
        assert_eq!((&down["event"], &down["app"]), (&json!("issuer"), &json!("appliance")));
        assert_eq!((&down["last_exit"], &down["restarts"]), (&Value::Null, &Value::Null));
        assert_eq!(Alert::of_issuer(Some("keycloak"), "x").app, "keycloak");
    }

    #[test]
    fn each_trouble_has_its_event_and_its_sentence() {
        let killed = Some(Exit::Signal(9));
        for (trouble, event, text) in [
            (Trouble::Restarted, "restarted", "app1 ended by itself and is being restarted"),
            (Trouble::Memory, "memory", "app1 uses too much memory and is being restarted"),
            (Trouble::Unready, "unready", "app1 is no longer ready"),
        ] {
            let body = incident(trouble, "", killed).body(AlertFormat::Json, "");
            assert_eq!((&body["event"], &body["text"]), (&json!(event), &json!(text)));
            assert_eq!(body["last_exit"], json!({ "signal": "KILL" }));
        }
    }

    #[test]
    fn a_process_of_an_app_with_several_is_named_in_the_text() {
        let app = AppName::new("app1").unwrap().replica(2);
        let alert = Alert::from(Incident {
            app,
            trouble: Trouble::Unready,
            reason: None,
            last_exit: None,
            restarts: 0,
            at: SystemTime::UNIX_EPOCH,
        });
        let body = alert.body(AlertFormat::Json, "");
        assert_eq!(body["app"], "app1");
        assert_eq!(body["text"], "app1.2 is no longer ready");
    }

    #[test]
    fn certificates_that_expire_are_one_alert() {
        let at = |day: u64| SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(24 * day);
        assert_eq!(Alert::of_certificates(&[]), None);
        for (ends, text) in [
            (&[("a", 9)][..], "the certificate of a must be renewed: it is valid until 1970-01-10"),
            (
                &[("a", 9), ("b", 7)],
                "the certificate of a, b must be renewed: it is valid until 1970-01-08",
            ),
        ] {
            let ends: Vec<_> =
                ends.iter().map(|(name, day)| ((*name).to_owned(), at(*day))).collect();
            let found = Alert::of_certificates(&ends).unwrap().text(str::to_owned);
            assert!(found.starts_with(text), "{found}");
        }
    }

    #[test]
    fn slack_shows_the_text_of_an_app_as_text() {
        let url = "https://apps.example/_appliance/apps";
        for (reason, shown) in [
            ("", ""),
            ("exit 3", ": `exit 3`"),
            ("<!channel> & <b>", ": `&lt;!channel&gt; &amp; &lt;b&gt;`"),
            ("@all @here", ": `@\u{200b}all @\u{200b}here`"),
            ("[in](https://a.b)", ": `[in]\u{200b}(https:\u{200b}//a.b)`"),
            ("www.a.b mailto:x@y", ": `www\u{200b}.a.b mailto:x@\u{200b}y`"),
            ("x` @all\n*b* ``` _c_", ": `x' @\u{200b}all *b* ''' _c_`"),
        ] {
            let body = incident(Trouble::Unready, reason, None).body(AlertFormat::Slack, url);
            let text = format!("app1 is no longer ready{shown}\n<{url}>");
            assert_eq!(body, json!({ "text": text }), "{reason}");
        }
        let long = incident(Trouble::Unready, &"ä".repeat(600), None);
        assert_eq!(long.reason.unwrap().chars().count(), 501);
    }
}
