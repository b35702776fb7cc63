//! Who did what, in a chain that shows tampering.
//!
//! An entry is written in the transaction of the change, so neither exists without the other. The database numbers the
//! entries of a tenant and hashes each together with the one before; the runtime may add and read, never change. Personal
//! values do not belong in an entry, since it outlives the person's data: ids, roles, states and names of settings do.

mod note;
mod verify;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

pub use verify::{Anchor, Head, Verification, head, verify};

use crate::{
    crypto::sha256,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range, total},
    },
    http::{Actor, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
};

/// Something that was done.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// (`user`, `apiKey`, `automation`, `system` or `lead`; its id).
    pub actor: (&'a str, Option<Uuid>),
    /// What: `user.updated`, `api_key.created` …
    pub action: &'a str,
    /// To what kind of thing.
    pub object_kind: &'a str,
    /// To which one.
    pub object_id: Option<Uuid>,
    /// What changed, before.
    pub before: Option<Value>,
    /// What changed, after.
    pub after: Option<Value>,
    /// The request behind it.
    pub request_id: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// Something that the caller of a request did to a thing.
    const fn by(actor: &'a Actor, action: &'a str, object_kind: &'a str, object_id: Uuid) -> Self {
        Self {
            actor: (actor.kind(), Some(actor.id())),
            action,
            object_kind,
            object_id: Some(object_id),
            before: None,
            after: None,
            request_id: None,
        }
    }

    /// The same with what changed.
    fn change(self, before: Option<Value>, after: Option<Value>) -> Self {
        Self { before, after, ..self }
    }

    /// The same with the request's id.
    fn request(self, id: &'a str) -> Self {
        Self { request_id: Some(id), ..self }
    }
}

/// The hash that stands for a state of an object: SHA-256 of its JSON.
#[must_use]
pub fn state_hash(state: &impl serde::Serialize) -> Option<Value> {
    let hash = sha256(&serde_json::to_vec(state).ok()?);
    Some(json!({"sha256": hex::encode(hash)}))
}

/// Adds an entry to the tenant's chain. Other entries of the tenant wait until this transaction ends, so it comes last.
///
/// # Errors
/// When the database refuses.
pub async fn append(tx: &mut TenantTx, entry: &Entry<'_>) -> DbResult<()> {
    sqlx::query!(
        "insert into audit_log (tenant_id, actor_kind, actor_id, action, object_kind, object_id, before, after, request_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        tx.tenant(),
        entry.actor.0,
        entry.actor.1,
        entry.action,
        entry.object_kind,
        entry.object_id.map(|id| id.to_string()),
        entry.before,
        entry.after,
        entry.request_id,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Adds an entry unless one of the same action about the same thing was added within this time: what anybody may do as often
/// as they like, such as guessing a password, must not fill the log. Whoever is adding one at this moment is not waited for.
///
/// # Errors
/// When the database refuses.
pub async fn append_seldom(tx: &mut TenantTx, entry: &Entry<'_>, within: TimeDelta) -> DbResult<bool> {
    let object_id = entry.object_id.map(|id| id.to_string());
    let name = format!("audit:{}:{}:{}", tx.tenant(), entry.action, object_id.as_deref().unwrap_or_default());
    let is_alone = sqlx::query_scalar!(
        r#"select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as "alone!""#,
        name,
    )
    .fetch_one(tx.conn())
    .await?;
    if !is_alone {
        return Ok(false);
    }
    // A statement of its own: it sees what was committed before the lock was taken.
    let is_known = sqlx::query_scalar!(
        r#"select exists (
               select from audit_log
                where tenant_id = $1 and object_kind = $2 and object_id = $3 and action = $4
                  and at > clock_timestamp() - make_interval(secs => $5)
           ) as "known!""#,
        tx.tenant(),
        entry.object_kind,
        object_id,
        entry.action,
        within.as_seconds_f64(),
    )
    .fetch_one(tx.conn())
    .await?;
    if !is_known {
        append(tx, entry).await?;
    }
    Ok(!is_known)
}

/// An entry of the audit log.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its number: 1, 2, 3 … without a gap.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// `user`, `apiKey`, `automation`, `system` or `lead`.
    pub actor_kind: String,
    /// Who.
    pub actor_id: Option<Uuid>,
    /// What.
    pub action: String,
    /// To what kind of thing.
    pub object_kind: String,
    /// To which one.
    pub object_id: Option<String>,
    /// What changed, before.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// What changed, after.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// The request behind it.
    pub request_id: Option<String>,
    /// The link of the chain, in hexadecimal.
    pub hash: String,
}

/// What entries can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// Actions.
    pub action: Vec<String>,
    /// Kinds of things.
    pub object_kind: Vec<String>,
    /// One thing.
    pub object_id: Vec<String>,
    /// Who did it.
    pub actor_id: Vec<Uuid>,
    /// Done at or after.
    pub from: Option<DateTime<Utc>>,
    /// Done before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for AuditFilter {
    const SORTS: &'static [SortField] = &[SortField { word: "seq", column: "seq", kind: SortKind::Number }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self {
            action: params.words("action"),
            object_kind: params.words("objectKind"),
            object_id: params.words("objectId"),
            actor_id: params.ids("actorId"),
            from,
            to,
        }
    }
}

/// One page of the audit log. `seq` alone is unique, so the tie-break of the cursor is a constant.
///
/// # Errors
/// When the database refuses.
pub async fn list(tx: &mut TenantTx, query: &ListQuery<AuditFilter>) -> DbResult<Page<AuditEntry>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select a.seq, a.at, a.actor_kind, a.actor_id, a.action, a.object_kind, a.object_id, a.before, a.after,
                a.request_id, encode(a.hash, 'hex') as hash
           from (select l.*, '00000000-0000-0000-0000-000000000000'::uuid as id from audit_log l
                  where l.tenant_id = ");
        select.push_bind(tenant).push(") a where true");
        let filter = &query.filter;
        push_any(&mut select, "a.action", &filter.action);
        push_any(&mut select, "a.object_kind", &filter.object_kind);
        push_any(&mut select, "a.object_id", &filter.object_id);
        push_any(&mut select, "a.actor_id", &filter.actor_id);
        push_range(&mut select, "a.at", (filter.from, filter.to));
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "a", &query.page);
    let rows = select.build_query_as::<AuditEntry>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Number(row.seq), id: Uuid::nil() });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}
