//! Who is an operator: of all apps by `[server] operators`, or of one app by its own `operators`.

use super::console::Scope;
use super::endpoints::EndpointRequest;
use crate::auth::Person;
use crate::auth::policy::{Lack, Reason, Verdict, decide};
use crate::config::{Access, AppName, Config};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::access::authenticate::Caller;
use crate::proxy::phases::access::authorise;
use crate::texts::Text;

/// The operators of a configuration.
#[derive(Debug)]
pub(crate) struct Operators {
    /// `[server] operators`
    all: Option<Access>,
    /// `operators` of the apps that have the setting.
    apps: Vec<(AppName, Access)>,
}

impl Operators {
    pub(crate) fn new(config: &Config) -> Self {
        let of_app = |app: &crate::config::App| Some((app.name.clone(), app.operators.clone()?));
        Self {
            all: config.server.operators.clone(),
            apps: config.apps.iter().filter_map(of_app).collect(),
        }
    }

    /// The policy of those who are operators of all apps.
    pub(in crate::proxy) fn of_all(&self) -> Option<&Access> {
        self.all.as_ref()
    }

    /// The policies of which one has to let a person in: the one for all apps first, then those of the apps
    /// that are asked for.
    pub(in crate::proxy) fn policies(
        &self,
        is_asked: impl Fn(&AppName) -> bool,
    ) -> impl Iterator<Item = (Option<&AppName>, &Access)> {
        let own = self.apps.iter().filter(move |(app, _)| is_asked(app));
        let own = own.map(|(app, access)| (Some(app), access));
        self.all.iter().map(|access| (None, access)).chain(own)
    }

    /// Whether a person is an operator of all apps; without the setting, nobody is.
    pub(in crate::proxy) fn verdict(&self, person: Option<&Person>) -> Verdict {
        match &self.all {
            Some(access) => decide(access, &[], person),
            None => Verdict::Deny(Lack::new(Reason::NotAnOperator, Text::LackOperator)),
        }
    }

    /// Whether a person is an operator of this app. A name that no app has is one of an app without
    /// operators of its own.
    pub(in crate::proxy) fn verdict_for(&self, app: &str, person: Option<&Person>) -> Verdict {
        self.first(person, |name| name.as_str() == app)
    }

    /// Whether a person is an operator of any app.
    pub(in crate::proxy) fn verdict_for_any(&self, person: Option<&Person>) -> Verdict {
        self.first(person, |_| true)
    }

    /// The first verdict that allows, else the one for all apps.
    fn first(&self, person: Option<&Person>, is_asked: impl Fn(&AppName) -> bool) -> Verdict {
        let allows = |(_, access): (_, &Access)| decide(access, &[], person) == Verdict::Allow;
        if self.policies(is_asked).any(allows) { Verdict::Allow } else { self.verdict(person) }
    }

    /// The apps of a person who was admitted.
    pub(super) fn scope(&self, person: Option<&Person>) -> Scope {
        if self.verdict(person) == Verdict::Allow {
            return Scope::All;
        }
        let is_own = |(_, access): &&(_, Access)| decide(access, &[], person) == Verdict::Allow;
        Scope::Only(self.apps.iter().filter(is_own).map(|(app, _)| app.clone()).collect())
    }
}

/// Refuses everybody whom the verdict does not let in.
pub(super) fn admit(
    verdict: Verdict,
    caller: &Caller,
    request: EndpointRequest<'_>,
) -> Result<(), Refusal> {
    match verdict {
        Verdict::Allow => Ok(()),
        Verdict::SignIn => {
            Err(authorise::sign_in(request.navigation, request.path_and_query, caller))
        }
        Verdict::Deny(lack) => Err(authorise::denied(caller, None, lack)),
    }
}
