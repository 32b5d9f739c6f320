//! What a permitted request may do for as long as it lasts.

use std::rc::Rc;

use crate::proxy::phases::access::asked::Asked;
use crate::proxy::phases::access::authenticate::Caller;
use crate::proxy::phases::access::right::{Loss, Right};
use crate::proxy::phases::route::requirements::Requirements;

/// The right of a caller.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) right: Right,
    /// A person reads the response.
    pub(super) page: bool,
}

impl Granted {
    pub(super) fn new(
        caller: Caller,
        requirements: Requirements,
        asked: Rc<Asked>,
        page: bool,
    ) -> Self {
        let Caller { session, person, in_frame, .. } = caller;
        Self { right: Right::new(session, person, requirements, asked).of_frame(in_frame), page }
    }

    /// Whether the app may still receive the identity that the request carries.
    pub(super) fn is_current(&self) -> bool {
        self.right.is_unchanged()
    }

    /// The right, if it was lost, and why.
    pub(super) fn lost(&self) -> Option<(&Right, Loss)> {
        Some((&self.right, self.right.loss()?))
    }
}
