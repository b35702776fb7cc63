//! The CPU time of PostgreSQL, from the kernel's books.

use std::{fs, path::Path, time::Duration};

use crate::Failure;

/// The kernel counts in hundredths of a second on every machine that we run on.
const TICK: Duration = Duration::from_millis(10);

/// What the server whose files are in `dir` and its processes have used, those that ended included.
pub(crate) fn cpu(dir: &Path) -> Result<Duration, Failure> {
    let file = fs::read_to_string(dir.join("data/postmaster.pid"))?;
    let postmaster = file.lines().next().ok_or("the server has no process id")?;
    let mut ticks = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        // A process may end while we look; what it used is then its parent's.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name may hold anything, but it ends with the last parenthesis.
        let Some((head, tail)) = stat.rsplit_once(") ") else { continue };
        let fields: Vec<&str> = tail.split(' ').collect();
        let number =
            |place: usize| fields.get(place).and_then(|field| field.parse::<u32>().ok()).unwrap_or(0);
        if head.split(' ').next() == Some(postmaster) {
            ticks += number(11) + number(12) + number(13) + number(14);
        } else if fields.get(1) == Some(&postmaster) {
            ticks += number(11) + number(12);
        }
    }
    Ok(TICK * ticks)
}
