//! What people write to us.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Channel, Message, PlannedMessage, Purpose,
    keywords::{self, Keyword},
    model::query_messages,
    plan::plan,
    suppress::{Reason, record_consent, release, suppress},
};
use crate::{
    crypto::AddressHasher,
    db::{DbResult, TenantTx},
    events::{Cause, EventKind, NewEvent, emit},
    ids::new_id,
    private::Private,
};

/// A message from a person whose lead is known.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// Who wrote.
    pub lead_id: Uuid,
    /// How.
    pub channel: Channel,
    /// The person's address.
    pub from: Private<String>,
    /// Our side of it.
    pub to: Option<String>,
    /// E-mail: the subject.
    pub subject: Option<Private<String>>,
    /// The text; empty when there are only files.
    pub body: Private<String>,
    /// Files, as a list of objects.
    pub attachments: Value,
    /// The provider's word.
    pub provider: &'static str,
    /// The provider's id of the message: the same id is one message.
    pub provider_ref: String,
    /// The message that it answers, by the provider's id or the Message-ID.
    pub in_reply_to: Option<String>,
    /// When it was received, by the provider's clock.
    pub received_at: DateTime<Utc>,
}

/// What became of an inbound message.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message.
    pub message_id: Uuid,
    /// Its thread.
    pub conversation_id: Uuid,
    /// Whether it was known already; then nothing else was done.
    pub known: bool,
    /// The order that it was, if it was one.
    pub keyword: Option<Keyword>,
}

/// Takes an inbound message into its conversation, which is reopened, tells `message.received` and obeys keywords.
///
/// # Errors
/// `conversations_lead_id_fkey` for an unknown lead.
pub async fn receive(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    now: DateTime<Utc>,
    inbound: Inbound,
) -> DbResult<Received> {
    let conversation_id = thread(tx, now, &inbound).await?;
    let Some(message) = insert(tx, conversation_id, &inbound).await? else {
        return known(tx, &inbound, conversation_id).await;
    };
    let keyword = match inbound.channel {
        Channel::Sms | Channel::Whatsapp => keywords::read(inbound.body.expose()),
        Channel::Email | Channel::InApp => None,
    };
    let told = NewEvent {
        kind: EventKind::MessageReceived,
        subject_id: message.id,
        lead_id: Some(inbound.lead_id),
        payload: serde_json::to_value(&message).unwrap_or_default(),
        previous: None,
        source: "message",
        dedupe_key: format!("{}:received", message.id),
        cause: Cause::default(),
        occurred_at: inbound.received_at,
    };
    emit(tx, &[told]).await?;
    if let Some(keyword) = keyword {
        obey(tx, hasher, now, &inbound, (keyword, message.id)).await?;
    }
    Ok(Received { message_id: message.id, conversation_id, known: false, keyword })
}

