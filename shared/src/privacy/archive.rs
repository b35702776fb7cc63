//! Handing over a person's data: one JSON document with a manifest and an array per table.
//!
//! The platform answers at most 6 MB at once, so a document ends before 4 MB and says where the next one begins; put
//! together they are the whole. Rows are written as they come from the database.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Subject,
    map::{PARTS, Part},
};
use crate::db::{DbError, DbResult, TenantTx};

/// The most bytes of a document.
const MOST_BYTES: usize = 4_000_000;

/// A position in the archive: behind this row of this part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    part: usize,
    key: String,
}

impl Position {
    /// Reads a cursor.
    #[must_use]
    pub fn parse(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (part, key) = text.split_once('|')?;
        let part = part.parse().ok().filter(|part| *part < PARTS.len())?;
        Some(Self { part, key: key.to_owned() }).filter(|position| !position.key.contains('\0'))
    }

    fn cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}|{}", self.part, self.key))
    }
}

/// One document of the archive.
#[derive(Debug)]
pub struct Chunk {
    /// The bytes.
    pub body: Vec<u8>,
    /// Where the next document begins; none after the last one.
    pub next_cursor: Option<String>,
}

/// Reads the document that begins behind `after`, of at most `rows` rows.
///
/// # Errors
/// When the database refuses.
pub async fn read_chunk(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    (lead, subject): (Uuid, &Subject),
    after: Option<Position>,
    rows: i64,
) -> DbResult<Chunk> {
    let keys = primary_keys(tx).await?;
    let manifest = match &after {
        None => manifest(tx, now, lead, subject).await?,
        Some(_) => json!({"leadId": lead, "createdAt": now, "continues": true}),
    };
    let mut document = Document::begin(&manifest);
    let (first, mut key) = after.map_or((0, None), |after| (after.part, Some(after.key)));
    let mut left = rows;
    let archived = PARTS.iter().enumerate().skip(first).filter(|(_, part)| part.archived);
    for (index, part) in archived {
        document.open(part.table);
        let behind = read_part(tx, subject, part, &keys, key.take(), &mut left, &mut document).await?;
        if let Some(key) = behind {
            let next = Position { part: index, key }.cursor();
            return Ok(Chunk { body: document.end(Some(&next)), next_cursor: Some(next) });
        }
    }
    Ok(Chunk { body: document.end(None), next_cursor: None })
}

/// Writes rows of a part until it or the document is full; then the key of the last row written.
async fn read_part(
    tx: &mut TenantTx,
    subject: &Subject,
    part: &Part,
    keys: &BTreeMap<String, String>,
    after: Option<String>,
    left: &mut i64,
    document: &mut Document,
) -> DbResult<Option<String>> {
    let key = keys.get(part.table).ok_or_else(|| DbError::Defect(format!("no table {}", part.table)))?;
    let statement = format!(
        r#"select * from (select {key} collate "C" as key, to_jsonb(t) - 'tenant_id' - $7::text[] as row
             from {} t where t.tenant_id = $1 and ({})) found
            where $8::text is null or key > $8 order by key"#,
        part.table, part.rows
    );
    let hidden: Vec<&str> = part.hidden.to_vec();
    let tenant = tx.tenant();
    let mut found = sqlx::query_as::<_, (String, Value)>(&statement)
        .bind(tenant)
        .bind(&subject.leads)
        .bind(&subject.needles)
        .bind(&subject.visitors)
        .bind(Vec::<u8>::new())
        .bind(&subject.numbers)
        .bind(hidden)
        .bind(after.clone())
        .fetch(tx.conn());
    let mut behind = after.unwrap_or_default();
    while let Some((key, row)) = found.try_next().await? {
        if *left == 0 || !document.push(&named(row))? {
            return Ok(Some(behind));
        }
        *left -= 1;
        behind = key;
    }
    Ok(None)
}

