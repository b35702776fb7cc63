//! Policies in the database.

use chrono::{DateTime, Utc};
use serde_json::{Value, to_value};
use sqlx::{QueryBuilder, types::Json};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{AssignmentPolicy, NewPolicy, PolicyPatch};
use crate::{
    auth::Owners,
    db::{DbResult, TenantTx, keyset::push_page},
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    ids::new_id,
    values::Line,
};

/// The row as [`AssignmentPolicy`] reads it.
const COLUMNS: &str = "p.id, p.name, p.strategy, p.conditions, p.for_new_leads, p.position, p.working_hours, p.fallback_user_id,
    p.created_at, p.updated_at, p.version,
    (select coalesce(jsonb_agg(jsonb_build_object('userId', m.user_id, 'weight', m.weight, 'capacity', m.capacity) order by m.position), '[]')
       from assignment_members m where m.tenant_id = p.tenant_id and m.policy_id = p.id) as members";

/// What policies can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PolicyFilter {
    /// Whether new leads are offered to it.
    pub for_new_leads: Option<bool>,
}

impl FromQuery for PolicyFilter {
    const SORTS: &'static [SortField] = &[
        SortField { word: "createdAt", column: "created_at", kind: SortKind::Time },
        SortField { word: "position", column: "position", kind: SortKind::Number },
    ];

    fn read(params: &mut Params) -> Self {
        Self { for_new_leads: params.flag("forNewLeads") }
    }
}

/// One page of policies.
///
/// # Errors
/// When the database refuses.
pub async fn list_policies(
    tx: &mut TenantTx,
    query: &ListQuery<PolicyFilter>,
) -> DbResult<Page<AssignmentPolicy>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select =
            QueryBuilder::new(format!("select {head} from assignment_policies p where p.tenant_id = "));
        select.push_bind(tenant);
        if let Some(wanted) = query.filter.for_new_leads {
            select.push(" and p.for_new_leads = ").push_bind(wanted);
        }
        select
    };
    let mut select = filtered(COLUMNS);
    push_page(&mut select, "p", &query.page);
    let rows = select.build_query_as::<AssignmentPolicy>().fetch_all(tx.conn()).await?;
    let by_position = query.page.sort.word == "position";
    let mut page = query.page.page(rows, |row| Keyset {
        value: if by_position {
            KeysetValue::Number(row.position.into())
        } else {
            KeysetValue::Time(row.created_at)
        },
        id: row.id,
    });
    if query.page.include_total {
        page.total = Some(filtered("count(*)").build_query_scalar().fetch_one(tx.conn()).await?);
    }
    Ok(page)
}