/// The thread that the message belongs to: the one that it answers, or the person's only one on the channel.
async fn thread(tx: &mut TenantTx, now: DateTime<Utc>, inbound: &Inbound) -> DbResult<Uuid> {
    if let Some(parent) = &inbound.in_reply_to {
        let found = sqlx::query_scalar!(
            "select conversation_id from messages
              where tenant_id = $1 and lead_id = $2 and channel = $3 and (email_message_id = $4 or provider_ref = $4)
              limit 1",
            tx.tenant(),
            inbound.lead_id,
            inbound.channel.word(),
            parent,
        )
        .fetch_optional(tx.conn())
        .await?;
        if let Some(found) = found {
            return Ok(found);
        }
    }
    let id = sqlx::query_scalar!(
        "insert into conversations (tenant_id, id, lead_id, channel, subject, last_message_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $6, $6)
         on conflict (tenant_id, lead_id, channel, thread_key) do update set lead_id = excluded.lead_id
         returning id",
        tx.tenant(),
        new_id(),
        inbound.lead_id,
        inbound.channel.word(),
        inbound.subject.as_ref().map(Private::expose),
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(id)
}

/// Inserts the message and, only if it is new, touches its conversation and its person. The first response is due
/// after the tenant's `firstResponseMinutes`, an hour by default.
async fn insert(tx: &mut TenantTx, conversation: Uuid, inbound: &Inbound) -> DbResult<Option<Message>> {
    let message = query_messages!(
        r#"with m as (
            insert into messages (tenant_id, id, conversation_id, lead_id, direction, channel, status, status_rank,
                                  to_address, from_address, subject, body, attachments, provider, provider_ref,
                                  in_reply_to, history, created_at, updated_at)
            values ($1, $2, $3, $4, 'inbound', $5, 'received', 60, $6, $7, $8, $9, $10, $11, $12, $13,
                    jsonb_build_array(jsonb_build_object('status', 'received', 'at', $14::timestamptz)), $14, $14)
            on conflict (tenant_id, provider, provider_ref) do nothing
            returning *
        ), reopened as (
            update conversations c
               set status = 'open', unread_count = unread_count + 1, snoozed_until = null, closed_at = null,
                   last_message_at = greatest(last_message_at, $14), last_inbound_at = greatest(last_inbound_at, $14),
                   first_responded_at = case when c.status = 'closed' then null else c.first_responded_at end,
                   first_response_due_at = case when c.status = 'closed' or c.last_inbound_at is null
                       then $14 + make_interval(mins => coalesce((t.settings ->> 'firstResponseMinutes')::int, 60))
                       else c.first_response_due_at end
              from m, tenants t
             where c.tenant_id = $1 and c.id = m.conversation_id and t.id = $1
        ), touched as (
            update leads l
               set last_inbound_at = greatest(last_inbound_at, $14), last_activity_at = greatest(last_activity_at, $14)
              from m where l.tenant_id = $1 and l.id = m.lead_id
        )"#,
        "from m",
        tx.tenant(),
        new_id(),
        conversation,
        inbound.lead_id,
        inbound.channel.word(),
        inbound.to,
        inbound.from.expose(),
        inbound.subject.as_ref().map(Private::expose),
        inbound.body.expose(),
        inbound.attachments,
        inbound.provider,
        inbound.provider_ref,
        inbound.in_reply_to,
        inbound.received_at,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(message)
}

async fn known(tx: &mut TenantTx, inbound: &Inbound, conversation_id: Uuid) -> DbResult<Received> {
    let found = sqlx::query!(
        "select id, conversation_id from messages where tenant_id = $1 and provider = $2 and provider_ref = $3",
        tx.tenant(),
        inbound.provider,
        inbound.provider_ref,
    )
    .fetch_optional(tx.conn())
    .await?;
    let (message_id, conversation_id) =
        found.map_or((Uuid::nil(), conversation_id), |row| (row.id, row.conversation_id));
    Ok(Received { message_id, conversation_id, known: true, keyword: None })
}

async fn obey(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    now: DateTime<Utc>,
    inbound: &Inbound,
    (keyword, message): (Keyword, Uuid),
) -> DbResult<()> {
    let address = (inbound.channel, inbound.from.expose().as_str());
    let answered = match keyword {
        Keyword::Stop => {
            record_consent(tx, now, inbound.lead_id, inbound.channel, (false, "keyword")).await?;
            // A second STOP is not confirmed again.
            suppress(tx, hasher, now, address, Reason::Stop).await?
        }
        Keyword::Start => {
            release(tx, hasher, address.0, address.1).await?;
            record_consent(tx, now, inbound.lead_id, inbound.channel, (true, "keyword")).await?;
            true
        }
        Keyword::Help => true,
    };
    // Twilio answers these words itself, and refuses to carry a second answer to STOP (error 21610).
    if !answered || (inbound.provider == "twilio" && keyword != Keyword::Help) {
        return Ok(());
    }
    let business = sqlx::query_scalar!("select name from tenants where id = $1", tx.tenant())
        .fetch_one(tx.conn())
        .await?;
    let key = format!("keyword:{message}");
    let mut answer = PlannedMessage::new(
        inbound.lead_id,
        inbound.channel,
        Purpose::Transactional,
        keyword.answer(&business),
        key,
    );
    answer.to = Some(inbound.from.clone());
    plan(tx, hasher, now, vec![answer]).await?;
    Ok(())
}
