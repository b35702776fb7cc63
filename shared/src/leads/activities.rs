//! What happened with a lead, and what is to be done.

mod model;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::QueryBuilder;
use utoipa::IntoParams;
use uuid::Uuid;

pub use model::{Activity, ActivityPatch, NewActivity};

use super::list::total;
use crate::{
    auth::Owners,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    ids::new_id,
    private::Private,
    values::{Line, Prose},
};

/// What activities can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ActivityFilter {
    /// People. Not where the path names one.
    pub lead_id: Vec<Uuid>,
    /// Kinds.
    pub kind: Vec<String>,
    /// Colleagues who are to do it.
    pub assignee_id: Vec<Uuid>,
    /// `true`: done; `false`: still to be done.
    pub done: Option<bool>,
    /// Due at or after.
    pub due_from: Option<DateTime<Utc>>,
    /// Due before; with `done=false` and now it is what is overdue.
    pub due_to: Option<DateTime<Utc>>,
    /// Happened at or after.
    pub from: Option<DateTime<Utc>>,
    /// Happened before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for ActivityFilter {
    const SORTS: &'static [SortField] = &[
        SortField { word: "occurredAt", column: "occurred_at", kind: SortKind::Time },
        // What is due at no time is left out.
        SortField { word: "dueAt", column: "due_at", kind: SortKind::Time },
    ];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self {
            lead_id: params.ids("leadId"),
            kind: params.words("kind"),
            assignee_id: params.ids("assigneeId"),
            done: params.flag("done"),
            due_from: params.instant("dueFrom"),
            due_to: params.instant("dueTo"),
            from,
            to,
        }
    }
}

/// One page of activities, of leads that the caller may see.
///
/// # Errors
/// When the database refuses.
pub async fn list_activities(
    tx: &mut TenantTx,
    query: &ListQuery<ActivityFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Page<Activity>> {
    let (tenant, filter) = (tx.tenant(), &query.filter);
    let by_due = query.page.sort.word == "dueAt";
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(format!("{head} from activities a where a.tenant_id = "));
        select.push_bind(tenant);
        push_any(&mut select, "a.lead_id", &filter.lead_id);
        push_any(&mut select, "a.kind", &filter.kind);
        push_any(&mut select, "a.assignee_id", &filter.assignee_id);
        push_range(&mut select, "a.occurred_at", (filter.from, filter.to));
        push_range(&mut select, "a.due_at", (filter.due_from, filter.due_to));
        if let Some(done) = filter.done {
            select.push(if done { " and a.done_at is not null" } else { " and a.done_at is null" });
        }
        if by_due {
            select.push(" and a.due_at is not null");
        }
        select.push(
            " and exists (select from leads l where l.tenant_id = a.tenant_id and l.id = a.lead_id
                             and l.deleted_at is null and l.merged_into_id is null",
        );
        if let Some(owners) = own_records_of {
            select.push(" and l.owner_id = any (").push_bind(owners.to_vec()).push(")");
        }
        select.push(")");
        select
    };
    let mut select = filtered(
        "select a.id, a.lead_id, a.kind, a.title, a.body, a.data, a.actor_id, a.due_at, a.done_at, a.assignee_id,
                a.occurred_at, a.version",
    );
    push_page(&mut select, "a", &query.page);
    let rows = select.build_query_as::<Activity>().fetch_all(tx.conn()).await?;
    let mut page = query.page.page(rows, |row| {
        let at = row.due_at.filter(|_| by_due).unwrap_or(row.occurred_at);
        Keyset { value: KeysetValue::Time(at), id: row.id }
    });
    page.total = total(tx, &query.page, || filtered("select count(*)")).await?;
    Ok(page)
}

