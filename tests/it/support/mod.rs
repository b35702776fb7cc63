//! The harness: one stack for all tests, a tenant for each.

pub mod browser;
mod client;
mod redis;
pub mod tenant;
mod wait;

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::OnceLock,
    time::Duration,
};

pub use client::{Answer, Client};
use local::{Options, Stack, settings};
use private_postgres::{Cluster, DATABASE, Durability};
pub use redis::Redis;
use shared::crypto::generate_entry;
pub use tenant::Tenant;
pub use wait::eventually;

/// The running stack and the database behind it.
pub struct Running {
    /// `http://127.0.0.1:<port>`
    pub base: String,
    /// Database URL of the owner, whom row-level security binds too.
    pub owner_url: String,
    /// Database URL of the runtime role, for the binaries that tests start.
    pub app_url: String,
    /// The variables that the functions were given.
    pub values: HashMap<String, String>,
    /// Dropped only when the process ends; the cluster's supervisor then stops the server.
    cluster: Cluster,
}

impl Running {
    /// Another database with the schema, for tests that must be alone with it.
    pub async fn create_database(&self, name: &str) {
        // Roles belong to the whole server, so two migrations at once would meet.
        static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _turn = ONE_AT_A_TIME.lock().await;
        self.cluster.create_database(name).expect("a database is made");
        shared::db::migrate(&self.cluster.owner_url(name)).await.expect("the schema is made");
    }

    /// The runtime role's URL of a database.
    pub fn app_url_of(&self, database: &str) -> String {
        settings::as_role(&self.cluster.owner_url(database), "wellspring_app", None)
            .expect("the owner's URL is a URL")
    }

    /// Another stack, on a database of [`Self::create_database`].
    pub fn serve(&self, database: &str) -> Client {
        self.serve_with(database, &[])
    }

    /// The same with some variables of its own.
    pub fn serve_with(&self, database: &str, own: &[(&str, &str)]) -> Client {
        let mut values = self.values.clone();
        values.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        values.insert("DATABASE_URL".to_owned(), self.app_url_of(database));
        Client::anonymous().on(&serve(self.cluster.owner_url(database), values).for_good())
    }

    /// Whether SQL that asserts something runs without an error.
    pub fn holds(&self, database: &str, sql: &str) -> bool {
        self.cluster.execute(database, sql).is_ok()
    }

    /// Runs SQL as the schema's owner.
    pub fn execute(&self, database: &str, sql: &str) {
        self.cluster.execute(database, sql).expect("the statement runs");
    }
}

/// The stack that all tests share, started by whichever comes first.
pub fn stack() -> &'static Running {
    static RUNNING: OnceLock<Running> = OnceLock::new();
    RUNNING.get_or_init(start)
}

fn start() -> Running {
    shared::logging::init_terminal("error");
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("it-{}", std::process::id()));
    let cluster = Cluster::start(&private_postgres::Options {
        dir: dir.join("postgres"),
        port: None,
        durability: Durability::Throwaway,
        pg_bin_dir: None,
    })
    .expect("a private PostgreSQL starts");
    let owner_url = cluster.owner_url(DATABASE);
    let app_url = settings::as_role(&owner_url, "wellspring_app", None).expect("the owner's URL is a URL");
    // The public address must be known before the port is; signatures of some providers cover it.
    // Two keys are live, as they are while one follows the other.
    let signing =
        ["newer", "older"].map(|kid| generate_entry(kid).expect("a key is made").expose().to_owned());
    let given = HashMap::from([("JWT_SIGNING_KEYS".to_owned(), signing.join(","))]);
    let values = settings::values(&dir, &app_url, 3000, &given).expect("keys are made");
    let base = serve(owner_url.clone(), values.clone()).for_good();
    Running { base, owner_url, app_url, values, cluster }
}

/// A stack that runs until this is dropped.
pub struct Served {
    /// Where it listens.
    pub base: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Served {
    /// Lets it run until the process ends.
    fn for_good(mut self) -> String {
        std::mem::forget(self.stop.take());
        self.base.clone()
    }
}

/// Starts a stack on a database that it migrates.
pub fn serve(owner_url: String, values: HashMap<String, String>) -> Served {
    let (given, listening) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let options = Options {
        owner_url,
        values,
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        sweep_every: Duration::from_millis(500),
        nightly_every: Duration::from_secs(3600),
    };
    // Each test has a runtime of its own, which ends with it; the stack needs one that stays.
    std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(async {
            let stack = Stack::start(options).await.expect("the stack starts");
            given.send(stack.address).expect("the harness waits for the address");
            // An answer or none: both say that it is over.
            let _ = stopped.await;
            stack.stop().await;
        });
    });
    let address = listening.recv().expect("the stack listens");
    Served { base: format!("http://{address}"), stop: Some(stop) }
}
