//! What the front door asks of the console. The proxy knows no processes, so another folder answers.

use std::fmt;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::paths::Order;
use crate::config::{AppName, Phase, app_of};
use crate::proxy::answer::pages::Frame;
use crate::proxy::phases::refusals::Refused;

/// The console of the operators. Who asks was admitted before; what they may see is in the [`View`].
pub(crate) trait Console: fmt::Debug + Send + Sync {
    /// The apps of the view and the state of sign-in.
    fn list<'a>(&'a self, view: View<'a>) -> BoxFuture<'a, Result<String, NoAnswer>>;

    /// One app.
    ///
    /// # Errors
    /// [`NoAnswer::Unknown`]: no app has this name.
    fn app<'a>(&'a self, name: &'a str, view: View<'a>) -> BoxFuture<'a, Result<String, NoAnswer>>;

    /// The log of an app: old lines, then new ones as they come, each as an object of the JSON log.
    /// Memory is bounded however slowly they are taken.
    ///
    /// # Errors
    /// [`NoAnswer::Unknown`]: no app has this name.
    fn log(&self, app: &str) -> Result<BoxStream<'static, String>, NoAnswer>;

    /// Begins to carry out an order, and logs who gave it. Does not wait for its end.
    ///
    /// # Errors
    /// [`NoAnswer::Unknown`]: no app with a process has this name.
    fn order<'a>(
        &'a self,
        app: &'a str,
        order: Order,
        by: Initiator<'a>,
    ) -> BoxFuture<'a, Result<(), NoAnswer>>;
}

/// What one person is shown.
#[derive(Debug)]
pub(crate) struct View<'a> {
    /// The layout of a page; `None` for a program, which gets JSON.
    pub frame: Option<Frame<'a>>,
    /// The apps that the person may see.
    pub scope: &'a Scope,
    /// The newest refused requests of these apps, the newest first.
    pub refusals: Vec<Refused>,
}

/// The apps of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All apps, and the appliance itself.
    All,
    /// These apps.
    Only(Vec<AppName>),
}

/// Who has given an order, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Initiator<'a> {
    /// User name of the person.
    pub user: &'a str,
    /// `X-Request-Id`
    pub request_id: &'a str,
}

/// Why the console has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// No app has the name.
    Unknown,
    /// The appliance starts or stops.
    Unavailable(Phase),
}

impl Scope {
    /// Whether an app belongs to it, by the name of the app or of one of its processes.
    pub(crate) fn includes(&self, process: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(apps) => apps.iter().any(|app| app.as_str() == app_of(process)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_includes_the_processes_of_its_apps() {
        let web = Scope::Only(vec![AppName::new("web").unwrap()]);
        for (name, wanted) in [("web", true), ("web.2", true), ("web-2", false), ("we", false)] {
            assert_eq!(web.includes(name), wanted, "{name}");
            assert!(Scope::All.includes(name));
        }
    }
}