/// One activity of a lead that the caller may see.
///
/// # Errors
/// When the database refuses.
pub async fn find_activity(
    tx: &mut TenantTx,
    id: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<Activity>> {
    let activity = sqlx::query_as!(
        Activity,
        r#"select a.id, a.lead_id, a.kind, a.title as "title: _", a.body as "body: _", a.data as "data: _", a.actor_id,
                  a.due_at, a.done_at, a.assignee_id, a.occurred_at, a.version
             from activities a join leads l on l.tenant_id = $1 and l.id = a.lead_id
            where a.tenant_id = $1 and a.id = $2 and l.deleted_at is null and l.merged_into_id is null
              and ($3::uuid[] is null or l.owner_id = any ($3))"#,
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(activity)
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
                                   assignee_id, done_at, occurred_at)
           values ($1, $4, $2, $5, $6, $7, $8, $9, $10, $11, $12, $13, $3)
           returning id, lead_id, kind, title as "title: _", body as "body: _", data as "data: _", actor_id, due_at,
                     done_at, assignee_id, occurred_at, version"#,
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
        new.done_at,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(activity)
}

/// What an activity was before a change.
#[derive(Clone, Copy, Debug)]
pub struct ActivityBefore {
    /// Its version.
    pub version: i64,
    /// Who was to do it.
    pub assignee_id: Option<Uuid>,
}

/// Changes an activity of a lead that the caller may see.
///
/// # Errors
/// `activities_assignee_id_fkey` for an unknown assignee.
pub async fn update_activity(
    tx: &mut TenantTx,
    id: Uuid,
    own_records_of: Owners<'_>,
    patch: ActivityPatch,
) -> DbResult<Option<(Activity, ActivityBefore)>> {
    let (titled, title) = patch.title.into_parts();
    let (bodied, body) = patch.body.into_parts();
    let (has_data, data) = patch.data.into_parts();
    let (due, due_at) = patch.due_at.into_parts();
    let (done, done_at) = patch.done_at.into_parts();
    let (assigned, assignee_id) = patch.assignee_id.into_parts();
    let row = sqlx::query!(
        r#"update activities a
              set title = case when $4 then $5 else a.title end, body = case when $6 then $7 else a.body end,
                  data = case when $8 then coalesce($9::jsonb, '{}') else a.data end,
                  due_at = case when $10 then $11 else a.due_at end,
                  done_at = case when $12 then $13 else a.done_at end,
                  assignee_id = case when $14 then $15 else a.assignee_id end,
                  occurred_at = coalesce($16, a.occurred_at)
             from leads l, activities before
            where a.tenant_id = $1 and a.id = $2 and l.tenant_id = $1 and l.id = a.lead_id and l.deleted_at is null
              and ($3::uuid[] is null or l.owner_id = any ($3)) and before.tenant_id = $1 and before.id = a.id
           returning a.id, a.lead_id, a.kind, a.title as "title: Private<String>", a.body as "body: Private<String>",
                     a.data as "data: Private<Value>", a.actor_id, a.due_at, a.done_at, a.assignee_id, a.occurred_at, a.version,
                     before.assignee_id as assignee_before"#,
        tx.tenant(),
        id,
        own_records_of,
        titled,
        title.map(Line::into_string),
        bodied,
        body.map(Prose::into_string),
        has_data,
        data.map(Value::Object),
        due,
        due_at,
        done,
        done_at,
        assigned,
        assignee_id,
        patch.occurred_at.as_set().copied(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| {
        // The trigger raises the version by one with each change.
        let before = ActivityBefore { version: row.version - 1, assignee_id: row.assignee_before };
        let activity = Activity {
            id: row.id,
            lead_id: row.lead_id,
            kind: row.kind,
            title: row.title,
            body: row.body,
            data: row.data,
            actor_id: row.actor_id,
            due_at: row.due_at,
            done_at: row.done_at,
            assignee_id: row.assignee_id,
            occurred_at: row.occurred_at,
            version: row.version,
        };
        (activity, before)
    }))
}

/// Deletes an activity of a lead that the caller may see and returns its last version.
///
/// # Errors
/// When the database refuses.
pub async fn delete_activity(
    tx: &mut TenantTx,
    id: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<i64>> {
    let version = sqlx::query_scalar!(
        "delete from activities a using leads l
          where a.tenant_id = $1 and a.id = $2 and l.tenant_id = $1 and l.id = a.lead_id and l.deleted_at is null
            and ($3::uuid[] is null or l.owner_id = any ($3))
         returning a.version",
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(version)
}
