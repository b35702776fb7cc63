//! The end of a business: every row that it has, counted, removed, and counted again.
//!
//! Which tables there are is asked of the database's catalogue, so that a table of tomorrow is not forgotten. The runtime
//! may not delete from the ledger or the audit log; one function of the schema may, for the tenant that is open, and for
//! all its tables at once.

use serde::Serialize;
use utoipa::ToSchema;

use crate::db::{DbResult, TenantTx};

/// How many rows a table has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableCount {
    /// The table.
    pub table: String,
    /// Its rows of this business.
    pub rows: i64,
}

/// The tables in which the business has any row.
///
/// # Errors
/// When the database refuses.
pub async fn count_rows(tx: &mut TenantTx) -> DbResult<Vec<TableCount>> {
    let counts = sqlx::query_as!(
        TableCount,
        r#"select table_name as "table!", row_count as "rows!" from count_tenant_rows($1) where row_count > 0
            order by table_name"#,
        tx.tenant(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(counts)
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
