//! What the mails say.

use crate::crypto::OpaqueToken;

/// The kinds of mails.
#[derive(Clone, Copy, Debug)]
pub enum Letter<'a> {
    /// Somebody was invited.
    Invite(&'a OpaqueToken),
    /// Somebody forgot the password.
    Reset(&'a OpaqueToken),
    /// An address is to be proved.
    Verify(&'a OpaqueToken),
    /// The password was changed.
    PasswordChanged,
    /// The address was changed; this goes to the former one.
    EmailChanged,
}

impl Letter<'_> {
    pub(super) const fn subject(self) -> &'static str {
        match self {
            Self::Invite(_) => "You have been invited",
            Self::Reset(_) => "Choose a new password",
            Self::Verify(_) => "Confirm your e-mail address",
            Self::PasswordChanged => "Your password was changed",
            Self::EmailChanged => "Your e-mail address was changed",
        }
    }

    /// The text, with links below `base`.
    pub(super) fn body(self, base: &str) -> String {
        match self {
            Self::Invite(token) => format!(
                "A colleague has invited you. Choose your password within seven days:\n\n{}\n",
                link(base, "accept-invite", token)
            ),
            Self::Reset(token) => format!(
                "Somebody, hopefully you, asked for a new password. Choose it within an hour:\n\n{}\n\n\
                 If it was not you, ignore this mail: nothing has changed.\n",
                link(base, "reset-password", token)
            ),
            Self::Verify(token) => format!(
                "Confirm within a day that this address is yours:\n\n{}\n\n\
                 If you did not ask for this, ignore this mail.\n",
                link(base, "verify-email", token)
            ),
            Self::PasswordChanged => "Your password was changed and you were signed out everywhere else.\n\n\
                 If it was not you, ask for a new password at once.\n"
                .to_owned(),
            Self::EmailChanged => "From now on you sign in with another e-mail address.\n\n\
                 If it was not you, tell the owner of your business at once.\n"
                .to_owned(),
        }
    }
}

fn link(base: &str, page: &str, token: &OpaqueToken) -> String {
    format!("{base}/{page}?token={}", token.expose())
}
