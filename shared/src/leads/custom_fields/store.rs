//! The definitions in the database.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::QueryBuilder;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{CustomField, CustomFieldPatch, NewCustomField};
use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, Patch, SortField, SortKind},
    ids::new_id,
    leads::list::total,
    values::Line,
};

/// Selects definitions with the checked macro. The head is empty or a `with …`; the tail begins with `from` and calls
/// the row `f`.
macro_rules! query_fields {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::leads::custom_fields::CustomField,
            $head + r#" select f.id, f.entity, f.key, f.label, f.type as kind,
                               array(select jsonb_array_elements_text(f.options)) as "options!", f.required, f.masked,
                               f.is_health_data, f.position, f.created_at, f.updated_at, f.version "# + $tail
            $(, $argument)*
        )
    };
}
pub(super) use query_fields;

/// What custom fields can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CustomFieldFilter {
    /// What has them.
    pub entity: Vec<String>,
}

impl FromQuery for CustomFieldFilter {
    const SORTS: &'static [SortField] = &[
        SortField { word: "createdAt", column: "created_at", kind: SortKind::Time },
        SortField { word: "position", column: "position", kind: SortKind::Number },
        SortField { word: "key", column: "key", kind: SortKind::Text },
    ];

    fn read(params: &mut Params) -> Self {
        Self { entity: params.choices("entity", &["lead"]) }
    }
}

/// One page of custom fields.
///
/// # Errors
/// When the database refuses.
pub async fn list_custom_fields(
    tx: &mut TenantTx,
    query: &ListQuery<CustomFieldFilter>,
) -> DbResult<Page<CustomField>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(format!("{head} from custom_fields f where f.tenant_id = "));
        select.push_bind(tenant);
        push_any(&mut select, "f.entity", &query.filter.entity);
        select
    };
    let mut select = filtered(
        "select f.id, f.entity, f.key, f.label, f.type as kind, array(select jsonb_array_elements_text(f.options)) as options,
                f.required, f.masked, f.is_health_data, f.position, f.created_at, f.updated_at, f.version",
    );
    push_page(&mut select, "f", &query.page);
    let rows = select.build_query_as::<CustomField>().fetch_all(tx.conn()).await?;
    let sort = query.page.sort.word;
    let mut page = query.page.page(rows, |row| Keyset {
        value: match sort {
            "position" => KeysetValue::Number(row.position.into()),
            "key" => KeysetValue::Text(row.key.clone()),
            _ => KeysetValue::Time(row.created_at),
        },
        id: row.id,
    });
    page.total = total(tx, &query.page, || filtered("select count(*)")).await?;
    Ok(page)
}

/// One definition.
///
/// # Errors
/// When the database refuses.
pub async fn find_custom_field(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<CustomField>> {
    let field =
        query_fields!("", "from custom_fields f where f.tenant_id = $1 and f.id = $2", tx.tenant(), id)
            .fetch_optional(tx.conn())
            .await?;
    Ok(field)
}

/// Makes a definition. Values that leads have under the key already stay as they are.
///
/// # Errors
/// `custom_fields_tenant_id_entity_key_key` when the key is taken.
pub async fn insert_custom_field(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: NewCustomField,
) -> DbResult<CustomField> {
    let field = query_fields!(
        "with f as (
             insert into custom_fields (tenant_id, id, entity, key, label, type, options, required, masked,
                                        is_health_data, position, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
             returning *
         )",
        "from f",
        tx.tenant(),
        new_id(),
        new.entity.as_str(),
        new.key,
        new.label.as_str(),
        new.kind.as_str(),
        json!(new.options),
        new.required,
        new.masked,
        new.is_health_data,
        new.position,
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(field)
}

/// Changes a definition that the caller has seen in `version`; `None` when it has changed meanwhile.
///
/// # Errors
/// When the database refuses.
pub async fn update_custom_field(
    tx: &mut TenantTx,
    id: Uuid,
    version: i64,
    patch: &CustomFieldPatch,
) -> DbResult<Option<CustomField>> {
    let options: Option<Value> = match &patch.options {
        Patch::Keep => None,
        Patch::Clear => Some(json!([])),
        Patch::Set(options) => Some(json!(options)),
    };
    let field = query_fields!(
        "with f as (
             update custom_fields set label = coalesce($4, label), options = coalesce($5, options),
                    required = coalesce($6, required), masked = coalesce($7, masked),
                    is_health_data = coalesce($8, is_health_data), position = coalesce($9, position)
              where tenant_id = $1 and id = $2 and version = $3
             returning *
         )",
        "from f",
        tx.tenant(),
        id,
        version,
        patch.label.as_ref().map(Line::as_str),
        options,
        patch.required,
        patch.masked,
        patch.is_health_data,
        patch.position,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(field)
}

/// Removes a definition of this version; `false` when it has another by now. The values stay with the leads.
///
/// # Errors
/// When the database refuses.
pub async fn delete_custom_field(tx: &mut TenantTx, id: Uuid, version: i64) -> DbResult<bool> {
    let deleted = sqlx::query!(
        "delete from custom_fields where tenant_id = $1 and id = $2 and version = $3",
        tx.tenant(),
        id,
        version
    )
    .execute(tx.conn())
    .await?;
    Ok(deleted.rows_affected() == 1)
}
