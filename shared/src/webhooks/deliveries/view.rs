//! Deliveries as colleagues see them, and delivering again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range, total},
    },
    http::{
        Check, FieldErrors, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind,
    },
    private::Private,
    queue::{Hint, HintKind},
};

/// So many are delivered again by one call; the answer says whether there are more.
const AT_ONCE: i64 = 1000;

/// One event owed to one endpoint.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The delivery.
    pub id: Uuid,
    /// To whom.
    pub endpoint_id: Uuid,
    /// The event.
    pub event_id: Uuid,
    /// `lead.created`, `invoice.paid` …
    pub event_type: String,
    /// `pending`, `delivering`, `delivered`, `failed`
    pub status: String,
    /// How often it was tried.
    pub attempt: i32,
    /// When it is tried next; null when it is not.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The status of the last answer.
    pub response_status: Option<i16>,
    /// How long the last answer took.
    pub response_ms: Option<i32>,
    /// The beginning of the last answer.
    pub response_excerpt: Option<Private<String>>,
    /// `{code, detail}` of what went wrong.
    #[schema(value_type = Option<Object>)]
    pub error: Option<Value>,
    /// Every try: `{at, attempt, status, ms, error}`.
    #[schema(value_type = Vec<Object>)]
    pub history: Value,
    /// When the receiver had it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it became owed.
    pub created_at: DateTime<Utc>,
}

/// What deliveries can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeliveryFilter {
    /// `pending`, `delivering`, `delivered`, `failed`
    pub status: Vec<String>,
    /// Types of events.
    #[param(rename = "type")]
    pub kind: Vec<String>,
    /// Owed at or after.
    pub from: Option<DateTime<Utc>>,
    /// Owed before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for DeliveryFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        let status = params.choices("status", &["pending", "delivering", "delivered", "failed"]);
        Self { status, kind: params.words("type"), from, to }
    }
}

/// Which deliveries are made again.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redelivery {
    /// These; otherwise all in the range.
    #[serde(default)]
    pub delivery_ids: Option<Vec<Uuid>>,
    /// Owed (for `missing`: told) at or after.
    #[serde(default)]
    pub from: Option<DateTime<Utc>>,
    /// Owed (for `missing`: told) before.
    #[serde(default)]
    pub to: Option<DateTime<Utc>>,
    /// `failed` when left out. `missing` are the events that were told while the endpoint was disabled or not there yet.
    #[serde(default)]
    pub status: Option<RedeliveryStatus>,
}

/// Which deliveries are made again, by what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RedeliveryStatus {
    /// Those that failed for good.
    Failed,
    /// Those that arrived: the receiver has lost them.
    Delivered,
    /// Those that were never owed.
    Missing,
}

impl Check for Redelivery {
    fn check(&self, errors: &mut FieldErrors) {
        if self.delivery_ids.as_ref().is_some_and(|ids| ids.is_empty() || ids.len() > 1000) {
            errors.add("/deliveryIds", "out_of_range", "Name 1 to 1,000 deliveries.");
        }
        if self.status == Some(RedeliveryStatus::Missing)
            && (self.from.is_none() || self.delivery_ids.is_some())
        {
            errors.add("/from", "required", "Say from when on events are missing.");
        }
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            errors.add("/from", "range_reversed", "`from` is later than `to`.");
        }
    }
}

/// What is delivered again.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redelivered {
    /// So many deliveries.
    pub count: usize,
    /// Whether there are more: call again.
    pub more: bool,
}

/// One page of an endpoint's deliveries.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    tx: &mut TenantTx,
    endpoint: Uuid,
    query: &ListQuery<DeliveryFilter>,
) -> DbResult<Page<Delivery>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select d.id, d.endpoint_id, d.event_id, e.type as event_type, d.state as status, d.attempt,
                case when d.state = 'pending' then d.next_attempt_at end as next_attempt_at, d.response_status,
                d.response_ms, d.response_excerpt,
                case when d.error_code is not null
                     then jsonb_build_object('code', d.error_code, 'detail', d.error_detail) end as error,
                d.history, d.delivered_at, d.created_at
           from webhook_deliveries d join events e on e.tenant_id = d.tenant_id and e.id = d.event_id
          where d.tenant_id = ");
        select.push_bind(tenant).push(" and d.endpoint_id = ").push_bind(endpoint);
        push_any(&mut select, "d.state", &query.filter.status);
        push_any(&mut select, "e.type", &query.filter.kind);
        push_range(&mut select, "d.created_at", (query.filter.from, query.filter.to));
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "d", &query.page);
    let rows = select.build_query_as::<Delivery>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// Owes deliveries anew, from the first try on.
///
/// # Errors
/// When the database refuses.
pub async fn redeliver(tx: &mut TenantTx, endpoint: Uuid, redelivery: &Redelivery) -> DbResult<Redelivered> {
    let ids = match redelivery.status {
        Some(RedeliveryStatus::Missing) => owe_missing(tx, endpoint, redelivery).await?,
        _ => owe_again(tx, endpoint, redelivery).await?,
    };
    let tenant = tx.tenant_id();
    for id in &ids {
        tx.hint(Hint::now(tenant, HintKind::Delivery, *id));
    }
    Ok(Redelivered { count: ids.len(), more: i64::try_from(ids.len()).is_ok_and(|count| count == AT_ONCE) })
}

async fn owe_again(tx: &mut TenantTx, endpoint: Uuid, redelivery: &Redelivery) -> DbResult<Vec<Uuid>> {
    let states: &[&str] = match (redelivery.status, &redelivery.delivery_ids) {
        (Some(RedeliveryStatus::Delivered), _) => &["delivered"],
        (None, Some(_)) => &["failed", "delivered"],
        _ => &["failed"],
    };
    let ids = sqlx::query_scalar!(
        "update webhook_deliveries d
            set state = 'pending', attempt = 0, next_attempt_at = now(), delivered_at = null, error_code = null,
                error_detail = null
          where d.tenant_id = $1 and d.id in (
                select o.id from webhook_deliveries o
                 where o.tenant_id = $1 and o.endpoint_id = $2 and o.state = any($3)
                   and ($4::uuid[] is null or o.id = any($4))
                   and ($5::timestamptz is null or o.created_at >= $5) and ($6::timestamptz is null or o.created_at < $6)
                 order by o.created_at, o.id limit $7)
         returning d.id",
        tx.tenant(),
        endpoint,
        states as &[&str],
        redelivery.delivery_ids.as_deref(),
        redelivery.from,
        redelivery.to,
        AT_ONCE,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids)
}

async fn owe_missing(tx: &mut TenantTx, endpoint: Uuid, redelivery: &Redelivery) -> DbResult<Vec<Uuid>> {
    let ids = sqlx::query_scalar!(
        "insert into webhook_deliveries (tenant_id, id, endpoint_id, event_id)
         select $1, new_id(), $2, e.id
           from events e
           join webhook_endpoints w on w.tenant_id = $1 and w.id = $2
          where e.tenant_id = $1 and e.recorded_at >= $3 and ($4::timestamptz is null or e.recorded_at < $4)
            and exists (select from unnest(w.events) p where e.type like replace(p, '*', '%'))
            and not exists (select from webhook_deliveries d
                             where d.tenant_id = $1 and d.endpoint_id = $2 and d.event_id = e.id)
          order by e.recorded_at, e.id limit $5
         on conflict (tenant_id, endpoint_id, event_id) do nothing
         returning id",
        tx.tenant(),
        endpoint,
        redelivery.from,
        redelivery.to,
        AT_ONCE,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids)
}
