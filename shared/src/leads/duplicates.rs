//! Leads that may be one person.
//!
//! An e-mail address or number belongs to one lead only, so what is left to find are people with two addresses, a number
//! written in two ways, a name written twice. Each sign is a key that both must share; signs add up like independent
//! evidence. A key that more than 20 leads share (a common name, a family's number) says nothing and is left out.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
};

/// Two leads that may be one person.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Duplicate {
    /// The two, the older one first.
    pub lead_ids: Vec<Uuid>,
    /// How likely they are one, from 0 to 1.
    pub score: f64,
    /// `emailAlias` (one mailbox), `sameEmailName` (the same name at two hosts), `samePhoneDigits` (the last nine), `sameName`.
    pub reasons: Vec<String>,
}

/// The likeliest pairs, among the records that the caller may see.
///
/// # Errors
/// When the database refuses.
pub async fn list_duplicates(
    tx: &mut TenantTx,
    min_score: f64,
    limit: i64,
    own_records_of: Owners<'_>,
) -> DbResult<Vec<Duplicate>> {
    let pairs = sqlx::query_as!(
        Duplicate,
        r#"with live as (
               select id, lower(first_name) || ' ' || lower(last_name) as name from leads
                where tenant_id = $1 and deleted_at is null and merged_into_id is null and ($4::uuid[] is null or owner_id = any ($4))
           ), mailboxes as (
               select i.lead_id, split_part(i.normalized, '@', 2) as host,
                      split_part(split_part(i.normalized, '@', 1), '+', 1) as mailbox
                 from lead_identities i where i.tenant_id = $1 and i.kind = 'email'
           ), signs as (
               select 'sameName' as reason, 0.6::float8 as weight, id as lead_id, name as key from live where name is not null
               union
               select 'emailAlias', 0.95, lead_id,
                      case when host in ('gmail.com', 'googlemail.com') then replace(mailbox, '.', '') || '@gmail.com'
                           else mailbox || '@' || host end
                 from mailboxes
               union
               select 'sameEmailName', 0.5, lead_id, mailbox from mailboxes
                where length(mailbox) >= 6 and mailbox not in ('contact', 'kontakt', 'office', 'service', 'support')
               union
               select 'samePhoneDigits', 0.7, i.lead_id, right(i.normalized, 9) from lead_identities i
                where i.tenant_id = $1 and i.kind = 'phone' and length(i.normalized) >= 10
           ), sharing as (
               select s.reason, s.weight, array_agg(distinct s.lead_id) as leads
                 from signs s join live on live.id = s.lead_id
                group by s.reason, s.weight, s.key
               having count(distinct s.lead_id) between 2 and 20
           ), pairs as (
               select a.id as first, b.id as second, s.reason, max(s.weight) as weight
                 from sharing s, unnest(s.leads) as a (id), unnest(s.leads) as b (id)
                where a.id < b.id
                group by a.id, b.id, s.reason
           )
           select array[first, second] as "lead_ids!", round((1 - exp(sum(ln(1 - weight))))::numeric, 3)::float8 as "score!",
                  array_agg(reason order by weight desc, reason) as "reasons!"
             from pairs
            group by first, second
           having 1 - exp(sum(ln(1 - weight))) >= $2
            order by 2 desc, first, second
            limit $3"#,
        tx.tenant(),
        min_score,
        limit,
        own_records_of,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(pairs)
}
