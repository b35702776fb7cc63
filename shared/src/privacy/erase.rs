//! Forgetting a person.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::Executor;
use uuid::Uuid;

use super::{
    Subject,
    map::{End, PARTS, Part},
    retained,
};
use crate::{
    crypto::{AddressHasher, Purpose, SecretBoxKeys},
    db::{DbError, DbResult, TenantTx},
    events::{Cause, EventKind, NewEvent, emit},
    messages::{Channel, suppress},
};

/// What was done to the rows of a person.
#[derive(Clone, Debug, Default)]
pub struct Erased {
    /// Rows that are gone, by table.
    pub removed: BTreeMap<&'static str, u64>,
    /// Rows that say nothing personal any more, by table.
    pub emptied: BTreeMap<&'static str, u64>,
}

/// Erases a person: what could still be sent is called off, what names them goes or is emptied, what the law wants stays.
///
/// # Errors
/// When the database refuses.
pub async fn erase(
    tx: &mut TenantTx,
    keys: &SecretBoxKeys,
    now: DateTime<Utc>,
    subject: &Subject,
) -> DbResult<Erased> {
    keep_refusals(tx, keys, now, subject).await?;
    retained::seal_buyers(tx, keys, &subject.leads).await?;
    let gone = gone(tx, keys)?;
    let mut erased = Erased::default();
    for part in PARTS {
        let Some(statement) = statement(part) else { continue };
        let rows = run(tx, &statement, subject, &gone).await?;
        if rows > 0 {
            let place =
                if matches!(part.end, End::Removed) { &mut erased.removed } else { &mut erased.emptied };
            *place.entry(part.table).or_default() += rows;
        }
    }
    Ok(erased)
}

/// Tells `lead.erased` of each lead that was the person, with those that were absorbed: the id, so that whoever was told of it can
/// forget it too. The event hangs on nobody.
///
/// # Errors
/// When the database refuses.
pub async fn tell(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    leads: &[Uuid],
    source: &'static str,
) -> DbResult<()> {
    let events: Vec<NewEvent> = leads
        .iter()
        .map(|lead| NewEvent {
            kind: EventKind::LeadErased,
            subject_id: *lead,
            lead_id: None,
            payload: json!({"id": lead, "erasedAt": now}),
            previous: None,
            source,
            dedupe_key: format!("erased:{lead}"),
            cause: Cause::default(),
            occurred_at: now,
        })
        .collect();
    emit(tx, &events).await
}

fn statement(part: &Part) -> Option<String> {
    let (table, rows) = (part.table, part.rows);
    match part.end {
        End::Removed => Some(format!("delete from {table} t where t.tenant_id = $1 and ({rows})")),
        End::Emptied(columns) => {
            let set: Vec<String> =
                columns.iter().map(|(column, value)| format!("{column} = {value}")).collect();
            Some(format!("update {table} t set {} where t.tenant_id = $1 and ({rows})", set.join(", ")))
        }
        End::Kept => None,
    }
}

async fn run(tx: &mut TenantTx, statement: &str, subject: &Subject, gone: &[u8]) -> DbResult<u64> {
    let tenant = tx.tenant();
    let query = sqlx::query(statement)
        .bind(tenant)
        .bind(&subject.leads)
        .bind(&subject.needles)
        .bind(&subject.visitors)
        .bind(gone)
        .bind(&subject.numbers);
    Ok(tx.conn().execute(query).await?.rows_affected())
}

/// The answer to a repeated request whose first answer told of the person: done, and not to be done again.
fn gone(tx: &TenantTx, keys: &SecretBoxKeys) -> DbResult<Vec<u8>> {
    let answer = json!({"type": "about:blank", "title": "Gone", "status": 410, "code": "person_erased",
        "detail": "This request was done; the person that it was about has been erased since.", "errors": []});
    keys.seal(tx.tenant(), Purpose::StoredResponse, answer.to_string().as_bytes())
        .map_err(|error| DbError::Defect(error.to_string()))
}

/// The ledger of consents goes. What it knew of refusals must outlive it: the addresses join the list of those that are
/// left alone, as keyed hashes.
async fn keep_refusals(
    tx: &mut TenantTx,
    keys: &SecretBoxKeys,
    now: DateTime<Utc>,
    subject: &Subject,
) -> DbResult<()> {
    let refused = sqlx::query!(
        r#"select l.channel as "channel!", l.lead_id as "lead_id!" from (
               select distinct on (c.lead_id, c.channel) c.channel, c.lead_id, c.state from consents c
                where c.tenant_id = $1 and c.lead_id = any($2) and c.purpose = 'marketing' and c.channel <> 'inApp'
                order by c.lead_id, c.channel, c.effective_at desc, c.id desc) l
            where l.state <> 'granted'"#,
        tx.tenant(),
        &subject.leads,
    )
    .fetch_all(tx.conn())
    .await?;
    let hasher = AddressHasher::new(keys).map_err(|error| DbError::Defect(error.to_string()))?;
    for refusal in refused {
        let (channel, kind) = match refusal.channel.as_str() {
            "email" => (Channel::Email, "email"),
            "sms" => (Channel::Sms, "phone"),
            _ => (Channel::Whatsapp, "phone"),
        };
        for (_, _, address) in
            subject.addresses.iter().filter(|(of, lead, _)| of == kind && *lead == refusal.lead_id)
        {
            suppress::suppress(tx, &hasher, now, (channel, address), suppress::Reason::Unsubscribe).await?;
        }
    }
    Ok(())
}
