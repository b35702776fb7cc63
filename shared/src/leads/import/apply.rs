//! The two walks through a file.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, to_value};
use uuid::Uuid;

use super::{
    FileError, ImportRequest, Layout,
    file::PartFile,
    kept,
    layout::HEAD_BYTES,
    plan::Plan,
    read::read,
    record::{Business, Record},
    source::Utf8,
    split::{Cut, Raw, Splitter},
};
use crate::{
    db::{DbError, DbResult, TenantTx},
    jobs::{self, Held, Progress, RowError},
    leads::{
        Definitions, consents,
        drafts::{self, Author, Draft},
    },
};

/// How far an import has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cursor {
    /// Bytes read.
    offset: i64,
    /// The line that comes next.
    line: i64,
    /// Rows read.
    row: i64,
    /// Rows in all.
    total: i64,
    /// Errors kept.
    kept: i32,
    /// Errors counted.
    told: i64,
}

/// What a portion came to.
#[derive(Debug)]
pub enum Step {
    /// Rows were applied; the place behind them.
    Applied(Value, Progress),
    /// There are no rows left; what there is to say about the import.
    Done(Value),
}

/// An import under way.
pub struct Importer {
    job: Uuid,
    request: ImportRequest,
    layout: Layout,
    file: PartFile,
}

impl Importer {
    /// Opens the file of a job and reads its layout.
    ///
    /// # Errors
    /// When the database refuses; within, what is wrong with the file.
    pub async fn open(tx: &mut TenantTx, held: &Held) -> DbResult<Result<Self, FileError>> {
        let request: ImportRequest = Held::read(&held.request)?;
        let mut file = PartFile::open(tx, held.id).await?;
        let head = file.head(tx, HEAD_BYTES).await?;
        let definitions = Definitions::load(tx).await?;
        Ok(Layout::of(&head, &request, &definitions).map(|layout| Self {
            job: held.id,
            request,
            layout,
            file,
        }))
    }

    /// Reads the file from its first byte to its last, and says how many rows it has and where the first begins.
    ///
    /// # Errors
    /// When the database refuses; within, what is wrong with the file.
    pub async fn survey(&mut self, tx: &mut TenantTx) -> DbResult<Result<(i64, Value), FileError>> {
        let mut judge = Utf8::default();
        let mut splitter = Splitter::at(self.layout.kind, self.layout.delimiter, self.layout.line, false);
        let begins = i64::try_from(self.layout.begins).unwrap_or(i64::MAX);
        let (mut place, mut rows, mut lines) = (begins, 0, self.layout.line);
        loop {
            let piece = self.file.piece(tx, place).await?;
            if let Err(bad) = judge.take(piece) {
                lines += newlines(piece.get(..bad).unwrap_or_default());
                return Ok(Err(FileError::encoding(&format!(
                    "This file is not UTF-8, first at line {lines}."
                ))));
            }
            lines += newlines(piece);
            let mut used = 0;
            loop {
                let rest = piece.get(used..).unwrap_or_default();
                if rest.is_empty() && !piece.is_empty() {
                    break;
                }
                let (cut, eaten) = match splitter.cut(rest) {
                    Ok(cut) => cut,
                    Err(error) => return Ok(Err(error)),
                };
                used += eaten;
                match cut {
                    Cut::Row(_) => rows += 1,
                    Cut::More => break,
                    Cut::End if !judge.is_whole() => {
                        return Ok(Err(FileError::encoding("This file is not UTF-8 at its end.")));
                    }
                    Cut::End => {
                        let cursor = Cursor {
                            offset: begins,
                            line: self.layout.line,
                            row: 0,
                            total: rows,
                            kept: 0,
                            told: 0,
                        };
                        return Ok(Ok((rows, write(&cursor)?)));
                    }
                }
            }
            if piece.is_empty() {
                return Ok(Err(FileError::new("truncated_file", "The file ends in the middle of a row.")));
            }
            place += i64::try_from(used).unwrap_or(i64::MAX);
        }
    }

