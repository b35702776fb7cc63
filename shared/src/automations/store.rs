//! Definitions: written, read, published, paused, archived.

use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    graph::{Definition, GRAPH_SCHEMA},
    model::{Automation, Version},
};
use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    ids::new_id,
};

/// Selects automations with the checked macro. The head is empty or a `with …`; the tail begins with `from` and calls the row `a`.
macro_rules! query_automations {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Automation,
            $head + r#" select a.id, a.name, a.status, a.trigger, a.steps, a.reentry, a.goal, a.caps, a.current_version,
                               a.pause_policy, a.published_at, a.created_at, a.updated_at, a.version as row_version "# + $tail
            $(, $argument)*
        )
    };
}

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
    const SORTS: &'static [SortField] = &[SortField { word: "createdAt", column: "created_at", kind: SortKind::Time }];

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
pub async fn insert(tx: &mut TenantTx, name: &str, definition: &Definition, author: Option<Uuid>) -> DbResult<Automation> {
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

/// The automation, locked until the transaction ends when it is about to change.
///
/// # Errors
/// When the database refuses.
pub async fn find(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Automation>> {
    let found = query_automations!("", "from automations a where a.tenant_id = $1 and a.id = $2", tx.tenant(), id)
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
    let mut select = QueryBuilder::new(
        "select a.id, a.name, a.status, a.trigger, a.steps, a.reentry, a.goal, a.caps, a.current_version, a.pause_policy,
                a.published_at, a.created_at, a.updated_at, a.version
           from automations a where a.tenant_id = ",
    );
    select.push_bind(tx.tenant());
    if query.filter.status.is_empty() {
        select.push(" and a.status <> 'archived'");
    }
    push_any(&mut select, "a.status", &query.filter.status);
    push_any(&mut select, "a.trigger_type", &query.filter.trigger);
    if let Some(text) = &query.filter.search {
        // A tenant has tens of these, so a scan of its own rows is quick.
        select.push(" and strpos(lower(a.name), lower(").push_bind(text.clone()).push(")) > 0");
    }
    push_page(&mut select, "a", &query.page);
    let rows = select.build_query_as::<Automation>().fetch_all(tx.conn()).await?;
    Ok(query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.created_at), id: row.id }))
}

/// Rewrites the draft. Runs and the published version are not touched.
///
/// # Errors
/// When the database refuses.
pub async fn update(tx: &mut TenantTx, id: Uuid, name: &str, definition: &Definition) -> DbResult<Option<Automation>> {
    let automation = query_automations!(
        "with a as (
             update automations set name = $3, trigger_type = case when status = 'active' then trigger_type else $4::jsonb ->> 'type' end,
                    trigger = $4, steps = $5, reentry = $6, goal = $7, caps = $8
              where tenant_id = $1 and id = $2 and status <> 'archived'
             returning *
         )",
        "from a",
        tx.tenant(),
        id,
        name,
        definition.trigger,
        Value::Array(definition.steps.clone()),
        definition.reentry.clone(),
        definition.goal.clone(),
        definition.caps.clone(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(automation)
}
