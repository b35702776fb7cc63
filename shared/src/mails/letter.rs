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
    /// Another address was asked for; this goes to the present one.
    EmailRequested,
    /// The address was changed; this goes to the former one.
    EmailChanged,
    /// Logins ask for a code from now on.
    MfaAdded,
    /// Logins ask for no code any more.
    MfaRemoved,
    /// An administrator took the second step away.
    MfaTakenAway,
    /// The recovery codes are new ones.
    RecoveryCodesRenewed,
}

impl Letter<'_> {
    /// The word in the name of the kind's ration.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Invite(_) => "invite",
            Self::Reset(_) => "reset",
            Self::Verify(_) => "verify",
            Self::PasswordChanged => "password-changed",
            Self::EmailRequested => "email-requested",
            Self::EmailChanged => "email-changed",
            Self::MfaAdded => "mfa-added",
            Self::MfaRemoved => "mfa-removed",
            Self::MfaTakenAway => "mfa-taken-away",
            Self::RecoveryCodesRenewed => "recovery-codes",
        }
    }

    /// Whether a business picks the recipient: anybody, then, and not somebody who has an account already.
    pub(super) const fn goes_to_anybody(self) -> bool {
        matches!(self, Self::Invite(_) | Self::Verify(_))
    }

    pub(super) const fn subject(self) -> &'static str {
        match self {
            Self::Invite(_) => "You have been invited",
            Self::Reset(_) => "Choose a new password",
            Self::Verify(_) => "Confirm your e-mail address",
            Self::PasswordChanged => "Your password was changed",
            Self::EmailRequested => "Somebody asked to change your e-mail address",
            Self::EmailChanged => "Your e-mail address was changed",
            Self::MfaAdded => "Signing in now asks for a code",
            Self::MfaRemoved | Self::MfaTakenAway => "Signing in no longer asks for a code",
            Self::RecoveryCodesRenewed => "Your recovery codes were renewed",
        }
    }

    /// The text, with links below `base`.
    pub(super) fn body(self, base: &str) -> String {
        let text = match self {
            Self::Invite(token) => {
                return format!(
                    "A colleague has invited you. Choose your password within seven days:\n\n{}\n",
                    link(base, "accept-invite", token)
                );
            }
            Self::Reset(token) => {
                return format!(
                    "Somebody, hopefully you, asked for a new password. Choose it within an hour:\n\n{}\n\n\
                     If it was not you, ignore this mail: nothing has changed.\n",
                    link(base, "reset-password", token)
                );
            }
            Self::Verify(token) => {
                return format!(
                    "Confirm within a day that this address is yours:\n\n{}\n\n\
                     If you did not ask for this, ignore this mail.\n",
                    link(base, "verify-email", token)
                );
            }
            Self::PasswordChanged => {
                "Your password was changed and you were signed out everywhere else.\n\n\
                 If it was not you, ask for a new password at once.\n"
            }
            Self::EmailRequested => {
                "Somebody, hopefully you, asked to sign in to your account with another e-mail address from now on. \
                 Nothing has changed yet: it will when the link that went to the other address is followed.\n\n\
                 If it was not you, somebody knows your password: ask for a new one at once. Choosing it makes that \
                 link worthless and signs everybody out.\n"
            }
            Self::EmailChanged => {
                "From now on you sign in with another e-mail address.\n\n\
                 If it was not you, tell the owner of your business at once.\n"
            }
            Self::MfaAdded => {
                "From now on signing in to your account asks for a code of an app as well.\n\n\
                 If it was not you, ask for a new password at once, and an administrator of your business to take the \
                 second step away.\n"
            }
            Self::MfaRemoved => {
                "Signing in to your account no longer asks for a code of an app.\n\n\
                 If it was not you, ask for a new password at once and set the second step up again.\n"
            }
            Self::MfaTakenAway => {
                "An administrator of your business has taken away the second step of your account, and you were signed \
                 out everywhere. Signing in no longer asks for a code of an app: set it up again.\n\n\
                 If you did not ask for this, tell the owner of your business at once.\n"
            }
            Self::RecoveryCodesRenewed => {
                "Your account has new recovery codes; the older ones no longer work.\n\n\
                 If it was not you, ask for a new password at once and renew them again.\n"
            }
        };
        text.to_owned()
    }
}

fn link(base: &str, page: &str, token: &OpaqueToken) -> String {
    format!("{base}/{page}?token={}", token.expose())
}
