//! Taking tokens, and what the counters answered.

use std::time::Duration;

use sqlx::{Executor, Row, postgres::PgRow};

use super::{Db, DbError, DbResult, SystemTx, TenantTx};
use crate::limits::{Bucket, Class, Reading, Toll};

/// The row of `take_tokens`; another statement's row is none.
pub(super) fn reading(class: Class, row: &PgRow) -> Option<Reading> {
    Some(Reading {
        class,
        of_caller: row.try_get("of_caller").ok()?,
        quota: row.try_get("quota").ok()?,
        left: row.try_get("tokens_left").ok()?,
        full_in: row.try_get("full_in").ok()?,
        wait: row.try_get("wait").ok()?,
    })
}

impl Db {
    /// Takes a token of one bucket, in a round trip of its own.
    ///
    /// # Errors
    /// When the database refuses.
    pub(crate) async fn take_token(&self, class: Class, bucket: &Bucket) -> DbResult<Reading> {
        let mut lease = self.lease().await?;
        let statement = taking(bucket);
        let row = match lease.conn().fetch_one(sqlx::raw_sql(&statement)).await {
            Ok(row) => row,
            Err(error) => {
                lease = self.replace(lease, error.into()).await?;
                lease.conn().fetch_one(sqlx::raw_sql(&statement)).await?
            }
        };
        taken(class, &row)
    }
}

/// The statement that takes a token of one bucket: ids, hex digits and numbers only.
fn taking(Bucket { key, quota, span }: &Bucket) -> String {
    format!("select true as of_caller, * from take_token('{key}', {quota}, {})", span.as_secs())
}

fn taken(class: Class, row: &PgRow) -> DbResult<Reading> {
    reading(class, row).ok_or_else(|| DbError::Defect("take_token answered no reading".to_owned()))
}

/// Takes a token of one bucket in a transaction that is open already.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn take_one_within(tx: &mut TenantTx, class: Class, bucket: &Bucket) -> DbResult<Reading> {
    let row = tx.conn().fetch_one(sqlx::raw_sql(&taking(bucket))).await?;
    taken(class, &row)
}

/// Takes a toll in a transaction that is open already: for the moment in which Redis turns out to be away.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn take_within(tx: &mut TenantTx, toll: &Toll) -> DbResult<Option<Reading>> {
    let rows = tx.conn().fetch_all(sqlx::raw_sql(&toll.sql())).await?;
    Ok(rows.first().and_then(|row| reading(toll.class(), row)))
}

/// Takes a token unless the account of `email` knows one of the networks; answers how long to wait when there is none.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn take_unless_known(
    tx: &mut SystemTx,
    bucket: &Bucket,
    email: &str,
    networks: &[Vec<u8>],
) -> DbResult<Option<Duration>> {
    // Not a checked macro: checking asks for the plan, and the schema's owner may not execute what only the runtime may.
    // The condition is about no row, so it is asked once and before anything is taken.
    let wait: Option<Option<f64>> =
        sqlx::query_scalar("select wait from take_token($3, $4, $5) where not knows_network($1, $2)")
            .bind(email)
            .bind(networks)
            .bind(&bucket.key)
            .bind(bucket.quota)
            .bind(i32::try_from(bucket.span.as_secs()).unwrap_or(i32::MAX))
            .fetch_optional(tx.conn())
            .await?;
    Ok(wait.flatten().map(Duration::from_secs_f64))
}

/// Whether the account of `email` knows one of the networks.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn knows_network(tx: &mut SystemTx, email: &str, networks: &[Vec<u8>]) -> DbResult<bool> {
    let known = sqlx::query_scalar("select knows_network($1, $2)")
        .bind(email)
        .bind(networks)
        .fetch_one(tx.conn())
        .await?;
    Ok(known)
}
