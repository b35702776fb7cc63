//! Whom the server runs as. PostgreSQL refuses to run as root, so as root we become another user for the
//! server's processes, and that user must own the data directory and be able to reach it.

use std::{
    fs::Metadata,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use crate::{StartError, error::Doing};

/// The account of the server's processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// The user's number.
    pub(crate) uid: u32,
    /// The number of the user's main group.
    pub(crate) gid: u32,
    /// Whether we are root and must become this user.
    pub(crate) drop_root: bool,
}

impl Account {
    /// Ourselves, or `postgres` or else `nobody` when we are root.
    pub(crate) fn for_server() -> Result<Self, StartError> {
        let (uid, gid) = (own_id("-u")?, own_id("-g")?);
        if uid != 0 {
            return Ok(Self { uid, gid, drop_root: false });
        }
        let users = std::fs::read_to_string("/etc/passwd").doing(|| "read /etc/passwd".to_owned())?;
        let (uid, gid) =
            ["postgres", "nobody"].iter().find_map(|name| ids(&users, name)).ok_or(StartError::NoAccount)?;
        Ok(Self { uid, gid, drop_root: true })
    }

    /// Makes `command` run as this account. The working directory becomes `/`, since ours may be closed to it.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.current_dir("/");
        if self.drop_root {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Whether this account can enter `dir`, which needs search permission on it and on every folder above.
    pub(crate) fn can_reach(&self, dir: &Path) -> bool {
        !self.drop_root
            || dir.ancestors().all(|dir| std::fs::metadata(dir).is_ok_and(|meta| self.may_search(&meta)))
    }

    fn may_search(&self, meta: &Metadata) -> bool {
        let bit = match () {
            () if meta.uid() == self.uid => 0o100,
            () if meta.gid() == self.gid => 0o010,
            () => 0o001,
        };
        meta.permissions().mode() & bit != 0
    }

    /// Gives `path` to this account.
    pub(crate) fn own(&self, path: &Path) -> Result<(), StartError> {
        if !self.drop_root {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .doing(|| format!("give {} to the server's user", path.display()))
    }
}

/// Our own user (`-u`) or group (`-g`) number. The standard library has no call for it, and `id` is everywhere.
fn own_id(which: &str) -> Result<u32, StartError> {
    let output = Command::new("id").arg(which).output().doing(|| format!("run `id {which}`"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    text.parse().map_err(|_| StartError::Step { what: format!("`id {which}`"), output: text })
}

/// Reads a user's numbers from the lines of passwd(5).
fn ids(users: &str, name: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let mut numbers = fields.skip(1);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_from_the_line_of_exactly_that_user() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\npostgres2:x:9:9::/:\npostgres:x:101:104:PG,,,:/var:/bin/sh\n";
        assert_eq!(ids(users, "postgres"), Some((101, 104)));
        assert_eq!(ids(users, "nobody"), None);
    }

    #[test]
    fn a_closed_folder_cannot_be_reached_by_another_user() {
        let dir = std::env::temp_dir().join(format!("account-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = Account { uid: 4_000_000, gid: 4_000_000, drop_root: true };
        assert!(!stranger.can_reach(&dir));
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o711)).unwrap();
        assert!(stranger.can_reach(&dir));
        std::fs::remove_dir(&dir).unwrap();
    }
}
