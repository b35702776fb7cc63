//! Reads `postmaster.pid`, in which a server says which process it is and whether it is ready.
//! Its lines are listed in PostgreSQL's `src/include/utils/pidfile.h`.

use std::{path::Path, process::Command};

/// What a running server, or the last one that did not stop cleanly, wrote about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFile {
    /// The server's process number.
    pub pid: u32,
    /// The port it listens on.
    pub port: u16,
    /// Whether it accepts connections (line 8 says `ready`).
    pub ready: bool,
}

impl PidFile {
    /// Reads the file in `data`; `None` if there is none or it is still being written.
    pub fn read(data: &Path) -> Option<Self> {
        parse(&std::fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    /// Whether the process of that number is a server on `data`. After a crash or a reboot the number may
    /// belong to an unrelated process.
    pub fn is_alive(&self, data: &Path) -> bool {
        command_line(self.pid).is_some_and(|args| args.contains(&*data.to_string_lossy()))
    }
}

fn parse(text: &str) -> Option<PidFile> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    Some(PidFile {
        pid: lines.first()?.parse().ok()?,
        port: lines.get(3)?.parse().ok()?,
        ready: lines.get(7).is_some_and(|status| *status == "ready"),
    })
}

/// The arguments of a process, separated somehow; `None` if it is gone.
fn command_line(pid: u32) -> Option<String> {
    if Path::new("/proc/self").exists() {
        let args = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&args).into_owned());
    }
    let output = Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_ready_when_line_eight_says_so() {
        let starting = "4711\n/data\n1\n5433\n\n127.0.0.1\n  1  2\nstarting\n";
        assert_eq!(parse(starting), Some(PidFile { pid: 4711, port: 5433, ready: false }));
        assert!(parse(&starting.replace("starting", "ready   ")).unwrap().ready);
        assert_eq!(parse("4711\n/data\n"), None);
    }

    #[test]
    fn an_unrelated_process_of_that_number_is_no_server() {
        let file = PidFile { pid: std::process::id(), port: 1, ready: true };
        assert!(!file.is_alive(Path::new("/no/such/data")));
    }
}