/// What the archive holds, and what it leaves out on purpose.
async fn manifest(tx: &mut TenantTx, now: DateTime<Utc>, lead: Uuid, subject: &Subject) -> DbResult<Value> {
    let (mut tables, mut left_out) = (Map::new(), Map::new());
    for part in PARTS.iter().filter(|part| part.archived) {
        let statement =
            format!("select count(*) from {} t where t.tenant_id = $1 and ({})", part.table, part.rows);
        let tenant = tx.tenant();
        let count: i64 = sqlx::query_scalar(&statement)
            .bind(tenant)
            .bind(&subject.leads)
            .bind(&subject.needles)
            .bind(&subject.visitors)
            .bind(Vec::<u8>::new())
            .bind(&subject.numbers)
            .fetch_one(tx.conn())
            .await?;
        tables.insert(part.table.to_owned(), count.into());
        if !part.hidden.is_empty() {
            left_out.insert(part.table.to_owned(), part.hidden.iter().map(|column| camel(column)).collect());
        }
    }
    Ok(
        json!({"leadId": lead, "createdAt": now, "leadIds": subject.leads, "tables": tables, "leftOut": left_out}),
    )
}

/// What tells the rows of each table apart, as one text.
async fn primary_keys(tx: &mut TenantTx) -> DbResult<BTreeMap<String, String>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, 'concat_ws(''|'', ' || string_agg('t.' || quote_ident(a.attname), ', ' order by k.place) || ')'
           from pg_index i join pg_class c on c.oid = i.indrelid
           cross join lateral unnest(i.indkey::int2[]) with ordinality as k (attnum, place)
           join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum and a.attname <> 'tenant_id'
          where i.indisprimary and c.relnamespace = 'public'::regnamespace and not c.relispartition
          group by c.relname",
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().collect())
}

/// A row with the names of the API.
fn named(row: Value) -> Value {
    match row {
        Value::Object(columns) => columns.into_iter().map(|(name, value)| (camel(&name), value)).collect(),
        other => other,
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        name + &letters
            .next()
            .map(|letter| letter.to_ascii_uppercase())
            .into_iter()
            .chain(letters)
            .collect::<String>()
    })
}

struct Document {
    body: Vec<u8>,
    tables: usize,
    rows_of_table: usize,
    rows: usize,
}

impl Document {
    fn begin(manifest: &Value) -> Self {
        let body = format!(r#"{{"manifest":{manifest},"tables":{{"#).into_bytes();
        Self { body, tables: 0, rows_of_table: 0, rows: 0 }
    }

    fn open(&mut self, table: &str) {
        let separator = if self.tables == 0 { "" } else { "]," };
        self.body.extend_from_slice(format!(r#"{separator}"{table}":["#).as_bytes());
        self.tables += 1;
        self.rows_of_table = 0;
    }

    /// Appends a row, or answers `false` when the document is full. A document has at least one row.
    fn push(&mut self, row: &Value) -> DbResult<bool> {
        let row = serde_json::to_vec(row).map_err(|error| DbError::Defect(error.to_string()))?;
        // What follows is shorter than this: the names of the tables that come, and the cursor.
        if self.rows > 0 && self.body.len() + row.len() + 10_000 > MOST_BYTES {
            return Ok(false);
        }
        if self.rows_of_table > 0 {
            self.body.push(b',');
        }
        self.body.extend_from_slice(&row);
        self.rows_of_table += 1;
        self.rows += 1;
        Ok(true)
    }

    fn end(mut self, next_cursor: Option<&str>) -> Vec<u8> {
        // A cursor is base64 and needs no escaping.
        let cursor = next_cursor.map_or_else(|| "null".to_owned(), |cursor| format!("\"{cursor}\""));
        let close = if self.tables == 0 { "" } else { "]" };
        self.body.extend_from_slice(format!(r#"{close}}},"nextCursor":{cursor}}}"#).as_bytes());
        self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nonsense_does_not() {
        let position = Position { part: 3, key: "a|b".to_owned() };
        assert_eq!(Position::parse(&position.cursor()), Some(position));
        for text in ["", "x", "OTk5OXxh"] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }

    #[test]
    fn columns_have_the_names_of_the_api() {
        assert_eq!(["id", "lead_id", "over_30_days"].map(camel), ["id", "leadId", "over30Days"]);
    }
}
