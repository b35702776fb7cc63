//! What the three kinds of jobs do in a portion.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json, to_value};
use shared::{
    clock,
    db::{DbError, DbResult, TenantTx},
    export::Format,
    http::{FromQuery, Params, Problem},
    jobs::{self, Advance, Held, JobKind, JobTrouble, Part, Progress},
    leads::{
        self, BulkOp, BulkRequest, Definitions, ExportRequest, FileError, Importer, LeadFilter, Portion, Step,
    },
};

/// Rows of an import that are applied together.
const ROWS: usize = 500;
/// Leads that are changed together.
const LEADS: usize = 1_000;
/// Rows of a part of an export.
const EXPORTED: i64 = 25_000;

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It goes on.
    On,
    /// It has ended.
    Ended,
    /// Another worker has it.
    Lost,
}

/// A job's work, with what is kept between portions.
pub(crate) enum Task {
    Import(Option<Box<Importer>>),
    Bulk(Option<Box<BulkOp>>),
    Export,
}

/// How far a bulk change has come.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    done: i32,
    kept: i32,
    told: i64,
    /// How many were chosen; the last of them may have been erased since.
    #[serde(default)]
    total: i32,
}

/// How far an export has come.
#[derive(Default, Serialize, Deserialize)]
struct Written {
    after: Option<String>,
    rows: i64,
    parts: Vec<Value>,
    complete: bool,
}

impl Task {
    pub(crate) const fn of(held: &Held) -> Self {
        match held.kind {
            JobKind::Import => Self::Import(None),
            JobKind::Bulk => Self::Bulk(None),
            JobKind::Export => Self::Export,
        }
    }

    /// The usual size of a portion.
    pub(crate) const fn portion(&self) -> usize {
        match self {
            Self::Import(_) => ROWS,
            Self::Bulk(_) | Self::Export => LEADS,
        }
    }

    /// Begins anew with what the database says.
    pub(crate) fn forget(&mut self) {
        match self {
            Self::Import(kept) => *kept = None,
            Self::Bulk(kept) => *kept = None,
            Self::Export => {}
        }
    }

    /// Does a portion of at most `most`. With `give_up` what is in it is refused.
    pub(crate) async fn step(
        &mut self,
        tx: &mut TenantTx,
        held: &mut Held,
        most: usize,
        give_up: bool,
    ) -> DbResult<Moved> {
        match self {
            Self::Import(kept) => import(tx, held, kept, most, give_up).await,
            Self::Bulk(kept) => bulk(tx, held, kept, most, give_up).await,
            Self::Export => Box::pin(export(tx, held)).await,
        }
    }
}

async fn import(
    tx: &mut TenantTx,
    held: &mut Held,
    kept: &mut Option<Box<Importer>>,
    most: usize,
    give_up: bool,
) -> DbResult<Moved> {
    if kept.is_none() {
        match Importer::open(tx, held).await? {
            Ok(importer) => *kept = Some(Box::new(importer)),
            Err(error) => return unreadable(tx, held, error).await,
        }
    }
    let Some(importer) = kept else { return Err(DbError::Defect("an import was not opened".to_owned())) };
    if held.cursor.is_none() {
        return match importer.survey(tx).await? {
            Ok((rows, cursor)) => {
                jobs::set_total(tx, held, rows).await?;
                advance(tx, held, cursor, Progress::default()).await
            }
            Err(error) => unreadable(tx, held, error).await,
        };
    }
    match importer.portion(tx, clock::now(), held, most, give_up).await? {
        Step::Applied(cursor, done) => advance(tx, held, cursor, done).await,
        Step::Done(result) => finish(tx, held, result).await,
    }
}

