//! Addresses that must be left alone, and what people said about being written to.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Channel;
use crate::{
    crypto::AddressHasher,
    db::{DbResult, TenantTx},
    ids::new_id,
};

/// Why an address is to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The person ordered it by keyword.
    Stop,
    /// The person unsubscribed from advertising.
    Unsubscribe,
    /// The address does not exist.
    Bounce,
    /// The person reported a message as spam.
    Complaint,
}

impl Reason {
    const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Unsubscribe => "unsubscribe",
            Self::Bounce => "bounce",
            Self::Complaint => "complaint",
        }
    }
}

/// Puts an address on the list. Answers whether it was not there before. A weaker reason gives way to a stronger one.
///
/// # Errors
/// When the database refuses.
pub async fn suppress(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    now: DateTime<Utc>,
    (channel, address): (Channel, &str),
    reason: Reason,
) -> DbResult<bool> {
    let hash = hasher.hash(tx.tenant(), channel.address_kind(), address);
    let fresh = sqlx::query_scalar!(
        r#"insert into suppressions (tenant_id, id, channel, address_hash, reason, since)
           values ($1, $2, $3, $4, $5, $6)
           on conflict (tenant_id, channel, address_hash) do update
              set reason = case when suppressions.reason = 'unsubscribe' then excluded.reason else suppressions.reason end
           returning xmax::text = '0' as "fresh!""#,
        tx.tenant(),
        new_id(),
        channel.word(),
        &hash,
        reason.word(),
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(fresh)
}

/// Takes an address off the list, if the person had put it there. Bounces and complaints stay.
///
/// # Errors
/// When the database refuses.
pub async fn release(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    channel: Channel,
    address: &str,
) -> DbResult<()> {
    let hashes: Vec<Vec<u8>> = hasher
        .candidates(tx.tenant(), channel.address_kind(), address)
        .iter()
        .map(|hash| hash.to_vec())
        .collect();
    sqlx::query!(
        "delete from suppressions
          where tenant_id = $1 and channel = $2 and address_hash = any($3) and reason in ('stop', 'unsubscribe')",
        tx.tenant(),
        channel.word(),
        &hashes,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes into the ledger what a person said about advertising on a channel.
///
/// # Errors
/// When the database refuses.
pub async fn record_consent(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    lead: Uuid,
    channel: Channel,
    (granted, source): (bool, &str),
) -> DbResult<()> {
    sqlx::query!(
        "insert into consents (tenant_id, id, lead_id, channel, purpose, state, source, effective_at)
         values ($1, $2, $3, $4, 'marketing', $5, $6, $7)",
        tx.tenant(),
        new_id(),
        lead,
        channel.word(),
        if granted { "granted" } else { "revoked" },
        source,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notes that somebody does not want to be written to at an address: the list, and the ledger of each person who has it.
///
/// # Errors
/// When the database refuses.
pub async fn opt_out(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    now: DateTime<Utc>,
    (channel, address): (Channel, &str),
    reason: Reason,
) -> DbResult<()> {
    if !suppress(tx, hasher, now, (channel, address), reason).await? {
        return Ok(());
    }
    let (kind, normalized) = match channel {
        Channel::Email | Channel::InApp => ("email", address.trim().to_lowercase()),
        Channel::Sms | Channel::Whatsapp => ("phone", address.trim().to_owned()),
    };
    sqlx::query!(
        "insert into consents (tenant_id, id, lead_id, channel, purpose, state, source, effective_at)
         select $1, new_id(), lead_id, $2, 'marketing', 'revoked', $3, $4
           from lead_identities where tenant_id = $1 and kind = $5 and normalized = $6",
        tx.tenant(),
        channel.word(),
        reason.word(),
        now,
        kind,
        normalized,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
