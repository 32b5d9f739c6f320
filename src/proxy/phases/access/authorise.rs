//! Decides whether the sender of a request has access to the app.

use super::authenticate::Caller;
use crate::auth::Auth;
use crate::auth::policy::{Verdict, decide};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::routed_app::{Policy, RoutedApp};

/// Applies the policy of an app to the caller.
pub(crate) fn authorise(
    caller: &Caller,
    app: &RoutedApp,
    policy: Policy<'_>,
    navigation: bool,
    path_and_query: &str,
) -> Result<(), Refusal> {
    match decide(policy.access, policy.deny, caller.person.as_deref()) {
        Verdict::Allow => Ok(()),
        Verdict::SignIn => Err(sign_in(navigation && !policy.api, path_and_query)),
        Verdict::Deny(missing) => Err(denied(caller, Some(app.title.clone()), missing)),
    }
}

/// The refusal of a request that needs a session: a redirect to the login for navigations, 401 for
/// everything else.
pub(crate) fn sign_in(navigation: bool, path_and_query: &str) -> Refusal {
    Refusal::SignIn { login: navigation.then(|| Auth::login_path(path_and_query)) }
}

/// The refusal of a signed-in person without access. `app` is `None` for the operator page.
pub(crate) fn denied(caller: &Caller, app: Option<String>, missing: String) -> Refusal {
    let user = caller.person.as_ref().map_or_else(String::new, |person| person.user.clone());
    Refusal::Denied { app, missing, user }
}
