//! Whether the sender of a request may have what it asks for.

use super::authenticate::Caller;
use crate::auth::Auth;
use crate::auth::policy::{Verdict, decide};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::target::{Policy, Target};

/// Applies the policy of an app.
pub(crate) fn authorise(
    caller: &Caller,
    target: &Target,
    policy: Policy<'_>,
    navigation: bool,
    path_and_query: &str,
) -> Result<(), Refusal> {
    match decide(policy.access, policy.deny, caller.person.as_deref()) {
        Verdict::Allow => Ok(()),
        Verdict::SignIn => Err(sign_in(navigation && !policy.api, path_and_query, caller)),
        Verdict::Deny(missing) => Err(denied(caller, Some(target.title.clone()), missing)),
    }
}

/// The refusal of a request that needs a session: a redirect to the login for navigations, 401 for
/// everything else.
pub(crate) fn sign_in(navigation: bool, path_and_query: &str, caller: &Caller) -> Refusal {
    let login = || Auth::login_path(path_and_query, caller.dispute.as_deref());
    Refusal::SignIn { login: navigation.then(login) }
}

/// The refusal of a person whom the policy excludes. `app` is `None` for the operator page.
pub(crate) fn denied(caller: &Caller, app: Option<String>, missing: String) -> Refusal {
    let user = caller.person.as_ref().map_or_else(String::new, |person| person.user.clone());
    Refusal::Denied { app, missing, user }
}
