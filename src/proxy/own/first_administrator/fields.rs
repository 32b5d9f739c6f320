//! The form of the page.

use std::fmt;

use super::link::NewAccount;
use crate::config::Secret;
use crate::texts::Text;

/// The longest value of a field, characters; Keycloak takes no longer ones.
const LONGEST: usize = 255;

/// The form as it came; nothing in it for a new page. `Debug` does not show it.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) token: String,
    pub(super) user: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) email: String,
    password: Secret,
    again: Secret,
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fields")
    }
}

impl Fields {
    pub(super) fn of_a_new_page(token: String) -> Self {
        Self { token, ..Self::default() }
    }

    pub(super) fn read(text: &[u8]) -> Self {
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(text) {
            let trimmed = || value.trim().to_owned();
            match &*name {
                "token" => fields.token = value.into_owned(),
                "username" => fields.user = trimmed(),
                "first_name" => fields.first_name = trimmed(),
                "last_name" => fields.last_name = trimmed(),
                "email" => fields.email = trimmed(),
                "password" => fields.password = Secret::from(value.into_owned()),
                "again" => fields.again = Secret::from(value.into_owned()),
                _ => {}
            }
        }
        fields
    }

    /// What Keycloak need not be asked about.
    pub(super) fn fault(&self) -> Option<Text> {
        use secrecy::ExposeSecret as _;
        let Self { user, first_name, last_name, email, password, again, .. } = self;
        let texts = [user, first_name, last_name, email];
        let password = password.expose_secret();
        if texts.iter().any(|text| text.is_empty()) || password.is_empty() {
            Some(Text::FillAll)
        } else if texts.iter().any(|text| text.chars().count() > LONGEST) {
            Some(Text::ValueTooLong)
        } else if password != again.expose_secret() {
            Some(Text::PasswordsDiffer)
        } else {
            None
        }
    }

    pub(super) fn account(&self) -> NewAccount {
        NewAccount {
            user: self.user.clone(),
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            email: self.email.clone(),
            password: self.password.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_before_keycloak_is_asked() {
        let whole = "username=ada&first_name=Ada&last_name=L&email=a%40b.c&password=p+w&again=p+w";
        assert_eq!(Fields::read(whole.as_bytes()).fault(), None);
        for (from, to, fault) in [
            ("again=p+w", "again=pw", Text::PasswordsDiffer),
            ("username=ada", "username=+", Text::FillAll),
            ("p+w&again=p+w", "&again=", Text::FillAll),
            ("email=a%40b.c", "", Text::FillAll),
        ] {
            let text = whole.replace(from, to);
            assert_eq!(Fields::read(text.as_bytes()).fault(), Some(fault), "{text}");
        }
        let long = whole.replace("Ada", &"é".repeat(256));
        assert!(Fields::read(long.as_bytes()).fault().is_some());
    }
}
