//! Trying the database's wall from the runtime's side, table by table. Used by the tests of tenancy.

use std::str::FromStr;

use sqlx::{ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

/// What breaks a law of the schema, seen from any connection.
///
/// # Errors
/// When the database cannot be asked.
pub async fn check(url: &str) -> Result<Vec<String>, sqlx::Error> {
    let mut conn = PgConnectOptions::from_str(url)?.connect().await?;
    let found = super::catalogue::violations(&mut conn).await;
    conn.close().await?;
    found
}

/// What the runtime role can see or change of others when its statements forget the tenant. Each table is read and
/// written without a predicate: within `tenant`, and with no tenant set at all.
///
/// # Errors
/// When the database cannot be asked, or `neighbour` has no rows that could leak.
pub async fn leaks(app_url: &str, tenant: Uuid, neighbour: Uuid) -> Result<Vec<String>, sqlx::Error> {
    let mut conn = PgConnectOptions::from_str(app_url)?.connect().await?;
    let mut found = Vec::new();
    let mut could_leak = 0;
    for table in tables(&mut conn).await? {
        could_leak += rows_of(&mut conn, &table, Some(neighbour), neighbour).await?;
        for scope in [Some(tenant), None] {
            let seen = rows_of(&mut conn, &table, scope, neighbour).await?;
            if seen > 0 {
                found.push(format!(
                    "{}: {seen} row(s) of another tenant are visible with {scope:?} set",
                    table.name
                ));
            }
        }
        if changes_others(&mut conn, &table, tenant).await? {
            found.push(format!("{}: rows of another tenant can be changed", table.name));
        }
    }
    conn.close().await?;
    if could_leak == 0 {
        return Err(sqlx::Error::RowNotFound);
    }
    Ok(found)
}

struct Table {
    name: String,
    column: String,
    may_update: bool,
}

async fn tables(conn: &mut PgConnection) -> Result<Vec<Table>, sqlx::Error> {
    let rows: Vec<(String, String, bool)> = sqlx::query_as(
        "select c.relname::text, case c.relname when 'tenants' then 'id' else 'tenant_id' end,
                has_table_privilege(c.oid, 'update')
           from pg_class c
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relrowsecurity
            and has_table_privilege(c.oid, 'select')
          order by 1",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(name, column, may_update)| Table { name, column, may_update }).collect())
}

/// How many rows of `owner` are visible within `scope`, without any predicate of the application's.
async fn rows_of(
    conn: &mut PgConnection,
    table: &Table,
    scope: Option<Uuid>,
    owner: Uuid,
) -> Result<i64, sqlx::Error> {
    begin(conn, scope).await?;
    let statement = format!("select count(*) from {} where {} = $1", table.name, table.column);
    let count = sqlx::query_scalar(&statement).bind(owner).fetch_one(&mut *conn).await;
    conn.execute("rollback").await?;
    count
}

/// An update of every row there is, which must reach the tenant's own alone.
async fn changes_others(conn: &mut PgConnection, table: &Table, tenant: Uuid) -> Result<bool, sqlx::Error> {
    if !table.may_update {
        return Ok(false);
    }
    begin(conn, Some(tenant)).await?;
    let statement = format!(
        "with changed as (update {0} set {1} = {1} returning {1}) select count(*) from changed where {1} <> $1",
        table.name, table.column
    );
    let changed: Result<i64, _> = sqlx::query_scalar(&statement).bind(tenant).fetch_one(&mut *conn).await;
    conn.execute("rollback").await?;
    // A trigger that refuses every update is a wall of its own.
    Ok(changed.unwrap_or(0) > 0)
}

async fn begin(conn: &mut PgConnection, scope: Option<Uuid>) -> Result<(), sqlx::Error> {
    conn.execute("begin").await?;
    if let Some(tenant) = scope {
        conn.execute(sqlx::raw_sql(&format!("select set_config('app.tenant_id', '{tenant}', true)"))).await?;
    }
    Ok(())
}
