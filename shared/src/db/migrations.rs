//! Schema migrations: embedded in the binary, applied by the owner role, each in its own transaction.

use std::str::FromStr;

use sqlx::{
    ConnectOptions, Connection, Executor,
    migrate::{Migrate, Migrator},
    postgres::PgConnectOptions,
};

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Migrating failed; the database is at the last migration that succeeded.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The owner's connection failed.
    #[error("cannot connect as the owner: {0}")]
    Connect(#[from] sqlx::Error),
    /// A migration failed, or an applied one was edited.
    #[error(transparent)]
    Apply(#[from] sqlx::migrate::MigrateError),
}

/// Applies what is missing and returns how many migrations that were. An advisory lock keeps two runs apart.
///
/// # Errors
/// When the owner cannot connect or a migration fails.
pub async fn migrate(owner_url: &str) -> Result<usize, MigrateError> {
    let mut conn = PgConnectOptions::from_str(owner_url)?.disable_statement_logging().connect().await?;
    let before = applied(&mut conn).await?;
    MIGRATOR.run_direct(&mut conn).await?;
    let after = applied(&mut conn).await?;
    conn.close().await?;
    Ok(after.saturating_sub(before))
}

/// How many embedded migrations the database lacks.
///
/// # Errors
/// When the owner cannot connect.
pub async fn pending(owner_url: &str) -> Result<usize, MigrateError> {
    let mut conn = PgConnectOptions::from_str(owner_url)?.disable_statement_logging().connect().await?;
    let applied = applied(&mut conn).await?;
    Ok(MIGRATOR.iter().count().saturating_sub(applied))
}

async fn applied(conn: &mut sqlx::PgConnection) -> Result<usize, MigrateError> {
    conn.ensure_migrations_table().await?;
    Ok(conn.list_applied_migrations().await?.len())
}

/// Gives the runtime role its password, on a server that asks for one.
///
/// # Errors
/// When the owner cannot connect or may not change the role.
pub async fn allow_login(owner_url: &str, password: &str) -> Result<(), MigrateError> {
    let mut conn = PgConnectOptions::from_str(owner_url)?.disable_statement_logging().connect().await?;
    // `alter role` takes no parameters; quote_literal makes the statement safe.
    let statement: String =
        sqlx::query_scalar("select format('alter role wellspring_app password %L', $1::text)")
            .bind(password)
            .fetch_one(&mut conn)
            .await?;
    conn.execute(sqlx::raw_sql(&statement)).await?;
    conn.close().await?;
    Ok(())
}
