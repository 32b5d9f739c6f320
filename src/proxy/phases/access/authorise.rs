//! Decides whether the sender of a request has access to the app.

use super::authenticate::Caller;
use super::right::{Loss, Right};
use crate::auth::Auth;
use crate::auth::policy::{Lack, Reason, Verdict, decide};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::requirements::Requirements;
use crate::texts::Text;

/// Applies the policies of a request to the caller: all of them must allow it.
pub(crate) fn authorise(
    caller: &Caller,
    requirements: &Requirements,
    navigation: bool,
    path_and_query: &str,
) -> Result<(), Refusal> {
    for policy in requirements.policies() {
        match decide(policy.access, policy.deny, caller.person.as_deref()) {
            Verdict::Allow => {}
            Verdict::SignIn => {
                return Err(sign_in(navigation && !policy.api, path_and_query, caller));
            }
            Verdict::Deny(lack) => {
                return Err(denied(caller, Some(requirements.app().title.clone()), lack));
            }
        }
    }
    Ok(())
}

/// The refusal of a request that needs a session: a redirect to the login for navigations, 401 for
/// everything else.
pub(crate) fn sign_in(navigation: bool, path_and_query: &str, caller: &Caller) -> Refusal {
    let login = || Auth::login_path(path_and_query, caller.dispute.as_deref());
    Refusal::SignIn { login: navigation.then(login) }
}

/// The refusal of a request whose right was lost while the app prepared its response.
pub(crate) fn lost(loss: Loss, right: &Right, navigation: bool, path_and_query: &str) -> Refusal {
    let (user, app) = (right.user().unwrap_or_default().to_owned(), right.app());
    match loss {
        Loss::Session => sign_in(navigation && !app.route.api, path_and_query, &Caller::default()),
        Loss::Access | Loss::Identity | Loss::Upstream => {
            let lack = Lack::new(Reason::AccessLost, Text::LackLost);
            Refusal::Denied { app: Some(app.title.clone()), lack, user }
        }
    }
}

/// The refusal of a signed-in person without access. `app` is `None` for the operator page.
pub(crate) fn denied(caller: &Caller, app: Option<String>, lack: Lack) -> Refusal {
    let user = caller.person.as_ref().map_or_else(String::new, |person| person.user.clone());
    Refusal::Denied { app, lack, user }
}
