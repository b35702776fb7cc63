//! What happened with a lead, and what is to be done.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range},
    },
    http::{Check, FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    ids::new_id,
    private::Private,
    values::{Line, Prose, Word},
};

/// An activity: a note, a call, a task, a visit, or something that the system noticed.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// The activity.
    pub id: Uuid,
    /// The person.
    pub lead_id: Uuid,
    /// `note`, `call`, `task`, `visit`, `booking`, `form`, `stage`, `system` …
    pub kind: String,
    /// One line.
    pub title: Option<Private<String>>,
    /// The text.
    pub body: Option<Private<String>>,
    /// What the kind adds.
    #[schema(value_type = Object)]
    pub data: Private<Value>,
    /// The user, key or run behind it.
    pub actor_id: Option<Uuid>,
    /// Tasks: until when.
    pub due_at: Option<DateTime<Utc>>,
    /// Tasks: done when.
    pub done_at: Option<DateTime<Utc>>,
    /// Tasks: by whom.
    pub assignee_id: Option<Uuid>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
}

/// An activity that is about to be recorded.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewActivity {
    /// `note`, `call`, `task`, `visit`, `booking` …
    pub kind: Word,
    /// One line.
    #[serde(default)]
    pub title: Option<Line>,
    /// The text.
    #[serde(default)]
    pub body: Option<Prose>,
    /// What the kind adds.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// Tasks: until when.
    #[serde(default)]
    pub due_at: Option<DateTime<Utc>>,
    /// Tasks: by whom.
    #[serde(default)]
    pub assignee_id: Option<Uuid>,
    /// When it happened; now when left out.
    #[serde(default)]
    pub occurred_at: Option<DateTime<Utc>>,
}

impl Check for NewActivity {}

/// What a lead's activities can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ActivityFilter {
    /// Kinds.
    pub kind: Vec<String>,
    /// Happened at or after.
    pub from: Option<DateTime<Utc>>,
    /// Happened before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for ActivityFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "occurredAt", column: "occurred_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self { kind: params.words("kind"), from, to }
    }
}

/// One page of a lead's activities.
///
/// # Errors
/// When the database refuses.
pub async fn list_activities(
    tx: &mut TenantTx,
    lead: Uuid,
    query: &ListQuery<ActivityFilter>,
) -> DbResult<Page<Activity>> {
    let mut select = QueryBuilder::new(
        "select a.id, a.lead_id, a.kind, a.title, a.body, a.data, a.actor_id, a.due_at, a.done_at, a.assignee_id,
                a.occurred_at
           from activities a where a.tenant_id = ",
    );
    select.push_bind(tx.tenant()).push(" and a.lead_id = ").push_bind(lead);
    push_any(&mut select, "a.kind", &query.filter.kind);
    push_range(&mut select, "a.occurred_at", (query.filter.from, query.filter.to));
    push_page(&mut select, "a", &query.page);
    let rows = select.build_query_as::<Activity>().fetch_all(tx.conn()).await?;
    Ok(query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.occurred_at), id: row.id }))
}

/// Records an activity and notes on the lead that something happened.
///
/// # Errors
/// `activities_lead_id_fkey` for an unknown lead, `activities_assignee_id_fkey` for an unknown assignee.
pub async fn insert_activity(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    lead: Uuid,
    new: NewActivity,
    actor: (&str, Option<Uuid>),
) -> DbResult<Activity> {
    let activity = sqlx::query_as!(
        Activity,
        r#"with touched as (
               update leads set last_activity_at = greatest(last_activity_at, $3) where tenant_id = $1 and id = $2
           )
           insert into activities (tenant_id, id, lead_id, kind, title, body, data, actor_kind, actor_id, due_at,
                                   assignee_id, occurred_at)
           values ($1, $4, $2, $5, $6, $7, $8, $9, $10, $11, $12, $3)
           returning id, lead_id, kind, title as "title: _", body as "body: _", data as "data: _", actor_id, due_at,
                     done_at, assignee_id, occurred_at"#,
        tx.tenant(),
        lead,
        new.occurred_at.unwrap_or(now),
        new_id(),
        new.kind.as_str(),
        new.title.map(Line::into_string),
        new.body.map(Prose::into_string),
        Value::Object(new.data),
        actor.0,
        actor.1,
        new.due_at,
        new.assignee_id,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(activity)
}
