//! `[session]`.

use std::time::Duration;

use super::context::Check;
use crate::config::file;
use crate::config::grammar;
use crate::config::model::reserved::SESSION_KEYS;
use crate::config::model::{SecretSource, Session};

impl Check<'_, '_> {
    pub(super) fn session(&mut self, file: &file::Session) -> Session {
        let lifetime = self.positive(file.lifetime.as_ref(), Duration::from_hours(10));
        let idle = self.duration(file.idle.as_ref(), Duration::ZERO);
        if let Some(at) = &file.idle
            && idle > lifetime
        {
            self.problems.error(
                &at.span,
                "`idle` must not be longer than `lifetime`; shorten `idle` or lengthen `lifetime`",
            );
        }
        Session {
            lifetime,
            idle: (!idle.is_zero()).then_some(idle),
            cookie: self.parse(file.cookie.as_ref(), "appliance".to_owned(), cookie),
            keys: file
                .keys
                .as_ref()
                .and_then(|at| self.secret(&at.value, &at.span))
                .unwrap_or_else(|| SecretSource::Generate(SESSION_KEYS.to_owned())),
            recheck: self.duration(file.recheck.as_ref(), Duration::from_mins(1)),
        }
    }
}

fn cookie(text: &str) -> grammar::Parsed<String> {
    if !grammar::is_token(text) {
        return Err(format!(
            "`{text}` is not a valid cookie name; use letters, digits, `-` and `_`"
        ));
    }
    if text.starts_with("__Host-") || text.starts_with("__Secure-") {
        return Err("the appliance adds the prefix of the cookie; remove it".to_owned());
    }
    Ok(text.to_owned())
}
