//! Connections: opened when needed, kept while healthy, never shared between two transactions.

use std::{
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{DbError, DbResult, Patience};

/// A connection that has been idle for longer is asked whether it still lives before it is used.
const PING_AFTER: Duration = Duration::from_secs(60);
/// How long opening a connection, or rolling back an abandoned transaction, may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A handle on the database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
    patience: Patience,
}

struct Inner {
    options: Mutex<PgConnectOptions>,
    refused: AtomicBool,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    abandoned: Mutex<Vec<Abandoned>>,
}

struct Idle {
    conn: PgConnection,
    since: Instant,
}

struct Abandoned {
    conn: PgConnection,
    permit: OwnedSemaphorePermit,
}

impl Db {
    /// Prepares up to `connections` connections to `url`; none is opened yet.
    ///
    /// # Errors
    /// When the URL is not a PostgreSQL URL.
    pub fn new(url: &str, connections: usize) -> DbResult<Self> {
        let options = options(url)?;
        Ok(Self {
            inner: Arc::new(Inner {
                options: Mutex::new(options),
                refused: AtomicBool::new(false),
                slots: Arc::new(Semaphore::new(connections)),
                idle: Mutex::default(),
                abandoned: Mutex::default(),
            }),
            patience: Patience::Request,
        })
    }

    /// The same with other limits of time.
    #[must_use]
    pub fn patient(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Opens the first connection, so that the first request finds it warm.
    ///
    /// # Errors
    /// When the server cannot be reached or the role could bypass row-level security.
    pub async fn warm_up(&self) -> DbResult<()> {
        drop(self.lease().await?);
        Ok(())
    }

    /// Rolls back the transactions that ended without a commit.
    ///
    /// A handler that answers with an error just drops its transaction. Dropping cannot wait for the server, and in
    /// Lambda nothing may run after the response, so the request's outermost layer calls this before it answers:
    /// otherwise a frozen environment would hold row locks.
    pub async fn settle(&self) {
        while let Some(abandoned) = self.pop_abandoned() {
            if let Some(conn) = roll_back(abandoned.conn).await {
                lock(&self.inner.idle).push(Idle { conn, since: Instant::now() });
            }
        }
    }

    /// How transactions begin.
    pub(super) const fn beginning(&self) -> &'static str {
        self.patience.begin()
    }

    /// A connection outside any transaction.
    pub(super) async fn lease(&self) -> DbResult<Lease> {
        if let Some(Abandoned { conn, permit }) = self.pop_abandoned()
            && let Some(conn) = roll_back(conn).await
        {
            return Ok(self.wrap(conn, permit));
        }
        let permit = Arc::clone(&self.inner.slots)
            .acquire_owned()
            .await
            .map_err(|_| DbError::Unavailable("the connection limit is closed".to_owned()))?;
        while let Some(mut idle) = pop(&self.inner.idle) {
            if idle.since.elapsed() < PING_AFTER || idle.conn.ping().await.is_ok() {
                return Ok(self.wrap(idle.conn, permit));
            }
        }
        Ok(self.wrap(self.connect().await?, permit))
    }

    /// A connection opened for this call, for the retry after a connection was found dead.
    pub(super) async fn fresh_lease(&self, lost: Lease) -> DbResult<Lease> {
        let permit = lost.discard();
        lock(&self.inner.idle).clear();
        Ok(self.wrap(self.connect().await?, permit))
    }

    fn wrap(&self, conn: PgConnection, permit: OwnedSemaphorePermit) -> Lease {
        let inner = Arc::clone(&self.inner);
        Lease { held: Some(Held { conn, permit }), in_transaction: false, patience: self.patience, inner }
    }

    fn pop_abandoned(&self) -> Option<Abandoned> {
        pop(&self.inner.abandoned)
    }

    /// Connects from now on as another URL says; what is open stays.
    pub(crate) fn take_over(&self, url: &str) {
        if let Ok(options) = options(url) {
            *lock(&self.inner.options) = options;
        }
    }

    /// Whether the server has refused the login when it was last tried.
    pub(crate) fn was_refused(&self) -> bool {
        self.inner.refused.load(Ordering::Relaxed)
    }

    async fn connect(&self) -> DbResult<PgConnection> {
        let options = lock(&self.inner.options).clone();
        let opening = async {
            let mut conn = options.connect().await.map_err(DbError::from)?;
            refuse_unsafe_role(&mut conn).await?;
            Ok(conn)
        };
        let opened = tokio::time::timeout(CONNECT_LIMIT, opening)
            .await
            .unwrap_or_else(|_| Err(DbError::Unavailable("connecting took too long".to_owned())));
        let refused = opened.as_ref().is_err_and(DbError::is_refused_login);
        self.inner.refused.store(refused, Ordering::Relaxed);
        opened
    }
}

fn options(url: &str) -> DbResult<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| DbError::Defect("DATABASE_URL is not a PostgreSQL URL".to_owned()))?;
    Ok(options.application_name("wellspring").disable_statement_logging())
}

/// The second lock is worth nothing under a role that row-level security does not bind.
async fn refuse_unsafe_role(conn: &mut PgConnection) -> DbResult<()> {
    let unsafe_role = sqlx::query_scalar::<_, bool>(
        "select r.rolsuper or r.rolbypassrls
             or exists (select from pg_catalog.pg_class c
                         where c.relowner = r.oid and c.relkind in ('r', 'p')
                           and c.relnamespace = 'public'::regnamespace)
           from pg_catalog.pg_roles r where r.rolname = current_user",
    )
    .fetch_one(&mut *conn)
    .await?;
    if unsafe_role {
        return Err(DbError::UnsafeRole(
            "DATABASE_URL names a role that owns tables or bypasses row-level security; functions run as wellspring_app"
                .to_owned(),
        ));
    }
    Ok(())
}

async fn roll_back(mut conn: PgConnection) -> Option<PgConnection> {
    match tokio::time::timeout(CONNECT_LIMIT, conn.execute("rollback")).await {
        Ok(Ok(_)) => Some(conn),
        Ok(Err(_)) | Err(_) => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pop<T>(mutex: &Mutex<Vec<T>>) -> Option<T> {
    lock(mutex).pop()
}

/// One connection on loan. It returns by itself: to the idle ones, or to the abandoned ones when a transaction is open.
pub(super) struct Lease {
    held: Option<Held>,
    in_transaction: bool,
    patience: Patience,
    inner: Arc<Inner>,
}

struct Held {
    conn: PgConnection,
    permit: OwnedSemaphorePermit,
}

impl Lease {
    /// The connection itself.
    #[expect(clippy::expect_used, reason = "held is taken only by the methods that consume the lease")]
    pub(super) fn conn(&mut self) -> &mut PgConnection {
        &mut self.held.as_mut().expect("a lease holds a connection until it is consumed").conn
    }

    /// How this connection's transactions begin.
    pub(super) const fn begin(&self) -> &'static str {
        self.patience.begin()
    }

    /// Says whether a transaction is open, which decides what dropping the lease means.
    pub(super) const fn mark_in_transaction(&mut self, open: bool) {
        self.in_transaction = open;
    }

    #[expect(clippy::expect_used, reason = "held is taken only by the methods that consume the lease")]
    fn discard(mut self) -> OwnedSemaphorePermit {
        self.held.take().expect("a lease holds a connection until it is consumed").permit
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(Held { conn, permit }) = self.held.take() else { return };
        if self.in_transaction {
            lock(&self.inner.abandoned).push(Abandoned { conn, permit });
        } else {
            lock(&self.inner.idle).push(Idle { conn, since: Instant::now() });
        }
    }
}
