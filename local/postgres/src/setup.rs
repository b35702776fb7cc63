//! Makes a new data directory, with our role and database in it, before the server runs for the first time.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    DATABASE, Durability, OWNER, SUPERUSER, StartError, account::Account, error::Doing, find::Binaries,
    place::Place,
};

/// Makes the data directory under a preliminary name and renames it once it is complete.
pub(crate) fn create_data(
    place: &Place,
    binaries: &Binaries,
    account: &Account,
    durability: Durability,
) -> Result<(), StartError> {
    let unfinished = place.unfinished();
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).doing(|| format!("remove {}", unfinished.display()))?;
    }
    initdb(&unfinished, binaries, account, durability)?;
    // Every later database is a copy of template1, so the owner of the schema is set here once.
    let sql = format!(
        "create role {OWNER} login createrole;\nalter schema public owner to {OWNER};\n\
         create database {DATABASE} owner {OWNER};\n"
    );
    single_user(&unfinished, binaries, account, &sql)?;
    std::fs::rename(&unfinished, place.data()).doing(|| format!("rename {}", unfinished.display()))?;
    if durability == Durability::Keep {
        let sync = |path: &Path| File::open(path)?.sync_all();
        sync(&place.dir).doing(|| format!("sync {}", place.dir.display()))?;
    }
    Ok(())
}

fn initdb(
    data: &Path,
    binaries: &Binaries,
    account: &Account,
    durability: Durability,
) -> Result<(), StartError> {
    let mut command = command(&binaries.dir.join("initdb"), account);
    command.args(["-A", "trust", "-E", "UTF8", "--no-locale", "-U", SUPERUSER, "-D"]).arg(data);
    if durability == Durability::Throwaway {
        command.arg("--no-sync");
    }
    run(command, "initdb", "")
}

/// Runs SQL without a server or a client: `postgres --single` reads one statement a line.
fn single_user(data: &Path, binaries: &Binaries, account: &Account, sql: &str) -> Result<(), StartError> {
    let mut command = command(&binaries.dir.join("postgres"), account);
    command.args(["--single", "-c", "exit_on_error=true", "-D"]).arg(data).arg("template1");
    run(command, "setting up the roles with `postgres --single`", sql)
}

/// A command of the server's account in which no setting of ours is changed by the environment.
pub(crate) fn command(program: &Path, account: &Account) -> Command {
    let mut command = Command::new(program);
    account.apply(&mut command);
    for name in ["PGDATA", "PGPORT", "PGOPTIONS", "PGDATESTYLE", "PGTZ", "LANG", "LANGUAGE"] {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C");
    command
}

fn run(mut command: Command, what: &str, input: &str) -> Result<(), StartError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().doing(|| format!("run {what}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that has already failed does not read; its own words, below, say more than a broken pipe.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().doing(|| format!("wait for {what}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(StartError::Step { what: what.to_owned(), output: said.trim().to_owned() })
}
