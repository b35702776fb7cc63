//! Links that end advertising with one click (RFC 8058).
//!
//! The token is self-contained: tenant, person and channel with a MAC, so that a link in an old letter works for as
//! long as the keys are listed, and nothing has to be kept for each letter.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Channel,
    suppress::{Reason, record_consent, suppress},
};
use crate::{
    app::App,
    crypto::AddressHasher,
    db::{DbResult, TenantTx},
    ids::TenantId,
};

const MAC_LEN: usize = 16;

/// Whom a token speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// The business.
    pub tenant: TenantId,
    /// The person.
    pub lead: Uuid,
    /// The channel.
    pub channel: Channel,
}

/// The link for one person and channel.
#[must_use]
pub fn url(app: &App, tenant: TenantId, lead: Uuid, channel: Channel) -> Option<String> {
    let claim = claim(tenant, lead, channel);
    let mac = app.secret_box().mac_keys("unsubscribe").ok()?.mac(&claim);
    let token = URL_SAFE_NO_PAD.encode([&claim, mac.get(..MAC_LEN)?].concat());
    Some(format!("{}/api/public/unsubscribe/{token}", app.config.public_base_url))
}

/// Reads a token.
#[must_use]
pub fn read(app: &App, token: &str) -> Option<Subscriber> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (claim, mac) = bytes.split_at_checked(33).filter(|(_, mac)| mac.len() == MAC_LEN)?;
    let keys = app.secret_box().mac_keys("unsubscribe").ok()?;
    let genuine = keys
        .macs(claim)
        .any(|own| crate::crypto::constant_time_eq(own.get(..MAC_LEN).unwrap_or_default(), mac));
    let (tenant, rest) = claim.split_at_checked(16).filter(|_| genuine)?;
    let (lead, channel) = rest.split_at_checked(16)?;
    let word = Channel::WORDS.get(usize::from(*channel.first()?))?;
    Some(Subscriber {
        tenant: TenantId::new(Uuid::from_slice(tenant).ok()?),
        lead: Uuid::from_slice(lead).ok()?,
        channel: Channel::parse(word)?,
    })
}

/// Ends advertising to a person on a channel. Doing it again changes nothing. Answers whether there is such a person.
///
/// # Errors
/// When the database refuses.
pub async fn unsubscribe(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    now: DateTime<Utc>,
    subscriber: Subscriber,
) -> DbResult<bool> {
    let lead = sqlx::query!(
        "select email, phone from leads where tenant_id = $1 and id = $2 for share",
        tx.tenant(),
        subscriber.lead,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(lead) = lead else { return Ok(false) };
    let address = match subscriber.channel {
        Channel::Email => lead.email,
        Channel::Sms | Channel::Whatsapp => lead.phone,
        Channel::InApp => Some(subscriber.lead.to_string()),
    };
    let fresh = match address {
        Some(address) => {
            suppress(tx, hasher, now, (subscriber.channel, &address), Reason::Unsubscribe).await?
        }
        None => true,
    };
    if fresh {
        record_consent(tx, now, subscriber.lead, subscriber.channel, (false, "unsubscribe")).await?;
    }
    Ok(true)
}

fn claim(tenant: TenantId, lead: Uuid, channel: Channel) -> Vec<u8> {
    let place = Channel::WORDS
        .iter()
        .position(|word| *word == channel.word())
        .and_then(|place| u8::try_from(place).ok());
    [tenant.get().as_bytes().as_slice(), lead.as_bytes(), &[place.unwrap_or_default()]].concat()
}
