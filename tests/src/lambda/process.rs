//! The process behind an environment: how it ended, its signals, what it has used.

use std::{fmt, fs, io, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

/// How a process ended. Both fields are empty if the system did not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exit {
    /// The code it exited with.
    pub code: Option<i32>,
    /// The signal that ended it; 9 is SIGKILL.
    pub signal: Option<i32>,
}

impl Exit {
    pub(crate) fn from_status(status: io::Result<ExitStatus>) -> Self {
        status.map_or(Self::default(), |status| Self { code: status.code(), signal: status.signal() })
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(number)) => match Signal::try_from(number) {
                Ok(signal) => write!(f, "signal {signal}"),
                Err(_) => write!(f, "signal {number}"),
            },
            (None, None) => write!(f, "in an unknown way"),
        }
    }
}

/// What a process has used since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The most memory it ever had resident, in bytes (`VmHWM` of `/proc/<pid>/status`).
    pub peak_rss: u64,
    /// The memory it has resident now, in bytes (`VmRSS`).
    pub rss: u64,
    /// The CPU time of all its threads, past and present, user and system. It comes from the CPU clock of the process:
    /// the ticks of `/proc/<pid>/stat` are 10 ms long, a request takes a hundredth of one.
    pub cpu: Duration,
}

pub(crate) fn measure(pid: i32) -> io::Result<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let clock = clock_getcpuclockid(Pid::from_raw(pid))?;
    let cpu = Duration::from(clock_gettime(clock)?);
    Ok(Usage { peak_rss: bytes_of(&status, "VmHWM:")?, rss: bytes_of(&status, "VmRSS:")?, cpu })
}

pub(crate) fn send(pid: i32, signal: Signal) -> io::Result<()> {
    Ok(kill(Pid::from_raw(pid), signal)?)
}

/// Reads a line like `VmHWM:     1234 kB`, where kB are 1,024 bytes (proc_pid_status(5)). A process that is just
/// ending has no memory lines any more.
fn bytes_of(status: &str, key: &str) -> io::Result<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(key));
    let number = value.and_then(|value| value.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    number
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| io::Error::other(format!("the process has no {key}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_of_this_process_is_plausible() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let usage = measure(pid).unwrap();
        assert!(usage.peak_rss >= usage.rss && usage.rss > 100_000, "{usage:?}");
        assert!(usage.cpu > Duration::ZERO && usage.cpu < Duration::from_secs(3600), "{usage:?}");
    }
}
