//! What the proxy and the supervisor tell each other about an app that is stopped while nobody uses
//! it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use tokio::time::Instant;

use crate::config::model::AppName;

/// An app as the proxy uses and wakes it. Never waits.
pub trait Sleeper: Debug + Send + Sync {
    /// Whether the app has an `idle_stop` now: otherwise its use does not matter.
    fn may_sleep(&self) -> bool;

    /// The app was used at this moment.
    fn used(&self, at: Instant);

    /// A request needs the app: starts it if it was stopped because nobody used it.
    fn wake(&self);

    /// Whether the app starts because of a request, and is not ready yet.
    fn is_waking(&self) -> bool;

    /// Sets what says whether requests wait for the app.
    fn ask_before_sleep(&self, busy: Arc<dyn Busy>);
}

/// Says whether an app is in use at this moment, beside the moments of [`Sleeper::used`].
pub trait Busy: Debug + Send + Sync {
    /// Whether a request waits for the response of the app.
    fn is_busy(&self) -> bool;
}

/// The sleepers of all apps.
pub type Sleepers = HashMap<AppName, Arc<dyn Sleeper>>;
