//! Definitions: written, read, published, paused, archived.

use serde_json::Value;
use sqlx::QueryBuilder;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{graph::Definition, model::Automation};
use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, total},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    ids::new_id,
};

/// Selects automations with the checked macro, as they are edited: the draft where there is one, else what was published. The head is empty or
/// a `with …`; the tail begins with `from` and calls the row `a`.
macro_rules! query_automations {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::automations::Automation,
            $head + r#" select a.id, a.name, a.status,
                   case when a.draft is null then a.trigger else a.draft -> 'trigger' end as "trigger!",
                   case when a.draft is null then a.steps else a.draft -> 'steps' end as "steps!",
                   case when a.draft is null then a.reentry else nullif(a.draft -> 'reentry', 'null') end as reentry,
                   case when a.draft is null then a.goal else nullif(a.draft -> 'goal', 'null') end as goal,
                   case when a.draft is null then a.caps else nullif(a.draft -> 'caps', 'null') end as caps,
                   a.current_version, a.pause_policy, a.published_at, a.created_at, a.updated_at,
                   a.version as row_version "# + $tail
            $(, $argument)*
        )
    };
}
pub(super) use query_automations;

/// What automations can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AutomationFilter {
    /// Statuses. Archived ones are left out unless asked for.
    pub status: Vec<String>,
    /// Types of triggers.
    pub trigger: Vec<String>,
    /// A part of the name.
    pub search: Option<String>,
}

impl FromQuery for AutomationFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        Self {
            status: params.choices("status", &["draft", "active", "paused", "archived"]),
            trigger: params.words("trigger"),
            search: params.text("search"),
        }
    }
}

/// Writes a draft.
///
/// # Errors
/// When the database refuses.
pub async fn insert(
    tx: &mut TenantTx,
    name: &str,
    definition: &Definition,
    author: Option<Uuid>,
) -> DbResult<Automation> {
    let automation = query_automations!(
        "with a as (
             insert into automations (tenant_id, id, name, trigger_type, trigger, steps, reentry, goal, caps, created_by)
             values ($1, $2, $3, $4::jsonb ->> 'type', $4, $5, $6, $7, $8, $9)
             returning *
         )",
        "from a",
        tx.tenant(),
        new_id(),
        name,
        definition.trigger,
        Value::Array(definition.steps.clone()),
        definition.reentry.clone(),
        definition.goal.clone(),
        definition.caps.clone(),
        author,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(automation)
}

/// The automation.
///
/// # Errors
/// When the database refuses.
pub async fn find(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Automation>> {
    let found =
        query_automations!("", "from automations a where a.tenant_id = $1 and a.id = $2", tx.tenant(), id)
            .fetch_optional(tx.conn())
            .await?;
    Ok(found)
}

/// The same, locked until the transaction ends: for changes that depend on what is there.
///
/// # Errors
/// When the database refuses.
pub async fn find_for_update(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Automation>> {
    let found = query_automations!(
        "",
        "from automations a where a.tenant_id = $1 and a.id = $2 for no key update",
        tx.tenant(),
        id
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found)
}

/// One page of automations.
///
/// # Errors
/// When the database refuses.
pub async fn list(tx: &mut TenantTx, query: &ListQuery<AutomationFilter>) -> DbResult<Page<Automation>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select a.id, a.name, a.status,
                case when a.draft is null then a.trigger else a.draft -> 'trigger' end as trigger,
                case when a.draft is null then a.steps else a.draft -> 'steps' end as steps,
                case when a.draft is null then a.reentry else nullif(a.draft -> 'reentry', 'null') end as reentry,
                case when a.draft is null then a.goal else nullif(a.draft -> 'goal', 'null') end as goal,
                case when a.draft is null then a.caps else nullif(a.draft -> 'caps', 'null') end as caps,
                a.current_version, a.pause_policy, a.published_at, a.created_at, a.updated_at, a.version as row_version
           from automations a where a.tenant_id = ");
        select.push_bind(tenant);
        if query.filter.status.is_empty() {
            select.push(" and a.status <> 'archived'");
        }
        push_any(&mut select, "a.status", &query.filter.status);
        push_any(&mut select, "a.trigger_type", &query.filter.trigger);
        if let Some(text) = &query.filter.search {
            // A tenant has tens of these, so a scan of its own rows is quick.
            select.push(" and strpos(lower(a.name), lower(").push_bind(text.clone()).push(")) > 0");
        }
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "a", &query.page);
    let rows = select.build_query_as::<Automation>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// Rewrites the draft. What was published goes on as it is until the draft is published too.
///
/// # Errors
/// When the database refuses.
pub async fn update(
    tx: &mut TenantTx,
    id: Uuid,
    name: &str,
    definition: &Definition,
) -> DbResult<Option<Automation>> {
    let (draft, _) = definition.to_graph();
    let automation = query_automations!(
        "with edited as (select $4::jsonb as draft), a as (
             update automations set
                    name = $3,
                    draft = case when current_version is null then null else edited.draft end,
                    trigger_type = case when current_version is null then edited.draft -> 'trigger' ->> 'type' else trigger_type end,
                    trigger = case when current_version is null then edited.draft -> 'trigger' else trigger end,
                    steps = case when current_version is null then edited.draft -> 'steps' else steps end,
                    reentry = case when current_version is null then nullif(edited.draft -> 'reentry', 'null') else reentry end,
                    goal = case when current_version is null then nullif(edited.draft -> 'goal', 'null') else goal end,
                    caps = case when current_version is null then nullif(edited.draft -> 'caps', 'null') else caps end
               from edited
              where tenant_id = $1 and id = $2 and status <> 'archived'
             returning automations.*
         )",
        "from a",
        tx.tenant(),
        id,
        name,
        draft,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(automation)
}