async fn bulk(
    tx: &mut TenantTx,
    held: &mut Held,
    kept: &mut Option<Box<BulkOp>>,
    most: usize,
    give_up: bool,
) -> DbResult<Moved> {
    let now = clock::now();
    let op = if let Some(op) = kept {
        op
    } else {
        let request: BulkRequest = Held::read(&held.request)?;
        let definitions = Definitions::load(tx).await?;
        let op = match request.op(&definitions, &tx.settings().country) {
            Ok(op) => op,
            Err(problem) => return refused(tx, held, &problem).await,
        };
        if held.cursor.is_none() {
            let mut filter = match request.filter(tx.zone()) {
                Ok(filter) => filter,
                Err(problem) => return refused(tx, held, &problem).await,
            };
            if let Err(problem) = filter.resolve(tx, now).await {
                return refused(tx, held, &problem).await;
            }
            let total = leads::begin(tx, held.id, &filter, &held.actor).await?;
            jobs::set_total(tx, held, total).await?;
            let place = Place { total: i32::try_from(total).unwrap_or(i32::MAX), ..Place::default() };
            return advance(tx, held, write(&place)?, Progress::default()).await;
        }
        kept.insert(Box::new(op))
    };
    let mut place: Place = read(held)?;
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    let asked = held.actor.clone();
    let portion = if give_up {
        leads::give_up(tx, held.id, place.done).await?
    } else {
        leads::portion(tx, now, (held.id, &asked), op, (place.done, most)).await?
    };
    let (last, done, errors) = match portion {
        Portion::Done(last, done, errors) => (last, done, errors),
        Portion::Refused(trouble) => return fail(tx, held, &trouble.code, trouble.detail).await,
        Portion::End if place.done < place.total => {
            let skipped = place.total - place.done;
            (place.total, Progress { skipped, ..Progress::default() }, Vec::new())
        }
        Portion::End => {
            let result = json!({"errorsOmitted": place.told - i64::from(place.kept)});
            return finish(tx, held, result).await;
        }
    };
    place.done = last;
    place.told += i64::try_from(errors.len()).unwrap_or_default();
    place.kept = jobs::note(tx, held.id, place.kept, &errors).await?;
    advance(tx, held, write(&place)?, done).await
}

async fn export(tx: &mut TenantTx, held: &mut Held) -> DbResult<Moved> {
    let mut written: Written = if held.cursor.is_some() { read(held)? } else { Written::default() };
    let request: ExportRequest = Held::read(&held.request)?;
    if written.complete {
        jobs::set_total(tx, held, written.rows).await?;
        let whole = jobs::digest_outputs(tx, held.id).await?;
        let result =
            json!({"format": request.format, "rows": written.rows, "sha256": whole, "parts": written.parts});
        return finish(tx, held, result).await;
    }
    let format = Format::parse(&request.format).unwrap_or(Format::Csv);
    let mut params = Params::of_json(&request.filter, tx.zone());
    let mut filter = LeadFilter::read(&mut params);
    if let Err(problem) = filter.resolve(tx, held.asked_at).await {
        return refused(tx, held, &problem).await;
    }
    let after = written.after.as_deref().and_then(leads::ExportCursor::read);
    let own = held.actor.owners.as_deref();
    let chunk = leads::read_chunk(tx, &filter, format, after, EXPORTED, own).await?;
    let number = i32::try_from(written.parts.len() + 1).unwrap_or(i32::MAX);
    if chunk.rows > 0 || number == 1 {
        let part: Part = jobs::insert_part(tx, held.id, "output", number, &chunk.body).await?;
        written.parts.push(write(&part)?);
    }
    written.rows += chunk.rows;
    written.complete = chunk.next_cursor.is_none();
    written.after = chunk.next_cursor;
    advance(tx, held, write(&written)?, Progress::default()).await
}

fn read<T: DeserializeOwned>(held: &Held) -> DbResult<T> {
    Held::read(held.cursor.as_ref().unwrap_or(&Value::Null))
}

fn write(value: &impl Serialize) -> DbResult<Value> {
    to_value(value).map_err(|error| DbError::Defect(error.to_string()))
}

async fn advance(tx: &mut TenantTx, held: &mut Held, cursor: Value, done: Progress) -> DbResult<Moved> {
    Ok(match jobs::advance(tx, held, cursor, done).await? {
        Advance::Next => Moved::On,
        Advance::Cancelled => Moved::Ended,
        Advance::Lost => Moved::Lost,
    })
}

async fn finish(tx: &mut TenantTx, held: &Held, result: Value) -> DbResult<Moved> {
    jobs::finish(tx, held, result).await?;
    tracing::info!(job = %held.id, kind = held.kind.word(), "job done");
    Ok(Moved::Ended)
}

async fn unreadable(tx: &mut TenantTx, held: &Held, error: FileError) -> DbResult<Moved> {
    fail(tx, held, error.code, error.detail).await
}

/// What was good when it was asked for is so no more: a segment or a custom field is gone.
async fn refused(tx: &mut TenantTx, held: &Held, problem: &Problem) -> DbResult<Moved> {
    match problem.errors() {
        [first, ..] => fail(tx, held, &first.code, format!("{}: {}", first.pointer, first.detail)).await,
        [] if problem.status().is_server_error() => Err(DbError::Defect(problem.code().to_owned())),
        [] => fail(tx, held, problem.code(), "The job cannot be done as it was asked for.".to_owned()).await,
    }
}

async fn fail(tx: &mut TenantTx, held: &Held, code: &str, detail: String) -> DbResult<Moved> {
    jobs::fail(tx, held, &JobTrouble { code: code.to_owned(), detail }).await?;
    tracing::info!(job = %held.id, kind = held.kind.word(), code, "job failed");
    Ok(Moved::Ended)
}
