//! What people read about a refusal. Programs get the message in English, as a JSON string.

use super::refusal::Refusal;
use crate::config::Phase;
use crate::texts::{Message, Text};

impl Refusal {
    /// The heading of the page.
    pub(super) fn title(&self) -> Message {
        match self {
            Self::Starting { in_progress: true, .. } | Self::NoCertificate { .. } => {
                Text::Starting.into()
            }
            Self::Starting { in_progress: false, .. } | Self::IssuerDown => {
                Text::SignInUnavailable.into()
            }
            Self::NotReady {
                app,
                phase: Phase::Stopping | Phase::Stopped | Phase::Idle | Phase::Failed,
            } => of_app(Text::AppNotRunning, app),
            Self::NotReady { app, .. } => of_app(Text::AppNotReady, app),
            Self::TooManyConnections => Text::ServerBusy.into(),
            Self::TooManyRequests { .. } => Text::TooManyRequests.into(),
            Self::NotFound | Self::NoFile => Text::PageNotFound.into(),
            Self::UnknownHost { .. } | Self::OtherServerName { .. } => Text::WrongAddress.into(),
            Self::SignIn { .. } => Text::PleaseSignIn.into(),
            Self::Framed { embedded: Some((_, title)), .. } => of_app(Text::SignInTo, title),
            Self::Framed { embedded: None, .. } => Text::NeedsNewTab.into(),
            Self::Denied { app: Some(app), .. } => of_app(Text::NoAccess, app),
            Self::Denied { app: None, .. } => Text::NoAccessToPage.into(),
            Self::CrossSite => Text::FromAnotherSite.into(),
            Self::InAdvance => Text::NotInAdvance.into(),
            Self::Shielded => Text::OwnPageOnly.into(),
            Self::Upstream { app, .. } => of_app(Text::AppRespondsBadly, app),
            Self::UpstreamTimeout { app } | Self::InterimResponses { app } => {
                of_app(Text::AppTooSlow, app)
            }
            Self::BodyTooLarge => Text::UploadTooLarge.into(),
            Self::BodyTimeout => Text::UploadStopped.into(),
            Self::HeadersTooLarge { .. } if self.is_about_cookies() => Text::CookiesTooLarge.into(),
            Self::Internal => Text::SomethingWentWrong.into(),
            _ => Text::InvalidRequest.into(),
        }
    }

    /// The text of the page: what happened, and what to do now. `home`: the right address of the
    /// appliance.
    pub(super) fn message(&self, home: &str) -> Message {
        match self {
            Self::Starting { message, .. } => message.clone(),
            Self::NoCertificate { authority } => {
                Text::NoCertificate.with("authority", authority.as_str())
            }
            Self::NotReady { app, phase } => of_app(not_ready(*phase), app),
            Self::IssuerDown => Text::IssuerDown.into(),
            Self::TooManyConnections => Text::ManyConnections.into(),
            Self::TooManyRequests { seconds, .. } => {
                Text::ManyRequests.with("seconds", seconds.to_string())
            }
            Self::NotFound | Self::NoFile => Text::CheckAddress.into(),
            Self::UnknownHost { host } => {
                Text::NoAppAtHost.with("host", host.as_str()).with("home", home)
            }
            Self::OtherServerName { host } => Text::OtherServerName.with("host", host.as_str()),
            // Streamlit shows this text to people whose session ends while a page is open.
            Self::SignIn { .. } => Text::SessionEnded.into(),
            Self::Framed { embedded: Some(_), .. } => Text::WindowOpens.into(),
            Self::Framed { embedded: None, .. } => Text::Framed.into(),
            Self::Denied { app, lack, user } => {
                let message = match app {
                    Some(app) => of_app(Text::Denied, app),
                    None => Text::DeniedPage.into(),
                };
                message.with("user", user.as_str()).with("what", lack.what.clone())
            }
            Self::InAdvance => Text::InAdvance.into(),
            Self::CrossSite => Text::CrossSite.into(),
            Self::Shielded => Text::Shielded.into(),
            Self::Upstream { app, .. } => of_app(Text::AppUnreachable, app),
            Self::UpstreamTimeout { app } | Self::InterimResponses { app } => {
                of_app(Text::AppSilent, app)
            }
            Self::BodyTooLarge => Text::BodyTooLarge.into(),
            Self::BodyTimeout => Text::BodyTimeout.into(),
            Self::HeadersTooLarge { header, bytes } => {
                if self.is_about_cookies() {
                    Text::Cookies.with("size", bytes / 1000)
                } else {
                    Text::HeadersTooLarge.with("header", header.as_str()).with("bytes", *bytes)
                }
            }
            Self::Internal => Text::Bug.into(),
            Self::Path(fault) => fault.message(),
            Self::Malformed(why) => Text::Malformed.with("reason", sentence(why)),
            // Only a program reads it.
            Self::BadToken { reason } => Message::plain(sentence(reason)),
            Self::OptionsAsterisk => Message::plain(""),
            Self::MethodNotAllowed => Text::MethodNotAllowed.into(),
            Self::FilesAreRead => Text::FilesAreRead.into(),
            Self::TransferCoding => Text::TransferCoding.into(),
            Self::Expectation => Text::Expectation.into(),
            Self::TooManyHeaders => Text::TooManyHeaders.into(),
            Self::TargetTooLong => Text::TargetTooLong.into(),
            Self::WebSocketVersion => Text::WebsocketVersion.into(),
        }
    }
}

fn of_app(text: Text, app: &str) -> Message {
    text.with("app", app)
}

/// The sentence about an app that is not ready.
fn not_ready(phase: Phase) -> Text {
    match phase {
        Phase::Waiting => Text::AppWaits,
        Phase::Setup => Text::AppSetup,
        Phase::Starting | Phase::Ready | Phase::Finished => Text::AppStarting,
        Phase::Unready => Text::AppUnready,
        Phase::Backoff => Text::AppRestarting,
        Phase::Stopping => Text::AppStopping,
        Phase::Stopped => Text::AppStopped,
        Phase::Idle => Text::AppIdle,
        Phase::Failed => Text::AppFailed,
    }
}

/// A reason of the log as a sentence.
fn sentence(reason: &str) -> String {
    let mut sentence = format!("{reason}.");
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}

#[cfg(test)]
#[path = "../../../tests/unit/proxy/answer/wording.rs"]
mod tests;
