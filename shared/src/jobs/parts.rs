//! Pieces of files: what a person sends (inputs) and what a job has written (outputs).

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Job,
    store::{hint, query_jobs},
};
use crate::{
    crypto::sha256,
    db::{DbResult, TenantTx},
};

/// The most bytes of a part, and of a file that is sent at once.
pub const PART_BYTES: usize = 4 * 1024 * 1024;
/// The most parts of an upload. They may be smaller than they could be.
pub const MOST_PARTS: i32 = 1_000;
/// The most bytes of an upload in all its parts.
pub const MOST_UPLOADED: i64 = 100 * 1024 * 1024;

/// A part that is kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Its number, from 1.
    pub part: i32,
    /// How long it is.
    pub bytes: usize,
    /// SHA-256 of it, in hexadecimal.
    pub sha256: String,
}

/// Why a part is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartRefusal {
    /// There is no such job.
    Unknown,
    /// The job is not waiting for parts.
    NotAwaited,
    /// The upload would have more bytes than an upload may have.
    TooLarge,
}

/// Keeps a part of an upload, in the place of an earlier one with its number.
///
/// # Errors
/// When the database refuses.
pub async fn put_part(
    tx: &mut TenantTx,
    job: Uuid,
    seen_by: Option<Uuid>,
    number: i32,
    content: &[u8],
) -> DbResult<Result<Part, PartRefusal>> {
    let status = sqlx::query_scalar!(
        "select status from jobs where tenant_id = $1 and id = $2 and ($3::uuid is null or created_by = $3) for no key update",
        tx.tenant(),
        job,
        seen_by,
    )
    .fetch_optional(tx.conn())
    .await?;
    match status.as_deref() {
        Some("awaitingParts") => {}
        Some(_) => return Ok(Err(PartRefusal::NotAwaited)),
        None => return Ok(Err(PartRefusal::Unknown)),
    }
    let others = sqlx::query_scalar!(
        r#"select coalesce(sum(octet_length(content)), 0)::bigint as "bytes!" from job_parts
            where tenant_id = $1 and job_id = $2 and role = 'input' and part <> $3"#,
        tx.tenant(),
        job,
        number,
    )
    .fetch_one(tx.conn())
    .await?;
    if others + i64::try_from(content.len()).unwrap_or(i64::MAX) > MOST_UPLOADED {
        return Ok(Err(PartRefusal::TooLarge));
    }
    Ok(Ok(insert_part(tx, job, "input", number, content).await?))
}

/// Writes a part.
///
/// # Errors
/// When the database refuses.
pub async fn insert_part(
    tx: &mut TenantTx,
    job: Uuid,
    role: &str,
    number: i32,
    content: &[u8],
) -> DbResult<Part> {
    let hash = sha256(content);
    sqlx::query!(
        "insert into job_parts (tenant_id, job_id, role, part, content, sha256) values ($1, $2, $3, $4, $5, $6)
         on conflict (tenant_id, job_id, role, part) do update set content = excluded.content, sha256 = excluded.sha256",
        tx.tenant(),
        job,
        role,
        number,
        content,
        &hash[..],
    )
    .execute(tx.conn())
    .await?;
    Ok(Part { part: number, bytes: content.len(), sha256: hex::encode(hash) })
}

/// Why an upload cannot begin to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// There is no such job.
    Unknown,
    /// The job is not waiting for parts.
    NotAwaited,
    /// These numbers have no part yet.
    Missing(Vec<i32>),
}

