//! Why a session ends, or does not begin.

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    SignedOut,
    /// The absolute limit, `[session] lifetime`, is reached.
    Expired,
    /// The session was not used for `[session] idle`.
    Idle,
    /// The issuer refused the refresh token.
    Revoked,
    /// The issuer has said that its session has ended.
    LoggedOut,
    /// The person has ended it from another session.
    ByPerson,
    /// An operator has ended it.
    ByOperator,
    /// Another login in the same browser replaced the session.
    Replaced,
    /// The person has too many sessions, and this is the oldest one.
    Surplus,
    /// The issuer's answer to a refresh could not be trusted.
    Untrusted,
    /// A reload has removed the key of its cookie, or changed the cookie's name or host.
    Unreadable,
    /// The person has no verified e-mail address any more.
    Unverified,
}

/// Why a session cannot come into force, or go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barred {
    /// It has ended in the meantime.
    HasEnded,
    /// The configuration in force does not allow it.
    By(EndReason),
}

impl EndReason {
    /// The reason as the log shows it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::SignedOut => "signed out",
            Self::Expired => "its lifetime is over",
            Self::Idle => "it was not used",
            Self::Revoked => "the issuer has ended it",
            Self::LoggedOut => "the person was signed out at the issuer",
            Self::ByPerson => "the person has ended it from elsewhere",
            Self::ByOperator => "an operator has ended it",
            Self::Replaced => "another login replaced it",
            Self::Surplus => "the person has too many sessions",
            Self::Untrusted => "the issuer's answer cannot be trusted",
            Self::Unreadable => "its cookie is not valid any more",
            Self::Unverified => "its e-mail address is no longer verified",
        }
    }
}
