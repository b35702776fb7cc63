//! Starting and stopping the whole.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use shared::{
    app::App,
    config::{Config, ConfigProblems, Needs},
    db::{MigrateError, migrate},
    http::service,
    queue::{InProcess, Queue},
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{clients, docs, functions, workers};

/// Database connections of the whole process: requests, workers and schedules share them.
const CONNECTIONS: usize = 32;

/// What a stack needs to start.
#[derive(Debug)]
pub struct Options {
    /// The owner's database URL, for migrations.
    pub owner_url: String,
    /// Variables of the functions, with the runtime role's `DATABASE_URL`.
    pub values: HashMap<String, String>,
    /// Where to listen; port 0 takes any free one.
    pub address: SocketAddr,
    /// How often due rows are swept; the cloud does it every minute.
    pub sweep_every: Duration,
    /// How often the nightly schedule ticks; the cloud does it once a night.
    pub nightly_every: Duration,
}

/// Why a stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigProblems),
    /// The schema could not be brought up to date.
    #[error("migrating failed: {0}")]
    Migrate(#[from] MigrateError),
    /// The database refused the runtime role.
    #[error("the database cannot be used: {0}")]
    Database(#[from] shared::db::DbError),
    /// The port is taken or may not be used.
    #[error("cannot listen on {0}: {1}. Set PORT to another one, or stop what uses it")]
    Listen(SocketAddr, std::io::Error),
}

/// A running stack. Dropping it stops it.
pub struct Stack {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its parts.
    pub app: App,
    tasks: JoinSet<()>,
}

impl Stack {
    /// Migrates, mounts everything and starts to listen.
    ///
    /// # Errors
    /// When any part cannot start.
    pub async fn start(options: Options) -> Result<Self, StackError> {
        // First, so that a taken port is said before anything is changed.
        let listener = TcpListener::bind(options.address)
            .await
            .map_err(|error| StackError::Listen(options.address, error))?;
        let address = listener.local_addr().map_err(|error| StackError::Listen(options.address, error))?;
        migrate(&options.owner_url).await?;
        let (app, inboxes) = app(options.values)?;
        app.db.warm_up().await?;

        let mut tasks = JoinSet::new();
        for (queue, inbox) in inboxes {
            tasks.spawn(workers::serve_queue(app.clone(), queue, inbox));
        }
        tasks.spawn(workers::serve_schedule(app.clone(), "sweep", options.sweep_every, sweep::tick));
        tasks.spawn(workers::serve_schedule(app.clone(), "nightly", options.nightly_every, nightly::tick));
        let router = service(functions::all(), app.clone())
            .merge(docs::routes())
            .layer(axum::middleware::from_fn(clients::note_address));
        tasks.spawn(async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            if let Err(error) = axum::serve(listener, service).await {
                tracing::error!(%error, "the server ended");
            }
        });
        Ok(Self { address, app, tasks })
    }

    /// Stops everything. What is under way is left to its lease, as when a Lambda environment dies.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

type Inboxes = Vec<(shared::queue::QueueName, shared::queue::Inbox)>;

/// With queue URLs in the environment the real SQS (or an emulator) is used, and nothing is consumed here.
fn app(values: HashMap<String, String>) -> Result<(App, Inboxes), ConfigProblems> {
    let config = Config::from_values(values, Needs::Api)?;
    let uses_sqs = config.sqs.is_some();
    let app = App::new(config, CONNECTIONS)?;
    if uses_sqs {
        return Ok((app, Vec::new()));
    }
    let (channels, inboxes) = InProcess::open();
    Ok((app.with_queue(Queue::InProcess(channels)), inboxes.into()))
}
