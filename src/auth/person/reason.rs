//! The words for the reasons of a decision.

use crate::config::{Access, Subject};

/// Why a policy lets somebody in or not. Programs compare the word of a reason, so it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Everybody may come in.
    Public,
    /// Everybody who is signed in may come in.
    SignedIn,
    /// The person meets a table of `access`.
    Matched,
    /// The request has no session and the app needs one.
    NotSignedIn,
    /// The person meets a table of `deny`.
    Denied,
    /// The person is in none of the groups.
    GroupMissing,
    /// The person has none of the roles.
    RoleMissing,
    /// The address of the person is not on the list, or is not verified.
    EmailMissing,
    /// The address of the person is at none of the domains, or is not verified.
    EmailDomainMissing,
    /// A claim has none of the values.
    ClaimMissing,
    /// The person meets none of several tables, each for another reason.
    NoneMatched,
    /// `[oidc] require_verified_email` lets nobody sign in whose address is not verified.
    EmailUnverified,
    /// There are no operators.
    NotAnOperator,
    /// The person lost access while the app prepared its response.
    AccessLost,
}

impl Reason {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::SignedIn => "signed_in",
            Self::Matched => "matched",
            Self::NotSignedIn => "not_signed_in",
            Self::Denied => "denied",
            Self::GroupMissing => "group_missing",
            Self::RoleMissing => "role_missing",
            Self::EmailMissing => "email_missing",
            Self::EmailDomainMissing => "email_domain_missing",
            Self::ClaimMissing => "claim_missing",
            Self::NoneMatched => "none_matched",
            Self::EmailUnverified => "email_unverified",
            Self::NotAnOperator => "not_an_operator",
            Self::AccessLost => "access_lost",
        }
    }

    /// Why a policy lets in whom it lets in.
    pub(super) fn to_allow(access: &Access) -> Self {
        match access {
            Access::Public => Self::Public,
            Access::SignedIn => Self::SignedIn,
            Access::Only(_) | Access::AnyOf(_) => Self::Matched,
        }
    }

    /// Why a constraint is not met.
    pub(super) fn to_refuse(subject: Subject<'_>) -> Self {
        match subject {
            Subject::Groups => Self::GroupMissing,
            Subject::Roles => Self::RoleMissing,
            Subject::Emails => Self::EmailMissing,
            Subject::EmailDomains => Self::EmailDomainMissing,
            Subject::Claim(_) => Self::ClaimMissing,
        }
    }
}
