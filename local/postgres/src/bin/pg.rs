//! `pg run [--port N] [--dir DIR] [--migrations DIR] [-- COMMAND…]`: runs a command against a throw-away
//! server, with `DATABASE_URL` set to an empty (or migrated) database, and passes its exit status on.
//! Without a command it prints the address and waits for Ctrl-C.
//!
//! No signal needs handling: when we die the supervisor sees the pipe close and stops the server.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use private_postgres::{Cluster, DATABASE, Durability, Options};

const USAGE: &str = "usage: pg run [--port N] [--dir DIR] [--migrations DIR] [-- COMMAND [ARGUMENT…]]";

fn main() -> ExitCode {
    match Request::parse(std::env::args().skip(1)).and_then(|request| run(&request)) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("pg: {problem}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Request {
    port: Option<u16>,
    dir: Option<PathBuf>,
    migrations: Option<PathBuf>,
    command: Vec<String>,
}

impl Request {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut request = Self::default();
        if args.next().as_deref() != Some("run") {
            return Err(USAGE.to_owned());
        }
        while let Some(flag) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{flag} needs a value\n{USAGE}"));
            match flag.as_str() {
                "--port" => {
                    let port = value()?;
                    request.port = Some(port.parse().map_err(|_| format!("{port} is not a port number"))?);
                }
                "--dir" => request.dir = Some(value()?.into()),
                "--migrations" => request.migrations = Some(value()?.into()),
                "--" => request.command = args.by_ref().collect(),
                _ => return Err(format!("unknown argument {flag}\n{USAGE}")),
            }
        }
        Ok(request)
    }
}

fn run(request: &Request) -> Result<ExitCode, String> {
    let temporary = || std::env::temp_dir().join(format!("wellspring-pg-{}", std::process::id()));
    let options = Options {
        dir: request.dir.clone().unwrap_or_else(temporary),
        port: request.port,
        durability: Durability::Throwaway,
        pg_bin_dir: pg_bin_dir(),
    };
    let cluster = Cluster::start(&options).map_err(|e| e.to_string())?;
    if let Some(note) = cluster.note() {
        eprintln!("pg: {note}");
    }
    if let Some(dir) = &request.migrations {
        migrate(&cluster, dir)?;
    }
    let url = cluster.owner_url(DATABASE);
    let Some((program, args)) = request.command.split_first() else {
        eprintln!(
            "DATABASE_URL={url}\nsuperuser: {}\nCtrl-C stops the server and removes it.",
            cluster.superuser_url()
        );
        loop {
            std::thread::park();
        }
    };
    let status = Command::new(program).args(args).env("DATABASE_URL", url).status();
    let status = status.map_err(|e| format!("cannot run {program}: {e}"))?;
    cluster.stop().map_err(|e| e.to_string())?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this tool is built before `shared`, whose config reads the environment"
)]
fn pg_bin_dir() -> Option<PathBuf> {
    std::env::var_os("PG_BIN_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

/// Applies every `*.sql` of `dir` in the order of names, each in a transaction of its own.
fn migrate(cluster: &Cluster, dir: &Path) -> Result<(), String> {
    let entries = std::fs::read_dir(dir).map_err(|e| format!("cannot read {}: {e}", dir.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    for file in files {
        let sql =
            std::fs::read_to_string(&file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
        cluster.execute(DATABASE, &sql).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(())
}
