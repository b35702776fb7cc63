//! Receipts as colleagues see them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range, total},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    ids::new_id,
    private::Private,
    queue::{Hint, HintKind},
    webhooks::Provider,
};

/// One delivery by a provider, and what became of it.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The receipt.
    pub id: Uuid,
    /// Who posted it.
    pub provider: String,
    /// Where.
    pub source_id: Uuid,
    /// The provider's own id of the event.
    pub provider_event_id: Option<String>,
    /// `received`, `processed`, `ignored`, `quarantined`
    pub status: String,
    /// How often it was worked on.
    pub attempts: i32,
    /// `{code, detail}` of what went wrong.
    #[schema(value_type = Option<Object>)]
    pub error: Option<Value>,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// When it was settled.
    pub processed_at: Option<DateTime<Utc>>,
    /// The receipt that it repeats.
    pub replay_of_id: Option<Uuid>,
    /// What was understood: a list of events.
    #[schema(value_type = Option<Vec<Object>>)]
    pub canonical: Option<Private<Value>>,
}

/// A receipt with the bytes that came.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptDetail {
    /// The receipt.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// The headers that matter for reading the body.
    #[schema(value_type = Object)]
    pub headers: Value,
    /// The body; what is no UTF-8 is replaced. Null once purged.
    pub body: Option<Private<String>>,
}

/// What receipts can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReceiptFilter {
    /// Statuses.
    pub status: Vec<String>,
    /// Providers.
    pub provider: Vec<String>,
    /// Sources.
    pub source_id: Vec<Uuid>,
    /// Arrived at or after.
    pub from: Option<DateTime<Utc>>,
    /// Arrived before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for ReceiptFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "receivedAt", column: "received_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self {
            status: params.choices("status", &["received", "processed", "ignored", "quarantined"]),
            provider: params.choices("provider", &Provider::ALL.map(Provider::as_str)),
            source_id: params.ids("sourceId"),
            from,
            to,
        }
    }
}

/// One page of receipts.
///
/// # Errors
/// When the database refuses.
pub async fn list(tx: &mut TenantTx, query: &ListQuery<ReceiptFilter>) -> DbResult<Page<Receipt>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push(
            "select r.id, r.provider, r.source_id, r.provider_event_id, r.status, r.attempts,
                case when r.error_code is not null
                     then jsonb_build_object('code', r.error_code, 'detail', r.error_detail) end as error,
                r.received_at, r.processed_at, r.replay_of_id, r.canonical
           from webhook_receipts r where r.tenant_id = ",
        );
        select.push_bind(tenant);
        push_any(&mut select, "r.status", &query.filter.status);
        push_any(&mut select, "r.provider", &query.filter.provider);
        push_any(&mut select, "r.source_id", &query.filter.source_id);
        push_range(&mut select, "r.received_at", (query.filter.from, query.filter.to));
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "r", &query.page);
    let rows = select.build_query_as::<Receipt>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.received_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// The receipt with its bytes.
///
/// # Errors
/// When the database refuses.
pub async fn find(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<ReceiptDetail>> {
    let row = sqlx::query!(
        r#"select r.id, r.provider, r.source_id, r.provider_event_id, r.status, r.attempts, r.received_at, r.processed_at,
                  r.replay_of_id, r.canonical as "canonical: Private<Value>", r.headers, r.raw,
                  case when r.error_code is not null
                       then jsonb_build_object('code', r.error_code, 'detail', r.error_detail) end as error
             from webhook_receipts r where r.tenant_id = $1 and r.id = $2"#,
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| ReceiptDetail {
        body: row.raw.map(|raw| Private::new(String::from_utf8_lossy(&raw).into_owned())),
        headers: row.headers,
        receipt: Receipt {
            id: row.id,
            provider: row.provider,
            source_id: row.source_id,
            provider_event_id: row.provider_event_id,
            status: row.status,
            attempts: row.attempts,
            error: row.error,
            received_at: row.received_at,
            processed_at: row.processed_at,
            replay_of_id: row.replay_of_id,
            canonical: row.canonical,
        },
    }))
}

/// Puts a copy of the receipt to work. What its first run has done is not done again, because every effect has a key that
/// comes from the original delivery. `None` when there is no such receipt, or its bytes were purged.
///
/// # Errors
/// When the database refuses.
pub async fn replay(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Receipt>> {
    let copy = sqlx::query_as!(
        Receipt,
        r#"insert into webhook_receipts (tenant_id, id, source_id, provider, provider_event_id, delivery_key, body_sha256, raw,
                                         headers, query, replay_of_id)
           select tenant_id, $3::uuid, source_id, provider, provider_event_id, 'replay:' || ($3::uuid)::text, body_sha256, raw, headers,
                  query, coalesce(replay_of_id, id)
             from webhook_receipts where tenant_id = $1 and id = $2 and raw is not null
           returning id, provider, source_id, provider_event_id, status, attempts, null::jsonb as error, received_at,
                     processed_at, replay_of_id, canonical as "canonical: _""#,
        tx.tenant(),
        id,
        new_id(),
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(copy) = &copy {
        let hint = Hint::now(tx.tenant_id(), HintKind::Receipt, copy.id);
        tx.hint(hint);
    }
    Ok(copy)
}
