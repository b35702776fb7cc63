//! Notifications: a word to a colleague inside the product.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    auth::Owners,
    db::{
        DbResult, TenantTx,
        keyset::{push_page, total},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    mask::Masked,
    private::Private,
};

/// Whom to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// One colleague.
    User(Uuid),
    /// Everybody with at least this role (`viewer` … `owner`).
    Role(String),
}

/// What to tell.
#[derive(Clone, Debug)]
pub struct NewNotification {
    /// What it is about, as a stable word.
    pub kind: String,
    /// One line.
    pub title: Option<String>,
    /// The text.
    pub body: Option<String>,
    /// What the kind adds.
    pub data: Value,
    /// The person it is about.
    pub lead_id: Option<Uuid>,
    /// The cause: each colleague hears of it once.
    pub dedupe_key: Option<String>,
}

/// Tells colleagues, any number of them in one statement. Answers how many were told; those who are not active, or no
/// longer there, are left out.
///
/// # Errors
/// `notifications_lead_id_fkey` for an unknown lead.
pub async fn insert_many(
    tx: &mut TenantTx,
    notifications: &[(Recipients, NewNotification)],
) -> DbResult<u64> {
    let asks: Vec<Value> = notifications
        .iter()
        .map(|(to, new)| {
            let (user, role) = match to {
                Recipients::User(id) => (Some(*id), None),
                Recipients::Role(word) => (None, Some(word.as_str())),
            };
            json!({
                "user_id": user, "role": role, "kind": new.kind, "title": new.title, "body": new.body,
                "data": new.data, "lead_id": new.lead_id, "dedupe_key": new.dedupe_key,
            })
        })
        .collect();
    let told = sqlx::query!(
        "insert into notifications (tenant_id, id, user_id, kind, title, body, data, lead_id, dedupe_key)
         select $1, new_id(), u.id, ask.kind, ask.title, ask.body, ask.data, ask.lead_id, ask.dedupe_key
           from jsonb_to_recordset($2::jsonb) as ask (user_id uuid, role text, kind text, title text, body text,
                                                      data jsonb, lead_id uuid, dedupe_key text)
           join users u on u.tenant_id = $1 and u.status = 'active'
            and (u.id = ask.user_id
                 or array_position(array['viewer', 'staff', 'manager', 'admin', 'owner'], u.role)
                    >= array_position(array['viewer', 'staff', 'manager', 'admin', 'owner'], ask.role))
         on conflict (tenant_id, user_id, dedupe_key) do nothing",
        tx.tenant(),
        Value::Array(asks),
    )
    .execute(tx.conn())
    .await?;
    Ok(told.rows_affected())
}

/// A notification.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The notification.
    pub id: Uuid,
    /// What it is about, as a stable word.
    pub kind: String,
    /// One line.
    pub title: Option<Private<String>>,
    /// The text.
    pub body: Option<Private<String>>,
    /// What the kind adds.
    #[schema(value_type = Object)]
    pub data: Value,
    /// The person it is about.
    pub lead_id: Option<Uuid>,
    /// When it was read.
    pub read_at: Option<DateTime<Utc>>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

impl Masked for Notification {
    fn masked(self) -> Self {
        Self { title: self.title.masked(), body: self.body.masked(), data: self.data.masked(), ..self }
    }
}

/// What notifications can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NotificationFilter {
    /// Only those that are not read, or only those that are.
    pub unread: Option<bool>,
}

impl FromQuery for NotificationFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self { unread: params.flag("unread") }
    }
}

/// One page of a colleague's notifications. One about a lead that the colleague does not see waits until that changes.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    tx: &mut TenantTx,
    user: Uuid,
    query: &ListQuery<NotificationFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Page<Notification>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push(
            "select n.id, n.kind, n.title, n.body, n.data, n.lead_id, n.read_at, n.created_at
           from notifications n where n.tenant_id = ",
        );
        select.push_bind(tenant).push(" and n.user_id = ").push_bind(user);
        match query.filter.unread {
            Some(true) => select.push(" and n.read_at is null"),
            Some(false) => select.push(" and n.read_at is not null"),
            None => &mut select,
        };
        if let Some(owners) = own_records_of {
            select.push(" and (n.lead_id is null or exists (select from leads l where l.tenant_id = n.tenant_id and l.id = n.lead_id and l.owner_id = any (");
            select.push_bind(owners.to_vec()).push(")))");
        }
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "n", &query.page);
    let rows = select.build_query_as::<Notification>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// Marks a colleague's notifications as read: the given ones, or all. Answers how many were not before.
///
/// # Errors
/// When the database refuses.
pub async fn mark_read(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    user: Uuid,
    ids: Option<&[Uuid]>,
    own_records_of: Owners<'_>,
) -> DbResult<u64> {
    let marked = sqlx::query!(
        "update notifications n set read_at = $3
          where n.tenant_id = $1 and n.user_id = $2 and n.read_at is null and ($4::uuid[] is null or n.id = any($4))
            and ($5::uuid[] is null or n.lead_id is null or exists (
                 select from leads l where l.tenant_id = $1 and l.id = n.lead_id and l.owner_id = any ($5)))",
        tx.tenant(),
        user,
        now,
        ids,
        own_records_of,
    )
    .execute(tx.conn())
    .await?;
    Ok(marked.rows_affected())
}
