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
    /// Addresses as a text may hold them, in lower case.
    pub(super) needles: Vec<String>,
    /// Telephone numbers: the digits that each ends in, a blank, and the pattern of all its spellings (PostgreSQL's dialect).
    pub(super) numbers: Vec<String>,
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
    let (mut needles, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    let (mut visitors, mut addresses) = (Vec::new(), Vec::new());
    for identity in known {
        needles.extend(needles_of(&identity.kind, &identity.value));
        if identity.kind == "phone" {
            numbers.extend(number_of(&identity.value));
        }
        match identity.kind.as_str() {
            "visitor" => visitors.push(identity.value),
            "email" | "phone" => addresses.push((identity.kind, identity.lead_id, identity.value)),
            _ => {}
        }
    }
    let (needles, numbers) = (needles.into_iter().collect(), numbers.into_iter().collect());
    Ok(Subject { leads, needles, numbers, visitors, addresses })
}

/// How a body may spell an identity that is a text: plain or percent-encoded. Ids that other systems gave are no needles: references
/// lead to what they stand in, and a short one stands in much that is somebody else's.
fn needles_of(kind: &str, value: &str) -> Vec<String> {
    let value = value.trim().to_lowercase();
    let mut spelled = match kind {
        "email" => {
            let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            vec![encoded.to_lowercase(), value]
        }
        "visitor" => vec![value],
        _ => Vec::new(),
    };
    spelled.retain(|needle| needle.len() >= SHORTEST_NEEDLE);
    spelled
}

/// How a text may spell a number: with or without the country in front, with zeros and a plus, and with blanks, brackets and dashes
/// between the digits. No digit touches it, so that it is no piece of a longer number.
fn number_of(value: &str) -> Option<String> {
    /// What may stand between two digits, be it percent-encoded.
    const BETWEEN: &str = "(?:[-+()/.[:blank:]]|%2[0-9a-f])*";
    /// The same around the country, where zeros may be: `+49 (0) 171`.
    const AROUND: &str = "(?:[-+()/.0[:blank:]]|%2[0-9a-f])*";
    let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < SHORTEST_NEEDLE {
        return None;
    }
    let (country, tail) = digits.split_at(digits.len().saturating_sub(DISTINCT_DIGITS));
    let country = country.iter().fold(String::new(), |before, digit| format!("(?:{before}{digit}{AROUND})?"));
    let spelled: Vec<String> = tail.iter().map(char::to_string).collect();
    let pattern = format!("(?<![0-9]){AROUND}{country}{}(?![0-9])", spelled.join(BETWEEN));
    Some(format!("{} {pattern}", tail.iter().collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::{needles_of, number_of};

    #[test]
    fn an_identity_is_looked_for_as_bodies_spell_it() {
        assert_eq!(needles_of("email", "Ada@Example.com"), ["ada%40example.com", "ada@example.com"]);
        assert_eq!(needles_of("external", "stripe:cus_123456"), [""; 0]);
        assert_eq!(needles_of("visitor", "v1"), [""; 0]);
        let number = number_of("+491712345678").unwrap_or_default();
        assert!(number.starts_with("712345678 (?<![0-9])"), "{number}");
        assert_eq!(number_of("112"), None);
    }
}