    /// Applies the next rows, `most` at most. With `give_up` they are refused instead: whatever was tried with them did not work.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn portion(
        &mut self,
        tx: &mut TenantTx,
        now: DateTime<Utc>,
        held: &Held,
        most: usize,
        give_up: bool,
    ) -> DbResult<Step> {
        let mut cursor: Cursor = Held::read(held.cursor.as_ref().unwrap_or(&Value::Null))?;
        let raws = self.take(tx, &mut cursor, most).await?;
        if raws.is_empty() {
            let omitted = cursor.told - i64::from(cursor.kept);
            return Ok(Step::Done(
                json!({"ignoredColumns": self.layout.ignored(), "errorsOmitted": omitted}),
            ));
        }
        let business = Business::load(tx, now).await?;
        let read: Vec<Result<Record, Vec<RowError>>> = if give_up {
            raws.iter().map(|raw| Err(vec![not_applied(raw)])).collect()
        } else {
            raws.iter().map(|raw| read(&self.layout, &business, raw)).collect()
        };
        drop(raws);
        let mut plan = self.prepare(tx, now, held, &business, &read).await?;
        for row in read {
            match row {
                Ok(record) => plan.decide(&record),
                Err(errors) => plan.refuse(errors),
            }
        }
        self.settle(tx, now, held, &plan).await?;
        cursor.told += i64::try_from(plan.errors.len()).unwrap_or_default();
        cursor.kept = jobs::note(tx, self.job, cursor.kept, &plan.errors).await?;
        Ok(Step::Applied(write(&cursor)?, plan.done))
    }

    /// The rows behind a place, and the place behind them.
    async fn take(&mut self, tx: &mut TenantTx, cursor: &mut Cursor, most: usize) -> DbResult<Vec<Raw>> {
        let mut rows = Vec::new();
        let mut splitter = Splitter::at(self.layout.kind, self.layout.delimiter, cursor.line, cursor.row > 0);
        while rows.len() < most && cursor.row < cursor.total {
            let piece = self.file.piece(tx, cursor.offset).await?;
            let ended = piece.is_empty();
            let (cut, used) = splitter.cut(piece).map_err(|error| DbError::Defect(error.detail))?;
            cursor.offset += i64::try_from(used).unwrap_or(i64::MAX);
            match cut {
                Cut::Row(row) => {
                    rows.push(row);
                    cursor.row += 1;
                    cursor.line = splitter.line();
                }
                Cut::More if !ended => {}
                Cut::More | Cut::End => cursor.row = cursor.total,
            }
        }
        Ok(rows)
    }

    /// Reads and holds the leads that the rows are about.
    async fn prepare<'a>(
        &self,
        tx: &mut TenantTx,
        now: DateTime<Utc>,
        held: &'a Held,
        business: &'a Business,
        rows: &[Result<Record, Vec<RowError>>],
    ) -> DbResult<Plan<'a>> {
        let records = || rows.iter().filter_map(|row| row.as_ref().ok());
        let identities: Vec<(String, String)> = records()
            .flat_map(|record| {
                record.identities.iter().map(|(kind, value)| ((*kind).to_owned(), value.clone()))
            })
            .collect();
        let mut owners = known_owners(tx, &identities).await?;
        if self.request.dry_run {
            owners.extend(kept::owners(tx, self.job, &identities).await?);
        }
        let mut ids: Vec<Uuid> =
            owners.values().copied().chain(records().filter_map(|record| record.id)).collect();
        ids.sort_unstable();
        ids.dedup();
        let leads = if ids.is_empty() { HashMap::new() } else { drafts::load(tx, &ids, false).await? };
        let hears = self.layout.has_consents() || business.definitions.has_health();
        let said =
            if hears && !leads.is_empty() { consents::latest(tx, &ids).await? } else { HashMap::new() };
        let mut plan = Plan {
            business,
            actor: &held.actor,
            mode: self.request.mode,
            now,
            drafts: leads.into_iter().map(|(id, lead)| (id, Draft::of(lead))).collect(),
            owners,
            said,
            touched: Vec::new(),
            done: Progress::default(),
            errors: Vec::new(),
        };
        if self.request.dry_run {
            kept::overlay(tx, self.job, &ids, &mut plan).await?;
        }
        Ok(plan)
    }

    async fn settle(
        &self,
        tx: &mut TenantTx,
        now: DateTime<Utc>,
        held: &Held,
        plan: &Plan<'_>,
    ) -> DbResult<()> {
        if self.request.dry_run {
            return kept::keep(tx, self.job, plan).await;
        }
        let touched: Vec<&Draft> = plan.touched.iter().filter_map(|id| plan.drafts.get(id)).collect();
        let source = if self.request.automations { "import" } else { crate::events::SILENT };
        drafts::write(tx, now, &touched, Author { actor: held.actor.named(), source }).await
    }
}

fn newlines(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.iter().filter(|byte| **byte == b'\n').count()).unwrap_or_default()
}

fn write(cursor: &Cursor) -> DbResult<Value> {
    to_value(cursor).map_err(|error| DbError::Defect(error.to_string()))
}

fn not_applied(raw: &Raw) -> RowError {
    let shown: Vec<_> = raw.cells.iter().map(|cell| String::from_utf8_lossy(cell)).collect();
    RowError::of_row(Some(raw.line), "not_applied", "The database refused this row.")
        .with_value(&shown.join(","))
}

async fn known_owners(
    tx: &mut TenantTx,
    identities: &[(String, String)],
) -> DbResult<HashMap<(String, String), Uuid>> {
    if identities.is_empty() {
        return Ok(HashMap::new());
    }
    let (kinds, values): (Vec<&str>, Vec<&str>) =
        identities.iter().map(|(kind, value)| (kind.as_str(), value.as_str())).unzip();
    let found = sqlx::query!(
        r#"select i.kind, i.normalized, i.lead_id
             from unnest($2::text[], $3::text[]) as given (kind, normalized)
             join lead_identities i on i.tenant_id = $1 and i.kind = given.kind and i.normalized = given.normalized"#,
        tx.tenant(),
        &kinds as &[&str],
        &values as &[&str],
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(found.into_iter().map(|row| ((row.kind, row.normalized), row.lead_id)).collect())
}
