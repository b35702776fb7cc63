//! The end of a business: every row that it has, counted, removed, and counted again.
//!
//! Which tables there are, and in which order they can be emptied, is asked of the database's catalogue, so that a table of
//! tomorrow is not forgotten. The runtime may not delete from the ledger or the audit log; two functions of the schema may,
//! for the tenant that is open: one removes all at once, the other a portion of one table.

use serde::Serialize;
use sqlx::Executor;
use utoipa::ToSchema;

use crate::{
    db::{DbResult, TenantTx},
    queue::{Hint, HintKind},
};

/// A business with no more rows than this ends within the request.
const AT_ONCE: i64 = 20_000;

/// How many rows a table has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableCount {
    /// The table.
    pub table: String,
    /// Its rows of this business; null when they are too many to be counted while somebody waits.
    pub rows: Option<i64>,
}

/// A table, or a partition of one, that has to be emptied.
#[derive(Clone, Debug)]
pub struct ErasedTable {
    /// The table's name.
    pub name: String,
    /// The relation that holds the rows.
    relation: String,
}

/// What a portion did.
#[derive(Clone, Debug)]
pub struct ErasedRows {
    /// How many rows it removed.
    pub removed: i64,
    /// The key of the last row that it looked at; none when there were no more.
    pub reached: Option<Vec<String>>,
}

/// The tables in which the business has any row. Counting ends after five seconds: the largest tables, which come last, are then
/// named without a number.
///
/// # Errors
/// When the database refuses.
pub async fn count_rows(tx: &mut TenantTx) -> DbResult<Vec<TableCount>> {
    tx.conn().execute("savepoint counting; set local statement_timeout = 5000").await?;
    let counts = sqlx::query_as!(
        TableCount,
        r#"select table_name as "table!", row_count as "rows?" from count_tenant_rows($1)
            where row_count is distinct from 0 order by table_name"#,
        tx.tenant(),
    )
    .fetch_all(tx.conn())
    .await?;
    tx.conn().execute("rollback to savepoint counting").await?;
    Ok(counts)
}

/// Whether so many rows can be removed while somebody waits.
#[must_use]
pub fn fits_a_request(counts: &[TableCount]) -> bool {
    counts.iter().map(|count| count.rows).sum::<Option<i64>>().is_some_and(|rows| rows <= AT_ONCE)
}

/// Removes the business of the transaction and everything that it has.
///
/// # Errors
/// When the database refuses.
pub async fn erase_tenant(tx: &mut TenantTx) -> DbResult<()> {
    // Not the checked macro: nobody but the runtime may call it, and the statement would be explained as the owner.
    sqlx::query("select erase_tenant($1)").bind(tx.tenant()).execute(tx.conn()).await?;
    Ok(())
}

/// Ends the business without removing anything yet: once this is committed no session, key, token, receiver, worker or schedule finds
/// it. A worker is told to remove it.
///
/// # Errors
/// When the database refuses.
pub async fn end_tenant(tx: &mut TenantTx) -> DbResult<()> {
    sqlx::query!("update tenants set status = 'deleting', lease_until = null where id = $1", tx.tenant())
        .execute(tx.conn())
        .await?;
    tx.hint(Hint::now(tx.tenant_id(), HintKind::Tenant, tx.tenant()));
    Ok(())
}

/// Takes the removal on, unless another worker is at it. The lease is longer than a worker may live.
///
/// # Errors
/// When the database refuses.
pub async fn claim_ended(tx: &mut TenantTx) -> DbResult<bool> {
    let claimed = sqlx::query!(
        "update tenants set lease_until = now() + interval '75 seconds'
          where id = $1 and status = 'deleting' and (lease_until is null or lease_until < now())",
        tx.tenant(),
    )
    .execute(tx.conn())
    .await?;
    Ok(claimed.rows_affected() == 1)
}

/// Lets go of the removal and has it continued.
///
/// # Errors
/// When the database refuses.
pub async fn release_ended(tx: &mut TenantTx) -> DbResult<()> {
    sqlx::query!("update tenants set lease_until = null where id = $1", tx.tenant())
        .execute(tx.conn())
        .await?;
    tx.hint(Hint::now(tx.tenant_id(), HintKind::Tenant, tx.tenant()));
    Ok(())
}

/// The tables, those that refer before those that are referred to.
///
/// # Errors
/// When the database refuses.
pub async fn erasure_order(tx: &mut TenantTx) -> DbResult<Vec<ErasedTable>> {
    let tables = sqlx::query_as!(
        ErasedTable,
        r#"select table_name as "name!", relation as "relation!" from erasure_order() order by place"#,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(tables)
}

/// Removes up to `most` rows of a table that come after a key, and notes how many.
///
/// # Errors
/// When the database refuses.
pub async fn erase_rows(
    tx: &mut TenantTx,
    table: &ErasedTable,
    after: &[String],
    most: i32,
) -> DbResult<ErasedRows> {
    // Not the checked macro, as above.
    let (removed, reached): (i64, Option<Vec<String>>) =
        sqlx::query_as("select removed, reached from erase_rows($1, $2, $3, $4)")
            .bind(tx.tenant())
            .bind(&table.relation)
            .bind(after)
            .bind(most)
            .fetch_one(tx.conn())
            .await?;
    if removed > 0 {
        sqlx::query!(
            "update tenants set erased = jsonb_set(erased, array[$2::text], to_jsonb(coalesce((erased ->> $2::text)::bigint, 0) + $3))
              where id = $1",
            tx.tenant(),
            table.name,
            removed,
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(ErasedRows { removed, reached })
}

/// How many rows have been removed, by table.
///
/// # Errors
/// When the database refuses.
pub async fn erased_rows(tx: &mut TenantTx) -> DbResult<serde_json::Value> {
    let erased = sqlx::query_scalar!("select erased from tenants where id = $1", tx.tenant())
        .fetch_one(tx.conn())
        .await?;
    Ok(erased)
}
