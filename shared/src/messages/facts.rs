//! What must be known about recipients before a message to them can be judged: two statements for any number.

use chrono_tz::Tz;
use serde_json::Value;
use uuid::Uuid;

use super::{Channel, ConnectionState, PlannedMessage};
use crate::{
    accounts::QuietHours,
    crypto::AddressHasher,
    db::{DbResult, TenantTx},
    private::Private,
};

/// What is known about the recipient of one message.
pub(super) struct Recipient {
    /// Where it goes.
    pub(super) address: Option<Private<String>>,
    /// Whether the person was moved to the bin or erased.
    pub(super) gone: bool,
    /// Why the address must be left alone.
    pub(super) suppression: Option<String>,
    /// The latest word on consent.
    pub(super) consent: Option<String>,
    /// The person's zone, or else the business's.
    pub(super) zone: Tz,
    /// The business's quiet hours.
    pub(super) quiet: QuietHours,
    /// The account that it will leave through; none is the sandbox.
    pub(super) connection_id: Option<Uuid>,
    /// Whether that account can be used.
    pub(super) connection: ConnectionState,
    /// The provider's word.
    pub(super) provider: String,
}

struct Row {
    email: Option<Private<String>>,
    phone: Option<Private<String>>,
    timezone: Option<String>,
    gone: bool,
    consent: Option<String>,
    connection_id: Option<Uuid>,
    connection_status: Option<String>,
    provider: Option<String>,
    quiet: Option<Value>,
}

/// The recipients, in the order of the messages.
pub(super) async fn recipients(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    messages: &[PlannedMessage],
) -> DbResult<Vec<Recipient>> {
    let tenant_zone = tx.zone();
    let rows = rows(tx, messages).await?;
    let mut recipients: Vec<Recipient> = rows
        .into_iter()
        .zip(messages)
        .map(|(row, message)| {
            let known = match message.channel {
                Channel::Email => row.email,
                Channel::Sms | Channel::Whatsapp => row.phone,
                Channel::InApp => Some(Private::new(message.lead_id.to_string())),
            };
            Recipient {
                address: message.to.clone().or(known),
                gone: row.gone,
                suppression: None,
                consent: row.consent,
                zone: row.timezone.and_then(|zone| zone.parse().ok()).unwrap_or(tenant_zone),
                quiet: row.quiet.and_then(|quiet| serde_json::from_value(quiet).ok()).unwrap_or_default(),
                connection_id: row.connection_id,
                connection: ConnectionState::read(row.connection_status.as_deref()),
                provider: row.provider.unwrap_or_else(|| "sandbox".to_owned()),
            }
        })
        .collect();
    note_suppressions(tx, hasher, messages, &mut recipients).await?;
    Ok(recipients)
}

async fn rows(tx: &mut TenantTx, messages: &[PlannedMessage]) -> DbResult<Vec<Row>> {
    let leads: Vec<Uuid> = messages.iter().map(|message| message.lead_id).collect();
    let channels: Vec<&str> = messages.iter().map(|message| message.channel.word()).collect();
    let purposes: Vec<&str> = messages.iter().map(|message| message.purpose.word()).collect();
    let connections: Vec<Option<Uuid>> = messages.iter().map(|message| message.connection).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"
        select l.email as "email: _", l.phone as "phone: _", l.timezone,
               l.id is null or l.deleted_at is not null or l.erased_at is not null as "gone!",
               consent.state as "consent?", c.id as "connection_id?", c.status as "connection_status?",
               c.provider as "provider?", t.settings -> 'quietHours' as "quiet?"
          from unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[]) with ordinality
                 as ask (lead_id, channel, purpose, connection_id, place)
          left join tenants t on t.id = $1
          left join leads l on l.tenant_id = $1 and l.id = ask.lead_id
          left join connections c on c.tenant_id = $1 and c.channel = ask.channel
                and (c.id = ask.connection_id or (ask.connection_id is null and c.is_default))
          left join lateral (
              select state from consents
               where tenant_id = $1 and lead_id = ask.lead_id and purpose = ask.purpose and channel = ask.channel
               order by effective_at desc, id desc limit 1
          ) consent on true
         order by ask.place
        "#,
        tx.tenant(),
        &leads,
        &channels as &[&str],
        &purposes as &[&str],
        &connections as &[Option<Uuid>],
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

async fn note_suppressions(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    messages: &[PlannedMessage],
    recipients: &mut [Recipient],
) -> DbResult<()> {
    let (mut places, mut channels, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for (place, (recipient, message)) in (0_i64..).zip(recipients.iter().zip(messages)) {
        let Some(address) = &recipient.address else { continue };
        for hash in hasher.candidates(tx.tenant(), message.channel.address_kind(), address.expose()) {
            places.push(place);
            channels.push(message.channel.word());
            hashes.push(hash.to_vec());
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    let found = sqlx::query!(
        r#"select ask.place as "place!", s.reason
             from unnest($2::int8[], $3::text[], $4::bytea[]) as ask (place, channel, hash)
             join suppressions s on s.tenant_id = $1 and s.channel = ask.channel and s.address_hash = ask.hash"#,
        tx.tenant(),
        &places,
        &channels as &[&str],
        &hashes,
    )
    .fetch_all(tx.conn())
    .await?;
    for row in found {
        if let Some(recipient) = usize::try_from(row.place).ok().and_then(|place| recipients.get_mut(place)) {
            recipient.suppression = Some(row.reason);
        }
    }
    Ok(())
}
