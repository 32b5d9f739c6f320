//! What people change about their own account at Keycloak, without its account console: some of its
//! application-initiated actions, which begin like a login with the parameter `kc_action`.
//!
//! The list is fixed. Other actions of Keycloak, as the removal of the account, are not offered.

use crate::texts::Text;

/// An action at Keycloak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountAction {
    /// The value of `action` at `/oauth2/start`.
    name: &'static str,
    /// The value of `kc_action`.
    pub(super) kc_action: &'static str,
    /// The text of the link on the portal; `None` for what few realms use.
    pub(crate) title: Option<Text>,
}

const ACTIONS: [AccountAction; 5] = [
    AccountAction {
        name: "password",
        kc_action: "UPDATE_PASSWORD",
        title: Some(Text::ChangePassword),
    },
    AccountAction { name: "totp", kc_action: "CONFIGURE_TOTP", title: Some(Text::SetUpTotp) },
    AccountAction {
        name: "recovery-codes",
        kc_action: "CONFIGURE_RECOVERY_AUTHN_CODES",
        title: None,
    },
    AccountAction { name: "security-key", kc_action: "webauthn-register", title: None },
    AccountAction { name: "passkey", kc_action: "webauthn-register-passwordless", title: None },
];

impl AccountAction {
    /// All of them.
    pub fn all() -> &'static [Self] {
        &ACTIONS
    }

    /// `/oauth2/start?action=…&rd=…`: where the action begins; it leads back to the portal.
    pub fn path(self) -> String {
        format!("/oauth2/start?action={}&rd=%2F_appliance%2F", self.name)
    }

    /// What the parameter `action` of a query asks for.
    pub(super) fn asked(query: &str) -> Asked {
        let mut found =
            form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "action");
        match (found.next(), found.next()) {
            (None, _) => Asked::Nothing,
            (Some((_, name)), None) => match ACTIONS.iter().find(|action| action.name == name) {
                Some(action) => Asked::Action(*action),
                None => Asked::Unknown,
            },
            (Some(_), Some(_)) => Asked::Unknown,
        }
    }
}

/// What the parameter `action` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// There is none: a login.
    Nothing,
    /// One of the list.
    Action(AccountAction),
    /// Something else, or more than one.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_list_can_be_asked_for() {
        for action in ACTIONS {
            let query = format!("rd=%2F&action={}", action.name);
            assert_eq!(AccountAction::asked(&query), Asked::Action(action));
            assert!(action.path().contains(&format!("action={}&", action.name)));
        }
        for query in ["", "rd=/x?action=password", "rd=%26action%3Dpassword", "Action=password"] {
            assert_eq!(AccountAction::asked(query), Asked::Nothing, "{query}");
        }
        for query in [
            "action=",
            "action=delete_account",
            "action=UPDATE_PASSWORD",
            "action=Password",
            "action=password%20",
            "action=delete_credential%3Ax",
            "action=password&action=totp",
            "action=password&action=password",
        ] {
            assert_eq!(AccountAction::asked(query), Asked::Unknown, "{query}");
        }
    }
}
