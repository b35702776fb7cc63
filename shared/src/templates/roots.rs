//! What templates can name.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::db::{DbResult, TenantTx};

/// The roots `lead`, `tenant`, `user`, `event`, `vars` of a template's context. The person's data have the API's names.
/// `lead` may be left out for a preview; an unknown one gives an empty root.
///
/// # Errors
/// When the database refuses.
pub async fn roots(
    tx: &mut TenantTx,
    lead: Option<Uuid>,
    user: Option<Uuid>,
    vars: Value,
) -> DbResult<Value> {
    let row = sqlx::query!(
        r#"select jsonb_build_object('id', t.id, 'name', t.name, 'slug', t.slug, 'timezone', t.timezone,
                                     'country', t.country, 'currency', t.currency, 'locale', t.locale) as "tenant!",
                  case when l.id is null then '{}'::jsonb else lead_facts(l) end as "lead!",
                  case when u.id is null then '{}'::jsonb
                       else jsonb_build_object('id', u.id, 'name', u.name, 'email', u.email) end as "user!"
             from tenants t
             left join leads l on l.tenant_id = $1 and l.id = $2
             left join users u on u.tenant_id = $1 and u.id = $3
            where t.id = $1"#,
        tx.tenant(),
        lead,
        user,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(json!({"tenant": row.tenant, "lead": row.lead, "user": row.user, "event": {}, "vars": vars}))
}
