//! `[alerts]`: messages to a webhook about apps that fail and an issuer that is down.
//!
//! ```text
//! watch → webhook → alert
//! watch → throttle
//! ```
//!
//! **Guarantees.** Nothing waits for an alert: the supervisor drops incidents into a bounded channel,
//! and each delivery is a task of its own with time limits. The URL of the webhook is in no log, no
//! error and no `Debug`. For one app, at most one alert of a kind is sent in five minutes.

mod alert;
mod throttle;
mod watch;
mod webhook;

pub use watch::{Alerts, Subjects};
pub use webhook::{Webhook, WebhookError};
