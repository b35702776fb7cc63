//! Passwords at the door: a bounded number of hashes at a time, and failures that all take equally long.

use std::time::Duration;

use tokio::{sync::Semaphore, time::Instant};

use crate::{
    auth::password::{self, PasswordError, PolicyError, Verdict},
    http::Problem,
    private::Secret,
};

/// No failed login is answered sooner after its verification began. More than [`MOST_WORK`] takes, so that the answer's time does
/// not tell a legacy account from an unknown one, nor one business from many.
pub const FAILURE_FLOOR: Duration = Duration::from_secs(1);

/// The most that one call verifies, in hashes of the current kind of about 40 ms each: two of the slowest that are kept (bcrypt at
/// cost 12), or twenty-two of the usual ones.
pub const MOST_WORK: u32 = 2 * password::MAX_WORK;

/// When the answer to whoever was not let in may leave. Verifying gives one, and every refusal waits for it.
#[must_use = "a refusal waits until then"]
#[derive(Debug)]
pub struct Hold(Instant);

impl Hold {
    /// Begins now, after whatever the counters made the caller wait.
    pub fn begin() -> Self {
        Self(Instant::now() + FAILURE_FLOOR)
    }

    /// Waits for the rest of it.
    pub async fn wait(self) {
        tokio::time::sleep_until(self.0).await;
    }
}

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
/// transaction. A hash that cannot be read counts as a mismatch and is logged. Waiting in line is no part of the [`Hold`]: it
/// takes as long whoever is asked for.
///
/// # Errors
/// 500 when there is no memory.
pub async fn check_password(stored: &[Secret], password: &Secret) -> Result<(Vec<Verdict>, Hold), Problem> {
    let _permit = HASHERS.acquire().await.map_err(|_| Problem::internal())?;
    let hold = Hold::begin();
    let mut verdicts = Vec::with_capacity(stored.len());
    if stored.is_empty() {
        verify(None, password).await?;
    }
    for hash in stored {
        verdicts.push(verify(Some(hash), password).await?);
    }
    Ok((verdicts, hold))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_refusal_takes_as_long_whoever_was_asked_for() {
        let current = hash_password(&"right".into()).await.unwrap();
        let legacy = Secret::new(bcrypt::hash("right", 6).unwrap());
        let stored = [
            Vec::new(),
            vec![current.clone()],
            vec![legacy.clone()],
            vec![Secret::from("broken")],
            vec![current.clone(), legacy, current],
        ];
        futures::future::join_all(stored.iter().map(async |stored| {
            let started = Instant::now();
            let (verdicts, hold) = check_password(stored, &"wrong".into()).await.unwrap();
            assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Mismatch));
            hold.wait().await;
            // Only from below: what is slow besides is the machine.
            assert!(started.elapsed() >= FAILURE_FLOOR);
        }))
        .await;
    }
}
