//! One private server, from start to stop.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    OWNER, SUPERUSER, StartError,
    account::Account,
    error::Doing,
    find::{self, Binaries},
    pidfile::PidFile,
    place::Place,
    setup,
    supervisor::Supervisor,
    wire,
};

/// How long a start may take: a server that crashed replays its log first.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often a free port is looked for, should another process take it between the look and the start.
const ATTEMPTS: u32 = 5;

/// Whether anybody will miss the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The data survives crashes and is there at the next start.
    Keep,
    /// The data is for one run: nothing is forced to disk, and the folder is removed at the end.
    Throwaway,
}

/// What kind of cluster to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder for the cluster's files; it is created, and must hold nothing else.
    pub dir: PathBuf,
    /// The port on 127.0.0.1; `None` takes any free one.
    pub port: Option<u16>,
    /// Whether to keep the data.
    pub durability: Durability,
    /// The folder of the server binaries; `None` takes the newest installed ones.
    pub pg_bin_dir: Option<PathBuf>,
}

/// A running private server. It is stopped by [`Cluster::stop`], by dropping this, and by our death.
#[derive(Debug)]
pub struct Cluster {
    port: u16,
    place: Place,
    /// `None` if another process started the server: then it is that one's to stop.
    supervisor: Option<Supervisor>,
}

impl Cluster {
    /// Starts the cluster in `options.dir`, making it first if it is not there. If another process already
    /// runs it, that server is used, on its port, and left running at the end.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        let account = Account::for_server()?;
        let place = Place::prepare(&options.dir, &account)?;
        let _lock = place.lock()?;
        if let Some(port) = running_port(&place.data())? {
            return Ok(Self { port, place, supervisor: None });
        }
        let data = place.data();
        let made_by = place.made_by();
        let binaries =
            find::find(options.pg_bin_dir.as_deref(), made_by.map(|version| (data.as_path(), version)))?;
        if let Some(port) = options.port {
            claim(port)?;
        }
        if made_by.is_none() {
            setup::create_data(&place, &binaries, &account, options.durability)?;
        }
        let started = start_server(options, &place, &account, &binaries);
        if started.is_err() && options.durability == Durability::Throwaway {
            let _ = std::fs::remove_dir_all(&place.dir);
        }
        let (port, supervisor) = started?;
        Ok(Self { port, place, supervisor: Some(supervisor) })
    }

    /// Stops the server, unless another process started it, and waits until it is gone.
    pub fn stop(mut self) -> Result<(), StartError> {
        self.supervisor.as_mut().map_or(Ok(()), Supervisor::stop)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the cluster's files.
    pub fn dir(&self) -> &Path {
        &self.place.dir
    }

    /// Whether another process started this server and will stop it.
    pub fn is_shared(&self) -> bool {
        self.supervisor.is_none()
    }

    /// What the user should be told: that the data does not lie where it was asked to, and why.
    pub fn note(&self) -> Option<&str> {
        self.place.moved.as_deref()
    }

    /// The address of `database` for the role that owns it.
    pub fn owner_url(&self, database: &str) -> String {
        self.url(OWNER, database)
    }

    /// The address of the maintenance database for the superuser.
    pub fn superuser_url(&self) -> String {
        self.url(SUPERUSER, "postgres")
    }

    fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database that belongs to the owner role.
    pub fn create_database(&self, name: &str) -> Result<(), StartError> {
        let sql = format!("create database \"{}\" owner {OWNER}", name.replace('"', "\"\""));
        wire::execute(self.port, SUPERUSER, "postgres", &sql).doing(|| format!("create database {name}"))
    }

    /// Runs statements in `database` as the role that owns it, in one transaction.
    pub fn execute(&self, database: &str, sql: &str) -> Result<(), StartError> {
        wire::execute(self.port, OWNER, database, sql).doing(|| format!("run SQL in {database}"))
    }
}

/// The port of a server that already runs on `data`; a server that is just stopping or starting is waited
/// for. What a dead server left behind is cleared away, since PostgreSQL itself would take any process that
/// has got its number since for that server.
fn running_port(data: &Path) -> Result<Option<u16>, StartError> {
    let deadline = Instant::now() + PATIENCE;
    while let Some(file) = PidFile::read(data) {
        if !file.is_alive(data) {
            let path = data.join("postmaster.pid");
            std::fs::remove_file(&path).doing(|| format!("remove the stale {}", path.display()))?;
            return Ok(None);
        }
        if file.ready {
            return Ok(Some(file.port));
        }
        if Instant::now() > deadline {
            return Err(StartError::Step {
                what: format!("waiting for the server that already runs on {}", data.display()),
                output: format!("process {} is neither ready nor gone", file.pid),
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(None)
}

fn start_server(
    options: &Options,
    place: &Place,
    account: &Account,
    binaries: &Binaries,
) -> Result<(u16, Supervisor), StartError> {
    let server = binaries.dir.join("postgres");
    let mut attempt = 1;
    loop {
        let port = options.port.map_or_else(free_port, Ok)?;
        let args = server_args(&place.data(), port, options.durability);
        let mut supervisor = Supervisor::start(place, account, options.durability, &server, &args)?;
        match wait_until_ready(place, port, &mut supervisor) {
            Ok(()) => return Ok((port, supervisor)),
            Err(StartError::PortInUse { .. }) if options.port.is_none() && attempt < ATTEMPTS => {
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

fn server_args(data: &Path, port: u16, durability: Durability) -> Vec<String> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=200",
        "shared_buffers=256MB",
        "timezone=UTC",
        "log_timezone=UTC",
    ];
    if durability == Durability::Throwaway {
        settings.extend(["fsync=off", "full_page_writes=off", "synchronous_commit=off"]);
    }
    let mut args =
        vec!["-D".to_owned(), data.to_string_lossy().into_owned(), "-p".to_owned(), port.to_string()];
    args.extend(settings.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]));
    args
}

fn wait_until_ready(place: &Place, port: u16, supervisor: &mut Supervisor) -> Result<(), StartError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if PidFile::read(&place.data()).is_some_and(|file| file.ready && file.port == port) {
            return Ok(());
        }
        let ended = supervisor.has_ended();
        if ended || Instant::now() > deadline {
            let log = std::fs::read_to_string(place.log()).unwrap_or_default();
            if log.contains("Address already in use") {
                return Err(StartError::PortInUse { port });
            }
            let what = if ended { "starting the server" } else { "waiting until the server is ready" };
            return Err(StartError::Step { what: what.to_owned(), output: log.trim().to_owned() });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn free_port() -> Result<u16, StartError> {
    let look = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr();
    look().map(|address| address.port()).doing(|| "find a free port".to_owned())
}

/// Checks that a requested port is free, before a data directory is made for nothing.
fn claim(port: u16) -> Result<(), StartError> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => Err(StartError::PortInUse { port }),
        Err(source) => Err(StartError::Io { what: format!("use port {port}"), source }),
    }
}