/// Says that all parts are there. They are read in the order of their numbers, which have no gap.
///
/// # Errors
/// When the database refuses.
pub async fn start(tx: &mut TenantTx, job: Uuid, seen_by: Option<Uuid>) -> DbResult<Result<Job, NotStarted>> {
    let status = sqlx::query_scalar!(
        "select status from jobs where tenant_id = $1 and id = $2 and ($3::uuid is null or created_by = $3) for update",
        tx.tenant(),
        job,
        seen_by,
    )
    .fetch_optional(tx.conn())
    .await?;
    match status.as_deref() {
        Some("awaitingParts") => {}
        Some(_) => return Ok(Err(NotStarted::NotAwaited)),
        None => return Ok(Err(NotStarted::Unknown)),
    }
    let known: Vec<i32> = part_sizes(tx, job).await?.into_iter().map(|(number, _)| number).collect();
    let last = known.last().copied().unwrap_or(1);
    let missing: Vec<i32> = (1..=last).filter(|number| known.binary_search(number).is_err()).collect();
    if !missing.is_empty() {
        return Ok(Err(NotStarted::Missing(missing)));
    }
    let started = query_jobs!(
        "with j as (
             update jobs set status = 'queued', next_attempt_at = now() where tenant_id = $1 and id = $2 returning *
         )",
        "from j",
        tx.tenant(),
        job,
    )
    .fetch_one(tx.conn())
    .await?;
    hint(tx, job);
    Ok(Ok(started))
}

/// (number, bytes) of the parts that a person sent, in order.
///
/// # Errors
/// When the database refuses.
pub async fn part_sizes(tx: &mut TenantTx, job: Uuid) -> DbResult<Vec<(i32, i64)>> {
    let rows = sqlx::query!(
        r#"select part, octet_length(content)::bigint as "bytes!" from job_parts
            where tenant_id = $1 and job_id = $2 and role = 'input' order by part"#,
        tx.tenant(),
        job,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.part, row.bytes)).collect())
}

/// The bytes of a part that a person sent.
///
/// # Errors
/// When the database refuses.
pub async fn read_part(tx: &mut TenantTx, job: Uuid, number: i32) -> DbResult<Option<Vec<u8>>> {
    let content = sqlx::query_scalar!(
        "select content from job_parts where tenant_id = $1 and job_id = $2 and role = 'input' and part = $3",
        tx.tenant(),
        job,
        number,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(content)
}

/// A part of the file that a job has written, once the job is complete.
///
/// # Errors
/// When the database refuses.
pub async fn find_output(
    tx: &mut TenantTx,
    job: Uuid,
    seen_by: Option<Uuid>,
    number: i32,
) -> DbResult<Option<Vec<u8>>> {
    let content = sqlx::query_scalar!(
        "select p.content from job_parts p join jobs j on j.tenant_id = $1 and j.id = p.job_id
          where p.tenant_id = $1 and p.job_id = $2 and p.role = 'output' and p.part = $4 and j.status = 'completed'
            and ($3::uuid is null or j.created_by = $3)",
        tx.tenant(),
        job,
        seen_by,
        number,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(content)
}

/// Removes what an ended job needs no longer: what was sent, what was rehearsed, who was chosen.
///
/// # Errors
/// When the database refuses.
pub async fn forget_inputs(tx: &mut TenantTx, job: Uuid) -> DbResult<()> {
    sqlx::query!(
        "with parts as (delete from job_parts where tenant_id = $1 and job_id = $2 and role = 'input'),
              drafts as (delete from job_drafts where tenant_id = $1 and job_id = $2)
         delete from job_leads where tenant_id = $1 and job_id = $2",
        tx.tenant(),
        job,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// SHA-256 of all that a job has written, its parts one behind the other, in hexadecimal.
///
/// # Errors
/// When the database refuses.
pub async fn digest_outputs(tx: &mut TenantTx, job: Uuid) -> DbResult<String> {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    for number in 1.. {
        let content = sqlx::query_scalar!(
            "select content from job_parts where tenant_id = $1 and job_id = $2 and role = 'output' and part = $3",
            tx.tenant(),
            job,
            number,
        )
        .fetch_optional(tx.conn())
        .await?;
        let Some(content) = content else { break };
        digest.update(&content);
    }
    Ok(hex::encode(digest.finish()))
}
