//! Looking for a person in everything that a business has, as whoever steals a dump would. Used by the tests of erasure.

use std::str::FromStr;

use sqlx::{ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

/// Where words stand in the rows of a tenant: `table: word, so many rows`, without regard to letter case. Bytes are read as text.
///
/// # Errors
/// When the database cannot be asked.
pub async fn traces(owner_url: &str, tenant: Uuid, words: &[String]) -> Result<Vec<String>, sqlx::Error> {
    let mut conn = PgConnectOptions::from_str(owner_url)?.connect().await?;
    conn.execute("begin").await?;
    sqlx::query("select set_config('app.tenant_id', $1, true)")
        .bind(tenant.to_string())
        .execute(&mut conn)
        .await?;
    let mut found = Vec::new();
    for (table, bytes) in tables(&mut conn).await? {
        for word in words {
            let statement = format!(
                "select count(*) from {table} t where strpos(lower(concat_ws(' ', to_jsonb(t)::text{bytes})), lower($1)) > 0"
            );
            let rows: i64 = sqlx::query_scalar(&statement).bind(word).fetch_one(&mut conn).await?;
            if rows > 0 {
                found.push(format!("{table}: {word}, {rows} rows"));
            }
        }
    }
    conn.execute("rollback").await?;
    conn.close().await?;
    Ok(found)
}

/// Tables, each with its byte columns as text.
async fn tables(conn: &mut PgConnection) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as(
        "select c.relname::text,
                coalesce(string_agg(', encode(t.' || quote_ident(a.attname) || ', ''escape'')', '' order by a.attnum), '')
           from pg_class c
           left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.atttypid = 'bytea'::regtype
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and c.relrowsecurity
          group by c.relname order by 1",
    )
    .fetch_all(conn)
    .await
}
