//! `[session]`.

use std::time::Duration;

use super::context::Check;
use crate::config::file;
use crate::config::grammar;
use crate::config::model::reserved::SESSION_KEYS;
use crate::config::model::{PublicUrl, SecretSource, Session};

impl Check<'_, '_> {
    pub(super) fn session(&mut self, file: &file::Session, public_url: &PublicUrl) -> Session {
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
            cookie: self.parse(file.cookie.as_ref(), default_cookie(public_url), cookie),
            keys: file
                .keys
                .as_ref()
                .and_then(|at| self.secret(&at.value, &at.span))
                .unwrap_or_else(|| SecretSource::Generate(SESSION_KEYS.to_owned())),
            recheck: self.duration(file.recheck.as_ref(), Duration::from_mins(1)),
        }
    }
}

/// Browsers share cookies between the ports of a host, so the port tells two appliances apart.
fn default_cookie(public_url: &PublicUrl) -> String {
    match public_url.authority().strip_prefix(&public_url.host) {
        Some(port) if !port.is_empty() => format!("appliance-{}", public_url.port),
        _ => "appliance".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_cookie_name_has_the_port_unless_it_is_the_default_of_the_scheme() {
        for (secure, host, port, name) in [
            (false, "localhost", 8080, "appliance-8080"),
            (false, "apps.example", 80, "appliance"),
            (true, "apps.example", 443, "appliance"),
            (true, "apps.example", 80, "appliance-80"),
            (true, "[::1]", 8443, "appliance-8443"),
        ] {
            let url = PublicUrl { secure, host: host.to_owned(), port };
            assert_eq!(default_cookie(&url), name);
        }
    }
}
