//! Where the files of a cluster lie.

use std::{
    fs::{File, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{StartError, account::Account, error::Doing};

/// The folder of a cluster, ready to be used by the server's account.
#[derive(Debug)]
pub(crate) struct Place {
    /// The folder itself.
    pub(crate) dir: PathBuf,
    /// Why it is not the folder that was asked for, if it is not.
    pub(crate) moved: Option<String>,
}

impl Place {
    /// Makes `wanted` usable by `account`. A folder that this account cannot reach (a project under `/root`)
    /// is replaced by one under `/var/tmp`, always the same one for the same project.
    pub(crate) fn prepare(wanted: &Path, account: &Account) -> Result<Self, StartError> {
        let wanted = std::path::absolute(wanted).doing(|| format!("resolve {}", wanted.display()))?;
        let parent = wanted.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(parent).doing(|| format!("create {}", parent.display()))?;
        let parent = std::fs::canonicalize(parent).doing(|| format!("resolve {}", parent.display()))?;
        let wanted = wanted.file_name().map_or(parent.clone(), |name| parent.join(name));
        if account.can_reach(&parent) {
            own(&wanted, account)?;
            return Ok(Self { dir: wanted, moved: None });
        }
        let dir = PathBuf::from(format!("/var/tmp/wellspring-{:016x}", fingerprint(&wanted)));
        own(&dir, account)?;
        let moved = format!(
            "the database lies in {}, not in {}, because the server cannot run as root and its user cannot \
             enter {}",
            dir.display(),
            wanted.display(),
            parent.display()
        );
        Ok(Self { dir, moved: Some(moved) })
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Where the data directory is made before it is complete.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.dir.join("data.unfinished")
    }

    /// What the server prints.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// The major version that made the data directory; `None` if there is none yet.
    pub(crate) fn made_by(&self) -> Option<u32> {
        std::fs::read_to_string(self.data().join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    /// Waits until no other process is starting this cluster; holds while the returned file lives.
    pub(crate) fn lock(&self) -> Result<File, StartError> {
        let path = self.dir.join("lock");
        let what = || format!("lock {}", path.display());
        let file = File::options().create(true).append(true).open(&path).doing(what)?;
        file.lock().doing(what)?;
        Ok(file)
    }
}

/// Creates `dir` for `account` alone, or checks that it is its own: `/var/tmp` is open to everyone.
fn own(dir: &Path, account: &Account) -> Result<(), StartError> {
    match std::fs::create_dir(dir) {
        Ok(()) => {
            account.own(dir)?;
            std::fs::set_permissions(dir, Permissions::from_mode(0o700))
                .doing(|| format!("set the permissions of {}", dir.display()))
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            let meta = std::fs::symlink_metadata(dir).doing(|| format!("look at {}", dir.display()))?;
            if meta.is_dir() && meta.uid() == account.uid {
                Ok(())
            } else {
                Err(StartError::ForeignDirectory { dir: dir.to_owned() })
            }
        }
        Err(source) => Err(StartError::Io { what: format!("create {}", dir.display()), source }),
    }
}

/// FNV-1a of a path. It names a folder, so it must never change with a release of a library.
fn fingerprint(path: &Path) -> u64 {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_substitute_folder_never_changes() {
        assert_eq!(fingerprint(Path::new("")), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(Path::new("a")), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn a_folder_that_the_server_cannot_reach_is_replaced_and_the_reader_told() {
        let closed = std::env::temp_dir().join(format!("place-{}", std::process::id()));
        std::fs::create_dir_all(&closed).unwrap();
        std::fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
        let account = Account::for_server().unwrap();
        let place = Place::prepare(&closed.join("postgres"), &account).unwrap();
        assert_eq!(place.moved.is_some(), account.drop_root);
        std::fs::remove_dir(&place.dir).unwrap();
        std::fs::remove_dir(&closed).unwrap();
    }
}
