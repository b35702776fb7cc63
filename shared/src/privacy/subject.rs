//! Who one person is: all leads that became one, and the texts by which other tables know them.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
};

/// Shorter texts are found everywhere and prove nothing.
const SHORTEST_NEEDLE: usize = 7;
/// The digits that a number ends in, however its beginning was written.
const DISTINCT_DIGITS: usize = 9;

/// One person, or several whose fate is the same.
#[derive(Debug)]
pub struct Subject {
    /// Their leads, with those that were merged into them.
    pub leads: Vec<Uuid>,
    /// Addresses and numbers, as a text may hold them, in lower case.
    pub(super) needles: Vec<String>,
    /// Their names as visitors of the website.
    pub(super) visitors: Vec<String>,
    /// E-mail addresses and telephone numbers: (`email` or `phone`, lead, value).
    pub(super) addresses: Vec<(String, Uuid, String)>,
}

/// The person behind a lead, be it in the bin.
///
/// # Errors
/// When the database refuses.
pub async fn find_subject(
    tx: &mut TenantTx,
    lead: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<Subject>> {
    let found = sqlx::query_scalar!(
        "select id from leads
          where tenant_id = $1 and id = $2 and merged_into_id is null and erased_at is null
            and ($3::uuid[] is null or owner_id = any ($3))",
        tx.tenant(),
        lead,
        own_records_of,
    )
    .fetch_optional(tx.conn())
    .await?;
    match found {
        Some(lead) => gather(tx, &[lead]).await.map(Some),
        None => Ok(None),
    }
}

/// The same, with the lead's row locked: nothing new hangs itself on it until the transaction ends.
///
/// # Errors
/// When the database refuses.
pub async fn lock_subject(
    tx: &mut TenantTx,
    lead: Uuid,
    own_records_of: Owners<'_>,
) -> DbResult<Option<Subject>> {
    sqlx::query!("select id from leads where tenant_id = $1 and id = $2 for update", tx.tenant(), lead)
        .fetch_optional(tx.conn())
        .await?;
    find_subject(tx, lead, own_records_of).await
}

/// The persons behind leads that exist.
pub(super) async fn gather(tx: &mut TenantTx, roots: &[Uuid]) -> DbResult<Subject> {
    let leads = sqlx::query_scalar!(
        r#"with recursive person as (
               select id from leads where tenant_id = $1 and id = any($2)
               union
               select l.id from person p join leads l on l.tenant_id = $1 and l.merged_into_id = p.id
           )
           select id as "id!" from person order by id"#,
        tx.tenant(),
        roots,
    )
    .fetch_all(tx.conn())
    .await?;
    let known = sqlx::query!(
        r#"select i.kind as "kind!", i.lead_id as "lead_id!",
                  case when i.normalized like 'bin:%' then substr(i.normalized, length('bin:' || i.id || ':') + 1)
                       else i.normalized end as "value!"
             from lead_identities i where i.tenant_id = $1 and i.lead_id = any($2)
           union
           select case when m.channel = 'email' then 'email' else 'phone' end, m.lead_id,
                  case m.direction when 'inbound' then m.from_address else m.to_address end
             from messages m
            where m.tenant_id = $1 and m.lead_id = any($2) and m.channel in ('email', 'sms', 'whatsapp')
              and case m.direction when 'inbound' then m.from_address else m.to_address end is not null
           union
           select 'visitor', e.lead_id, e.visitor_id from cta_events e
            where e.tenant_id = $1 and e.lead_id = any($2) and e.visitor_id is not null"#,
        tx.tenant(),
        &leads,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut needles = BTreeSet::new();
    let (mut visitors, mut addresses) = (Vec::new(), Vec::new());
    for identity in known {
        needles.extend(needles_of(&identity.kind, &identity.value));
        match identity.kind.as_str() {
            "visitor" => visitors.push(identity.value),
            "email" | "phone" => addresses.push((identity.kind, identity.lead_id, identity.value)),
            _ => {}
        }
    }
    Ok(Subject { leads, needles: needles.into_iter().collect(), visitors, addresses })
}

/// How a body may spell an identity: plain or percent-encoded, a number also without the country in front.
fn needles_of(kind: &str, value: &str) -> Vec<String> {
    let value = value.trim().to_lowercase();
    let mut spelled = match kind {
        "email" => {
            let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            vec![encoded.to_lowercase(), value]
        }
        "phone" => {
            let digits: String = value.chars().filter(char::is_ascii_digit).collect();
            let tail = digits.len().checked_sub(DISTINCT_DIGITS).and_then(|at| digits.get(at..));
            tail.map_or_else(|| vec![digits.clone()], |tail| vec![tail.to_owned()])
        }
        "external" => value.split_once(':').map(|(_, id)| id.to_owned()).into_iter().collect(),
        _ => vec![value],
    };
    spelled.retain(|needle| needle.len() >= SHORTEST_NEEDLE);
    spelled
}

#[cfg(test)]
mod tests {
    use super::needles_of;

    #[test]
    fn an_identity_is_looked_for_as_bodies_spell_it() {
        assert_eq!(needles_of("email", "Ada@Example.com"), ["ada%40example.com", "ada@example.com"]);
        assert_eq!(needles_of("phone", "+491712345678"), ["712345678"]);
        assert_eq!(needles_of("phone", "+3531234567"), ["531234567"]);
        assert_eq!(needles_of("external", "stripe:cus_123456"), ["cus_123456"]);
        assert_eq!(needles_of("visitor", "v1"), [""; 0]);
    }
}
