//! `make run`: the whole product on this machine.

use std::{
    collections::HashMap,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use local::{Options, Stack, banner, settings};
use private_postgres::{Cluster, DATABASE, Durability};
use shared::{accounts, app::App, config, db, demo, logging};

/// Where the private PostgreSQL listens unless `PGPORT` says otherwise.
const PRIVATE_PORT: u16 = 54329;

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

/// `local`, `local migrate`, `local seed`, `local tenant NAME STATUS REASON TRIAL_ENDS_AT`, or `local sign-stripe SECRET BODY` for the printed lines.
fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["sign-stripe", secret, body] = words.as_slice() {
        say(&banner::sign_stripe(secret, body));
        return Ok(());
    }
    let command = words.first().copied();
    let given = config::environment();
    let dir = PathBuf::from(".local");
    let database = Database::open(&given, &dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        match command {
            None => serve(&database, &given, &dir).await,
            Some("seed") => {
                db::migrate(&database.owner_url).await?;
                let app = App::new(configure(&database, &given, &dir, port(&given)?).await?, 1)?;
                let number = seed_number(&given)?;
                demo::seed(&app.db, app.secret_box(), number).await?;
                say(&format!("demo data set {number} is there"));
                Ok(())
            }
            Some("migrate") => {
                let applied = db::migrate(&database.owner_url).await?;
                say(&format!("{applied} migration(s) applied to {}", database.owner_url));
                Ok(())
            }
            Some("tenant") => {
                let order = accounts::read_standing_order(order(&words))?;
                let report = accounts::carry_out_standing_order(&database.owner_url, &order).await?;
                say(&serde_json::to_string_pretty(&report)?);
                Ok(())
            }
            Some(other) => Err(format!("unknown command `{other}`; there are: migrate, seed, tenant").into()),
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
        let port = Some(number(given, "PGPORT")?.unwrap_or(PRIVATE_PORT));
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
    let port = port(given)?;
    db::migrate(&database.owner_url).await?;
    let stack = Stack::start(Options {
        owner_url: database.owner_url.clone(),
        values: values(database, given, dir, port).await?,
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        sweep_every: Duration::from_secs(1),
        nightly_every: Duration::from_secs(60),
    })
    .await?;
    let number = seed_number(given)?;
    if number > 0 {
        demo::seed(&stack.app.db, stack.app.secret_box(), number).await?;
        let [tenant, _] = demo::tenants(number);
        let signer = std::env::current_exe()?;
        say(&banner::lines(&stack.app.config.public_base_url, &tenant, &signer.display().to_string()));
    }
    say(&format!(
        "{}\nDATABASE_URL={}\nCtrl-C stops it.",
        banner::addresses(&stack.app.config.public_base_url),
        database.owner_url
    ));
    tokio::signal::ctrl_c().await?;
    say("stopping");
    stack.stop().await;
    Ok(())
}

async fn values(
    database: &Database,
    given: &HashMap<String, String>,
    dir: &std::path::Path,
    port: u16,
) -> Result<HashMap<String, String>, Failure> {
    Ok(settings::values(dir, &database.app_url().await?, port, given)?)
}

async fn configure(
    database: &Database,
    given: &HashMap<String, String>,
    dir: &std::path::Path,
    port: u16,
) -> Result<config::Config, Failure> {
    Ok(config::Config::from_values(values(database, given, dir, port).await?, config::Needs::Api)?)
}

/// The order that the words behind `tenant` give; an empty word says nothing.
fn order(words: &[&str]) -> serde_json::Value {
    let names = ["tenant", "status", "reason", "trialEndsAt"];
    let said = names.iter().zip(words.iter().skip(1)).filter(|(_, word)| !word.is_empty());
    said.map(|(name, word)| ((*name).to_owned(), (*word).into())).collect::<serde_json::Map<_, _>>().into()
}

fn port(given: &HashMap<String, String>) -> Result<u16, Failure> {
    Ok(number(given, "PORT")?.unwrap_or(3000))
}

/// The number of the demo data set; 0 for none.
fn seed_number(given: &HashMap<String, String>) -> Result<u64, Failure> {
    match given.get("SEED").filter(|text| !text.is_empty()) {
        None => Ok(1),
        Some(text) => text.parse().map_err(|_| format!("SEED: `{text}` is not a number").into()),
    }
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