/// One policy.
///
/// # Errors
/// When the database refuses.
pub async fn find_policy(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<AssignmentPolicy>> {
    let mut select =
        QueryBuilder::new(format!("select {COLUMNS} from assignment_policies p where p.tenant_id = "));
    select.push_bind(tx.tenant()).push(" and p.id = ").push_bind(id);
    Ok(select.build_query_as().fetch_optional(tx.conn()).await?)
}

/// The policies that new leads are offered to, in order.
pub(super) async fn policies_for_new_leads(tx: &mut TenantTx) -> DbResult<Vec<AssignmentPolicy>> {
    let mut select =
        QueryBuilder::new(format!("select {COLUMNS} from assignment_policies p where p.tenant_id = "));
    select.push_bind(tx.tenant()).push(" and p.for_new_leads order by p.position, p.created_at, p.id");
    Ok(select.build_query_as().fetch_all(tx.conn()).await?)
}

/// Makes a policy.
///
/// # Errors
/// `assignment_members_user_id_fkey` and `assignment_policies_fallback_user_id_fkey` for an unknown colleague.
pub async fn insert_policy(tx: &mut TenantTx, now: DateTime<Utc>, new: &NewPolicy) -> DbResult<Uuid> {
    let id = new_id();
    sqlx::query!(
        "with made as (
             insert into assignment_policies (tenant_id, id, name, strategy, conditions, for_new_leads, position, working_hours,
                                              fallback_user_id, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
         )
         insert into assignment_members (tenant_id, policy_id, user_id, position, weight, capacity)
         select $1, $2, (m.member ->> 'userId')::uuid, m.place, (m.member ->> 'weight')::int, (m.member ->> 'capacity')::int
           from jsonb_array_elements($11::jsonb) with ordinality as m (member, place)",
        tx.tenant(),
        id,
        new.name.as_str(),
        new.strategy.word(),
        new.conditions,
        new.for_new_leads,
        new.position,
        new.working_hours,
        new.fallback_user_id,
        now,
        to_value(&new.members).unwrap_or_default(),
    )
    .execute(tx.conn())
    .await?;
    Ok(id)
}

/// Changes a policy that the caller has seen in `version`; false when it has changed meanwhile.
///
/// # Errors
/// As [`insert_policy`].
pub async fn update_policy(tx: &mut TenantTx, id: Uuid, version: i64, patch: PolicyPatch) -> DbResult<bool> {
    let (sets_conditions, conditions) = patch.conditions.into_parts();
    let (sets_fallback, fallback) = patch.fallback_user_id.into_parts();
    let members: Option<Value> = patch.members.and_then(|members| to_value(members).ok());
    let changed = sqlx::query_scalar!(
        r#"with changed as (
             update assignment_policies
                set name = coalesce($4, name), strategy = coalesce($5, strategy),
                    conditions = case when $6 then $7 else conditions end, for_new_leads = coalesce($8, for_new_leads),
                    position = coalesce($9, position), working_hours = coalesce($10, working_hours),
                    fallback_user_id = case when $11 then $12 else fallback_user_id end
              where tenant_id = $1 and id = $2 and version = $3
             returning id
         ), given as (
             select (m.member ->> 'userId')::uuid as user_id, m.place, (m.member ->> 'weight')::int as weight,
                    (m.member ->> 'capacity')::int as capacity
               from changed, jsonb_array_elements($13::jsonb) with ordinality as m (member, place)
         ), gone as (
             delete from assignment_members m using changed c
              where m.tenant_id = $1 and m.policy_id = c.id and $13::jsonb is not null
                and m.user_id not in (select g.user_id from given g)
         ), came as (
             insert into assignment_members as m (tenant_id, policy_id, user_id, position, weight, capacity)
             select $1, $2, g.user_id, g.place, g.weight, g.capacity from given g
             on conflict (tenant_id, policy_id, user_id) do update
                set position = excluded.position, weight = excluded.weight, capacity = excluded.capacity
         )
         select exists (select from changed) as "changed!""#,
        tx.tenant(),
        id,
        version,
        patch.name.as_ref().map(Line::as_str),
        patch.strategy.map(super::Strategy::word),
        sets_conditions,
        conditions,
        patch.for_new_leads,
        patch.position,
        patch.working_hours,
        sets_fallback,
        fallback,
        members,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(changed)
}

/// Removes a policy of this version and forgets its turns; `false` when it has another by now.
///
/// # Errors
/// When the database refuses.
pub async fn delete_policy(tx: &mut TenantTx, id: Uuid, version: i64) -> DbResult<bool> {
    let deleted = sqlx::query!(
        "with turns as (delete from assignment_turns where tenant_id = $1 and name = $4)
         delete from assignment_policies where tenant_id = $1 and id = $2 and version = $3",
        tx.tenant(),
        id,
        version,
        format!("policy:{id}"),
    )
    .execute(tx.conn())
    .await?;
    Ok(deleted.rows_affected() == 1)
}

/// Holds a lead that the caller may see until the transaction ends. False when there is none.
///
/// # Errors
/// When the database refuses.
pub async fn lock_lead(tx: &mut TenantTx, id: Uuid, own_records_of: Owners<'_>) -> DbResult<bool> {
    let held = sqlx::query_scalar!(
        "select id from leads where tenant_id = $1 and id = $2 and deleted_at is null and merged_into_id is null
            and ($3::uuid[] is null or owner_id = any ($3)) for no key update",
        tx.tenant(),
        id,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(held.is_some())
}

/// Takes hold of a rotation's turns.
pub(super) async fn lock_turns(tx: &mut TenantTx, name: &str) -> DbResult<Value> {
    let turns = sqlx::query_scalar!(
        "insert into assignment_turns (tenant_id, name) values ($1, $2)
         on conflict (tenant_id, name) do update set updated_at = now()
         returning turns",
        tx.tenant(),
        name,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(turns)
}

/// Writes a rotation's turns, whose row is held.
pub(super) async fn write_turns(tx: &mut TenantTx, name: &str, turns: Value) -> DbResult<()> {
    sqlx::query!(
        "update assignment_turns set turns = $3 where tenant_id = $1 and name = $2",
        tx.tenant(),
        name,
        turns,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What is known of somebody who could take a turn.
pub(super) struct Colleague {
    pub(super) id: Uuid,
    pub(super) active: bool,
    pub(super) timezone: Option<String>,
    pub(super) availability: Option<Value>,
    /// Open leads; only counted for those who have a limit.
    pub(super) open: i64,
}

pub(super) async fn colleagues(
    tx: &mut TenantTx,
    ids: &[Uuid],
    counted: &[Uuid],
) -> DbResult<Vec<Colleague>> {
    let found = sqlx::query_as!(
        Colleague,
        r#"select u.id, u.status = 'active' as "active!", u.timezone, u.settings -> 'availability' as availability,
                  case when u.id = any ($3) then (
                      select count(*) from leads l
                       where l.tenant_id = $1 and l.owner_id = u.id and l.deleted_at is null and l.merged_into_id is null
                         and l.status not in ('customer', 'lost')) else 0 end as "open!"
             from users u where u.tenant_id = $1 and u.id = any ($2)"#,
        tx.tenant(),
        ids,
        counted,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(found)
}

/// Rows of activities.
pub(super) async fn insert_activities(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    rows: Vec<Value>,
) -> DbResult<()> {
    sqlx::query!(
        "insert into activities (tenant_id, id, lead_id, kind, title, data, actor_kind, actor_id, occurred_at)
         select $1, a.id, a.lead_id, 'assignment', a.title, a.data, a.actor_kind, a.actor_id, $3
           from jsonb_to_recordset($2::jsonb) as a (id uuid, lead_id uuid, title text, data jsonb, actor_kind text, actor_id uuid)",
        tx.tenant(),
        Json(rows) as _,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
