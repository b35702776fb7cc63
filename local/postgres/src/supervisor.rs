//! Keeps a server from outliving us.
//!
//! A process that is killed runs no destructor, but the kernel closes its pipes. So between us and the
//! server stands a shell whose standard input is a pipe that only we hold open: when it closes, the shell
//! stops the server. Closing the pipe is also how `Supervisor::stop` stops it, so there is one way out.

use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Stdio},
    time::{Duration, Instant},
};

use crate::{Durability, StartError, account::Account, error::Doing, place::Place, setup};

/// Arguments: the signal that stops the server, the folder to clear afterwards or nothing, the server's
/// command. The watcher stops the server and the shell waits for it, so a server that dies by itself ends
/// the shell too. The watcher's status tells the two apart: 0 if the pipe closed, else the shell's `kill`.
const SCRIPT: &str = r#"
signal=$1; clear=$2; shift 2
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
( read -r _ <&3; trap '' TERM; kill "-$signal" "$server"; exit 0 ) &
watcher=$!
exec 3<&-
wait "$server"; status=$?
kill "$watcher" 2>/dev/null
if wait "$watcher" && [ -n "$clear" ]; then
    rm -rf "$clear/data" "$clear/server.log" "$clear/lock"
    cd / && rmdir "$clear" 2>/dev/null
fi
exit "$status"
"#;

/// How long a server may take to write its memory to disk before `stop` reports that it is still at it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server and the shell that watches over it.
#[derive(Debug)]
pub(crate) struct Supervisor {
    shell: Child,
    pipe: Option<ChildStdin>,
    /// The folder that must be gone after the end. The server's user may clear it, but only the owner of its
    /// parent can always remove it.
    clear: Option<PathBuf>,
}

impl Supervisor {
    /// Starts `server` with `args`. It runs in a process group of its own: Ctrl-C in the terminal reaches us,
    /// and we stop it when we are done with it.
    pub(crate) fn start(
        place: &Place,
        account: &Account,
        durability: Durability,
        server: &Path,
        args: &[String],
    ) -> Result<Self, StartError> {
        let log = File::create(place.log()).doing(|| format!("write {}", place.log().display()))?;
        let log_too = log.try_clone().doing(|| "share the log".to_owned())?;
        // `fast` disconnects clients and writes everything down; `immediate` just goes, for data nobody keeps.
        let (signal, clear) = match durability {
            Durability::Keep => ("INT", None),
            Durability::Throwaway => ("QUIT", Some(place.dir.clone())),
        };
        let mut command = setup::command(Path::new("/bin/sh"), account);
        command
            .args(["-c", SCRIPT, "sh", signal])
            .arg(clear.as_deref().unwrap_or(Path::new("")))
            .arg(server)
            .args(args);
        command.process_group(0).stdin(Stdio::piped()).stdout(log).stderr(log_too);
        let mut shell = command.spawn().doing(|| "start the server".to_owned())?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe, clear })
    }

    /// Whether the server has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.shell.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// Stops the server and waits for it.
    pub(crate) fn stop(&mut self) -> Result<(), StartError> {
        drop(self.pipe.take());
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.has_ended() {
                if let Some(dir) = &self.clear {
                    let _ = std::fs::remove_dir(dir);
                }
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(StartError::Step {
            what: "stopping the server".to_owned(),
            output: format!("it was told to, but is still running after {} s", PATIENCE.as_secs()),
        })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Nobody is left to tell, and the shell goes on trying without us.
        let _ = self.stop();
    }
}
