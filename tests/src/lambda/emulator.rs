//! Launching: from a binary to an environment, with the variables that Lambda sets and no others.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpListener, process::Command, time::Instant};

use super::{
    binaries::{MissingBinary, find_binary},
    environment::Environment,
    outcome::Fault,
    session::Session,
};

/// The account that owns every emulated resource; AWS gives it to nobody.
pub const ACCOUNT_ID: &str = "000000000000";

/// The region of every emulated resource.
pub const REGION: &str = "eu-central-1";

/// What the template would say about a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The function's name, as in `AWS_LAMBDA_FUNCTION_NAME`.
    pub name: String,
    /// The executable that Lambda would find as `bootstrap`.
    pub binary: PathBuf,
    /// The function's own variables; they win over those that the emulator sets.
    pub env: Vec<(String, String)>,
    /// The memory in MB. It is told to the process, not enforced.
    pub memory: u32,
    /// The longest an invocation may take; then the process is killed.
    pub timeout: Duration,
}

impl Function {
    /// A function with 256 MB and 30 s, the defaults of the deployed API functions.
    pub fn new(name: impl Into<String>, binary: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            binary: binary.into(),
            env: Vec::new(),
            memory: 256,
            timeout: Duration::from_secs(30),
        }
    }

    /// The function crate `name` of this workspace, from the directory that [`find_binary`] looks into.
    pub fn of_workspace(name: &str) -> Result<Self, MissingBinary> {
        Ok(Self::new(name, find_binary(name)?))
    }

    /// Adds one variable.
    #[must_use]
    pub fn with_env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Sets the timeout.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// The emulated Lambda service of one test. Environments outlive it; each has a Runtime API on a port of its own, so
/// they cannot disturb each other.
#[derive(Debug, Default)]
pub struct Emulator {
    launched: AtomicU64,
}

impl Emulator {
    /// Starts the service. There is nothing to wait for yet: the async signature leaves room for shared listeners.
    pub async fn start() -> Self {
        Self::default()
    }

    /// Starts a process and its Runtime API. Returns at once, with INIT still under way: that is what a cold start is
    /// measured from. Must be called inside a Tokio runtime.
    pub fn launch(&self, function: Function) -> Result<Environment, Fault> {
        let number = self.launched.fetch_add(1, Ordering::Relaxed);
        let name = function.name.clone();
        launch(function, number).map_err(|source| Fault::Launch { name, source })
    }
}

fn launch(function: Function, number: u64) -> io::Result<Environment> {
    let binary = fs::canonicalize(&function.binary)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", function.binary.display())))?;
    let task_root = binary.parent().unwrap_or(Path::new("/"));
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?.to_string();
    let listener = TcpListener::from_std(listener)?;
    let mut command = Command::new(&binary);
    command
        .env_clear()
        .envs(lambda_variables(&function, &address, task_root, number))
        .envs(function.env)
        .current_dir(task_root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{}", function.name);
    let session = Arc::new(Session::new(arn, function.timeout));
    let spawned = Instant::now();
    let child = command.spawn()?;
    Environment::new(child, listener, session, spawned)
}

/// The reserved variables of an OS-only runtime, and `PATH`. The credentials are no secret and open nothing.
fn lambda_variables(
    function: &Function,
    runtime_api: &str,
    task_root: &Path,
    number: u64,
) -> Vec<(&'static str, String)> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the process gets the PATH of this one, and nothing else of it"
    )]
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
    vec![
        ("PATH", path),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
        ("LAMBDA_TASK_ROOT", task_root.display().to_string()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("AWS_LAMBDA_RUNTIME_API", runtime_api.to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("2026/01/01/[$LATEST]{number:032x}")),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", "emulated".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "emulated".to_owned()),
        ("AWS_SESSION_TOKEN", "emulated".to_owned()),
    ]
}
