//! `make run`: the whole product on this machine.

use std::{
    collections::HashMap,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use local::{Options, Stack, settings};
use private_postgres::{Cluster, DATABASE, Durability};
use shared::{config, db, logging};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    logging::init_terminal("info");
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("wellspring: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// `local`, `local migrate` or `local seed`.
fn run() -> Result<(), Failure> {
    let command = std::env::args().nth(1);
    let given = config::environment();
    let dir = PathBuf::from(".local");
    let database = Database::open(&given, &dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        match command.as_deref() {
            None => serve(&database, &given, &dir).await,
            Some("migrate") => {
                let applied = db::migrate(&database.owner_url).await?;
                say(&format!("{applied} migration(s) applied to {}", database.owner_url));
                Ok(())
            }
            Some(other) => Err(format!("unknown command `{other}`; there are: migrate, seed").into()),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
    if let Some(cluster) = database.cluster {
        cluster.stop()?;
    }
    outcome
}

/// The database: the one that `DATABASE_URL` names, else a private one under `.local/`.
struct Database {
    owner_url: String,
    /// Set on a server that asks for passwords.
    app_password: Option<String>,
    cluster: Option<Cluster>,
}

impl Database {
    fn open(given: &HashMap<String, String>, dir: &std::path::Path) -> Result<Self, Failure> {
        if let Some(url) = given.get("DATABASE_URL").filter(|url| !url.is_empty()) {
            let password = settings::kept_password(dir)?;
            return Ok(Self { owner_url: url.clone(), app_password: Some(password), cluster: None });
        }
        let port = number(given, "PGPORT")?;
        let cluster = Cluster::start(&private_postgres::Options {
            dir: std::path::absolute(dir.join("postgres"))?,
            port,
            durability: Durability::Keep,
            pg_bin_dir: given.get("PG_BIN_DIR").filter(|text| !text.is_empty()).map(PathBuf::from),
        })?;
        if let Some(note) = cluster.note() {
            say(note);
        }
        Ok(Self { owner_url: cluster.owner_url(DATABASE), app_password: None, cluster: Some(cluster) })
    }

    async fn app_url(&self) -> Result<String, Failure> {
        if let Some(password) = &self.app_password {
            db::allow_login(&self.owner_url, password).await?;
        }
        Ok(settings::as_role(&self.owner_url, "wellspring_app", self.app_password.as_deref())?)
    }
}

async fn serve(
    database: &Database,
    given: &HashMap<String, String>,
    dir: &std::path::Path,
) -> Result<(), Failure> {
    let port: u16 = number(given, "PORT")?.unwrap_or(3000);
    db::migrate(&database.owner_url).await?;
    let values = settings::values(dir, &database.app_url().await?, port, given)?;
    let stack = Stack::start(Options {
        owner_url: database.owner_url.clone(),
        values,
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        sweep_every: Duration::from_secs(1),
        nightly_every: Duration::from_secs(60),
    })
    .await?;
    say(&format!("Wellspring listens on http://localhost:{port}\nDATABASE_URL={}", database.owner_url));
    tokio::signal::ctrl_c().await?;
    say("stopping");
    stack.stop().await;
    Ok(())
}

fn number(given: &HashMap<String, String>, name: &str) -> Result<Option<u16>, Failure> {
    match given.get(name).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| format!("{name}: `{text}` is not a port").into()),
    }
}

fn say(text: &str) {
    drop(writeln!(io::stdout(), "{text}"));
}
