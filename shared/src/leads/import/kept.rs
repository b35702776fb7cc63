//! What a rehearsal would have done so far.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, to_value};
use uuid::Uuid;

use super::plan::Plan;
use crate::{
    db::{DbError, DbResult, TenantTx},
    leads::{Lead, drafts::Draft},
};

/// A lead as the rehearsal left it.
#[derive(Serialize, Deserialize)]
struct Kept {
    lead: Lead,
    is_new: bool,
    said: Vec<(String, String, String)>,
}

fn of_lead(lead: Uuid) -> String {
    format!("lead:{lead}")
}

fn of_identity(kind: &str, value: &str) -> String {
    format!("{kind}:{value}")
}

/// Who would have one of these identities by now.
pub(super) async fn owners(
    tx: &mut TenantTx,
    job: Uuid,
    identities: &[(String, String)],
) -> DbResult<HashMap<(String, String), Uuid>> {
    let keys: Vec<String> = identities.iter().map(|(kind, value)| of_identity(kind, value)).collect();
    let rows = sqlx::query!(
        "select key, lead_id from job_drafts where tenant_id = $1 and job_id = $2 and key = any ($3)",
        tx.tenant(),
        job,
        &keys,
    )
    .fetch_all(tx.conn())
    .await?;
    let pair = |key: &str| key.split_once(':').map(|(kind, value)| (kind.to_owned(), value.to_owned()));
    Ok(rows.into_iter().filter_map(|row| Some((pair(&row.key)?, row.lead_id))).collect())
}

/// Lays what the rehearsal left over what is there.
pub(super) async fn overlay(tx: &mut TenantTx, job: Uuid, ids: &[Uuid], plan: &mut Plan<'_>) -> DbResult<()> {
    let keys: Vec<String> = ids.iter().map(|id| of_lead(*id)).collect();
    let rows = sqlx::query_scalar!(
        r#"select state as "state!" from job_drafts where tenant_id = $1 and job_id = $2 and key = any ($3)"#,
        tx.tenant(),
        job,
        &keys,
    )
    .fetch_all(tx.conn())
    .await?;
    for state in rows {
        let Kept { lead, is_new, said } =
            serde_json::from_value(state).map_err(|error| DbError::Defect(error.to_string()))?;
        let words = said.into_iter().map(|(channel, purpose, state)| ((channel, purpose), state));
        plan.said.insert(lead.id, words.collect());
        plan.drafts.insert(lead.id, Draft { is_new, is_changed: false, ..Draft::of(lead) });
    }
    Ok(())
}

/// Keeps what a portion would have done.
pub(super) async fn keep(tx: &mut TenantTx, job: Uuid, plan: &Plan<'_>) -> DbResult<()> {
    let (mut keys, mut leads, mut states): (Vec<String>, Vec<Uuid>, Vec<Option<Value>>) =
        (vec![], vec![], vec![]);
    for id in &plan.touched {
        let Some(draft) = plan.drafts.get(id) else { continue };
        let said = plan.said.get(id).into_iter().flatten();
        let kept = Kept {
            lead: draft.lead.clone(),
            is_new: draft.is_new,
            said: said
                .map(|((channel, purpose), state)| (channel.clone(), purpose.clone(), state.clone()))
                .collect(),
        };
        keys.push(of_lead(*id));
        leads.push(*id);
        states.push(Some(to_value(&kept).map_err(|error| DbError::Defect(error.to_string()))?));
        for added in &draft.added {
            keys.push(of_identity(added.kind, &added.value));
            leads.push(*id);
            states.push(None);
        }
    }
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into job_drafts (tenant_id, job_id, key, lead_id, state)
         select $1, $2, d.key, d.lead_id, d.state from unnest($3::text[], $4::uuid[], $5::jsonb[]) as d (key, lead_id, state)
         on conflict (tenant_id, job_id, key) do update set lead_id = excluded.lead_id, state = excluded.state",
        tx.tenant(),
        job,
        &keys,
        &leads,
        &states as &[Option<Value>],
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
