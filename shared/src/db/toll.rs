//! Taking tokens, and what the counters answered.

use std::time::Duration;

use sqlx::{Executor, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{Db, DbError, DbResult, SystemTx, TenantTx};
use crate::{
    accounts::{self, Counted, Guard, NETWORK_LIMIT, PAIR_LIMIT, RATION, Target},
    ids::TenantId,
    limits::{Bucket, Class, Reading, Toll},
};

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

/// Counts a guess, if its limits allow it.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn take_guess(tx: &mut SystemTx, guard: &Guard) -> DbResult<Counted> {
    // Not a checked macro, here and below: checking asks for the plan, and the schema's owner may not execute what only the
    // runtime may.
    let (pairs, rations, knowns) = columns(guard);
    let row = sqlx::query(
        "select * from take_guess($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(&guard.network[..])
    .bind(&guard.asked.account[..])
    .bind(&guard.asked.pair[..])
    .bind(guard.asked.ration())
    .bind(guard.whole.as_ref().map(|whole| &whole.pair[..]))
    .bind(guard.whole.as_ref().map(Target::ration))
    .bind(guard.known)
    .bind(pairs)
    .bind(rations)
    .bind(knowns)
    .bind(PAIR_LIMIT)
    .bind(NETWORK_LIMIT)
    .bind(seconds(accounts::WINDOW))
    .bind(RATION.0)
    .bind(seconds(RATION.1))
    .fetch_one(tx.conn())
    .await?;
    Ok(Counted {
        wait: row.try_get("wait")?,
        failures: row.try_get::<Option<i32>, _>("failures")?.unwrap_or_default(),
        spent: row.try_get("spent")?,
        admitted: row.try_get("admitted")?,
    })
}

/// Forgets what failed before a guess that was right; or gives only the accounts that it matched their try back.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn give_guess_back(conn: &mut PgConnection, guard: &Guard, forgive: bool) -> DbResult<()> {
    let (pairs, rations, knowns) = columns(guard);
    sqlx::query("select give_guess_back($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
        .bind(&guard.network[..])
        .bind(&guard.asked.account[..])
        .bind(&guard.asked.pair[..])
        .bind(guard.asked.ration())
        .bind(guard.whole.as_ref().map(|whole| &whole.pair[..]))
        .bind(guard.whole.as_ref().map(Target::ration))
        .bind(guard.known)
        .bind(pairs)
        .bind(rations)
        .bind(knowns)
        .bind(forgive)
        .bind(RATION.1.as_secs_f64() / f64::from(RATION.0))
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether a user knows one of the networks.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn knows_network(
    tx: &mut SystemTx,
    tenant: TenantId,
    user: Uuid,
    networks: &[Vec<u8>],
) -> DbResult<bool> {
    let known = sqlx::query_scalar("select knows_network($1, $2, $3)")
        .bind(tenant.get())
        .bind(user)
        .bind(networks)
        .fetch_one(tx.conn())
        .await?;
    Ok(known)
}

/// The accounts of a guess, as columns.
fn columns(guard: &Guard) -> (Vec<Vec<u8>>, Vec<String>, Vec<bool>) {
    let accounts = guard.accounts.iter();
    accounts.map(|(_, target, known)| (target.pair.to_vec(), target.ration(), *known)).collect()
}

fn seconds(span: Duration) -> i32 {
    i32::try_from(span.as_secs()).unwrap_or(i32::MAX)
}
