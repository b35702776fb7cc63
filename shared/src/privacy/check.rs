//! The map against the schema.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use super::{
    map::{End, PARTS},
    others::OTHERS,
};

/// What the map does not say, or says of something that is not there. Each sentence tells what to do.
///
/// # Errors
/// When the database cannot be asked.
pub async fn violations(url: &str) -> Result<Vec<String>, sqlx::Error> {
    let mut conn = PgConnectOptions::from_str(url)?.connect().await?;
    let (columns, references) = (columns(&mut conn).await?, references(&mut conn).await?);
    conn.close().await?;
    let mut found = Vec::new();
    for table in columns
        .keys()
        .filter(|table| !PARTS.iter().any(|part| part.table == **table) && other(table).is_none())
    {
        found.push(format!(
            "{table}: the map does not know it. Say in shared/src/privacy/map.rs whose its rows are and what erasure does to them"
        ));
    }
    for part in PARTS {
        let emptied: &[(&str, &str)] = match part.end {
            End::Removed => continue,
            End::Emptied(columns) => columns,
            End::Kept => &[],
        };
        found.extend(undecided(&columns, part.table, emptied, part.stays));
    }
    for (table, stays) in OTHERS {
        found.extend(undecided(&columns, table, &[], stays));
    }
    for (table, column, of) in &references {
        found.extend(unfollowed(table, column, of));
    }
    Ok(found)
}

fn other(table: &str) -> Option<&'static [&'static str]> {
    OTHERS.iter().find(|(name, _)| *name == table).map(|(_, stays)| *stays)
}

/// Columns of rows that stay, of which nobody has said what becomes of them.
fn undecided(
    columns: &BTreeMap<String, BTreeSet<String>>,
    table: &str,
    emptied: &[(&str, &str)],
    stays: &[&str],
) -> Vec<String> {
    let Some(texts) = columns.get(table) else {
        return vec![format!("{table}: the map speaks of a table that is not there")];
    };
    let decided =
        |column: &String| stays.contains(&column.as_str()) || emptied.iter().any(|(name, _)| name == column);
    let open = texts.iter().filter(|column| !decided(column)).map(|column| {
        format!(
            "{table}.{column}: it can hold text, and the map does not say whether erasing a person empties it"
        )
    });
    let gone = stays.iter().filter(|column| !texts.contains(**column)).map(|column| {
        format!("{table}.{column}: the map lets it stay, but there is no such column that can hold text")
    });
    open.chain(gone).collect()
}

/// References that the map does not follow.
fn unfollowed(table: &str, column: &str, of: &str) -> Option<String> {
    if of == "leads" {
        let follows = format!("t.{column} ");
        let followed =
            PARTS.iter().any(|part| part.table == table && part.archived && part.rows.contains(&follows));
        return (!followed).then(|| {
            format!("{table}.{column} refers to leads, but neither archive nor erasure follows it: name it in the map's condition")
        });
    }
    let stray = other(table).is_some() && PARTS.iter().any(|part| part.table == of);
    stray.then(|| {
        format!("{table} hangs on {of}, whose rows are persons', but stands among the tables of nobody")
    })
}

/// Tables of tenants, each with its columns that can hold text.
async fn columns(conn: &mut PgConnection) -> Result<BTreeMap<String, BTreeSet<String>>, sqlx::Error> {
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(
        "select c.relname::text, a.attname::text
           from pg_class c
           left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
            and a.atttypid::regtype::text = any (array['text', 'character', 'character varying', 'json', 'jsonb', 'bytea', 'name',
                'text[]', 'character varying[]', 'json[]', 'jsonb[]', 'bytea[]', 'inet', 'xml', 'tsvector'])
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and c.relrowsecurity",
    )
    .fetch_all(conn)
    .await?;
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (table, column) in rows {
        tables.entry(table).or_default().extend(column);
    }
    Ok(tables)
}

/// (table, column, table referred to) of every reference to a row of a tenant. The lead that another one was merged into is
/// followed the other way.
async fn references(conn: &mut PgConnection) -> Result<Vec<(String, String, String)>, sqlx::Error> {
    sqlx::query_as(
        "select r.relname::text, a.attname::text, f.relname::text
           from pg_constraint c
           join pg_class r on r.oid = c.conrelid and r.relrowsecurity and not r.relispartition
           join pg_class f on f.oid = c.confrelid and f.relname <> 'tenants'
           join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[2]
          where c.contype = 'f' and c.connamespace = 'public'::regnamespace and c.conparentid = 0 and r.relname <> f.relname
          order by 1, 2",
    )
    .fetch_all(conn)
    .await
}
