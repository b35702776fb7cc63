//! Waiting for what happens soon, without asserting how soon.

use std::time::{Duration, Instant};

/// Asks until there is something, for a minute at most.
pub async fn eventually<T, F>(what: &str, mut ask: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
