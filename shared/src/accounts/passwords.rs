//! Passwords at the door: a bounded number of hashes at a time, and failures that all take equally long.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::{
    auth::password::{self, PasswordError, PolicyError, Verdict},
    http::Problem,
    private::Secret,
};

/// No failed login is answered sooner. Longer than the slowest stored hash takes (bcrypt at cost 12: about 370 ms of a
/// core), so that the answer's time does not tell a legacy account from an unknown one.
pub const FAILURE_FLOOR: Duration = Duration::from_millis(500);

/// Hashes at a time in one process. Each takes 19 MiB and a whole core: a burst of logins waits in line instead of taking
/// the memory of all at once, and a burst of guesses is looked at a few at a time.
static HASHERS: Semaphore = Semaphore::const_new(4);

/// Hashes a password that was chosen. Call it without an open transaction.
///
/// # Errors
/// 500 when there is no memory or randomness.
pub async fn hash_password(password: &Secret) -> Result<Secret, Problem> {
    let _permit = HASHERS.acquire().await.map_err(|_| Problem::internal())?;
    password::hash_blocking(password).await.map_err(|error| defect(&error))
}

/// Verifies a password against each stored hash, and once in vain when there is none. Call it without an open
/// transaction. A hash that cannot be read counts as a mismatch and is logged. The caller waits for [`FAILURE_FLOOR`].
///
/// # Errors
/// 500 when there is no memory.
pub async fn check_password(stored: &[Option<Secret>], password: &Secret) -> Result<Vec<Verdict>, Problem> {
    let _permit = HASHERS.acquire().await.map_err(|_| Problem::internal())?;
    let mut verdicts = Vec::with_capacity(stored.len());
    if stored.is_empty() {
        verify(None, password).await?;
    }
    for hash in stored {
        verdicts.push(verify(hash.as_ref(), password).await?);
    }
    Ok(verdicts)
}

/// Refuses a password that is easily guessed, with a pointer to it. `own` are words that the account is known by.
///
/// # Errors
/// 422 at `/password`.
pub fn refuse_weak(password: &Secret, own: &[&str]) -> Result<(), Problem> {
    refuse_weak_at("/password", password, own)
}

/// The same for a password that stands elsewhere in the body.
///
/// # Errors
/// 422 at `pointer`.
pub fn refuse_weak_at(pointer: &str, password: &Secret, own: &[&str]) -> Result<(), Problem> {
    password::check_policy(password, own).map_err(|error| {
        let (code, detail) = match error {
            PolicyError::TooShort => ("too_short", "A password has at least 8 characters."),
            PolicyError::TooLong => ("too_long", "A password has at most 256 characters."),
            PolicyError::Common => ("too_common", "This password is among the first that everybody tries."),
            PolicyError::Personal => ("too_personal", "A password is not one's own name or address."),
        };
        Problem::invalid(pointer, code, detail)
    })
}

async fn verify(stored: Option<&Secret>, password: &Secret) -> Result<Verdict, Problem> {
    match password::verify_equalised(stored, password, Duration::ZERO).await {
        Err(PasswordError::StoredHash) => {
            tracing::error!("a stored password hash cannot be read");
            Ok(Verdict::Mismatch)
        }
        other => other.map_err(|error| defect(&error)),
    }
}

fn defect(error: &PasswordError) -> Problem {
    tracing::error!(%error, "password hash failed");
    Problem::internal()
}
