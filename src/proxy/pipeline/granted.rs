//! What a permitted request may do for as long as it lasts.

use crate::proxy::phases::access::authenticate::Caller;
use crate::proxy::phases::access::right::{Loss, Right};
use crate::proxy::phases::route::requirements::Requirements;

/// The right of a caller.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) right: Right,
    /// The request needs the right for as long as it lasts. A public app serves everybody.
    pub(super) required: bool,
    /// A person reads the response.
    pub(super) page: bool,
}

impl Granted {
    pub(super) fn new(caller: Caller, requirements: Requirements, page: bool) -> Self {
        let Caller { session, person, .. } = caller;
        let required = !requirements.are_public();
        Self { right: Right::new(session, person, requirements), required, page }
    }

    pub(super) fn required(&self) -> Option<&Right> {
        Some(&self.right).filter(|right| self.required && right.has_session())
    }

    /// Whether the app may still receive the identity that the request carries.
    pub(super) fn is_current(&self) -> bool {
        self.right.is_unchanged()
    }

    /// The required right, if it was lost, and why.
    pub(super) fn lost(&self) -> Option<(&Right, Loss)> {
        let right = self.required()?;
        Some((right, right.loss()?))
    }
}
