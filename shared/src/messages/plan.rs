//! Planning messages: judged, threaded, written down and owed, with a handful of statements for any number of them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Case, Channel, Purpose, Ruling, Status, Verdict, facts, judge, segments};
use crate::{
    crypto::AddressHasher,
    db::{DbError, DbResult, TenantTx},
    ids::new_id,
    private::Private,
    queue::{Hint, HintKind},
};

/// The step of an automation run that wants something sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunStep {
    /// The run.
    pub run_id: Uuid,
    /// The step's place in it.
    pub seq: i32,
}

/// A message that somebody wants sent.
#[derive(Clone, Debug)]
pub struct PlannedMessage {
    /// To whom.
    pub lead_id: Uuid,
    /// How.
    pub channel: Channel,
    /// Why.
    pub purpose: Purpose,
    /// The address; the lead's primary one when left out.
    pub to: Option<Private<String>>,
    /// Which of the person's threads on this channel; empty for the only or first one.
    pub thread_key: String,
    /// E-mail: the subject.
    pub subject: Option<Private<String>>,
    /// The text.
    pub body: Private<String>,
    /// E-mail: the same as HTML.
    pub html: Option<Private<String>>,
    /// Not before; at once when left out.
    pub send_at: Option<DateTime<Utc>>,
    /// The template and its version.
    pub template: Option<(Uuid, i32)>,
    /// The automation step behind it.
    pub run: Option<RunStep>,
    /// The colleague who wrote it.
    pub sent_by: Option<Uuid>,
    /// The message that this one repeats.
    pub retry_of: Option<Uuid>,
    /// The cause: the same key plans one message, however often it is planned.
    pub dedupe_key: String,
    /// The account to send through; the channel's default when left out.
    pub connection: Option<Uuid>,
    /// The one answer to STOP, which may go out although its address is on the list.
    pub answers_keyword: bool,
}

impl PlannedMessage {
    /// A message with nothing but what every message has.
    #[must_use]
    pub fn new(lead_id: Uuid, channel: Channel, purpose: Purpose, body: String, dedupe_key: String) -> Self {
        Self {
            lead_id,
            channel,
            purpose,
            to: None,
            thread_key: String::new(),
            subject: None,
            body: Private::new(body),
            html: None,
            send_at: None,
            template: None,
            run: None,
            sent_by: None,
            retry_of: None,
            dedupe_key,
            connection: None,
            answers_keyword: false,
        }
    }
}

/// What became of a planned message.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The message.
    pub message_id: Uuid,
    /// Its thread.
    pub conversation_id: Uuid,
    /// The owed effect; a blocked message has none.
    pub effect_id: Option<Uuid>,
    /// Queued, scheduled, deferred or blocked; for a message that was known already, wherever it is by now.
    pub status: Status,
    /// When it will be sent, if not at once.
    pub send_at: Option<DateTime<Utc>>,
    /// What each rule found.
    pub verdicts: Vec<Verdict>,
    /// Whether the same cause had planned it before.
    pub known: bool,
}

/// Plans messages and owes their effects; the hints go out with the commit. The answers are in the order of the messages.
///
/// # Errors
/// `conversations_lead_id_fkey` for an unknown lead.
pub async fn plan(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    now: DateTime<Utc>,
    messages: Vec<PlannedMessage>,
) -> DbResult<Vec<Planned>> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = messages.iter().map(|message| message.dedupe_key.clone()).collect();
    let recipients = facts::recipients(tx, hasher, &messages).await?;
    let asks: Vec<Ask> = messages
        .into_iter()
        .zip(recipients)
        .map(|(message, recipient)| Ask::new(now, message, recipient))
        .collect();
    let mut found = insert(tx, now, &asks).await?;
    if keys.iter().any(|key| !found.contains_key(key)) {
        // Another transaction planned the same cause between our snapshot and our insert.
        found.extend(find_known(tx, &keys).await?);
    }
    let tenant = tx.tenant_id();
    let mut answers = Vec::with_capacity(keys.len());
    for key in &keys {
        let planned = found
            .get(key)
            .cloned()
            .ok_or_else(|| DbError::Defect("a planned message was not found".to_owned()))?;
        if let (Some(effect), false) = (planned.effect_id, planned.known) {
            let wait = planned
                .send_at
                .map_or(std::time::Duration::ZERO, |at| (at - now).to_std().unwrap_or_default());
            if let Some(hint) = Hint::now(tenant, HintKind::Effect, effect).after(wait) {
                tx.hint(hint);
            }
        }
        answers.push(planned);
    }
    Ok(answers)
}

/// What [`plan`] would decide, without writing anything.
///
/// # Errors
/// When the database refuses.
pub async fn preflight(
    tx: &mut TenantTx,
    hasher: &AddressHasher,
    now: DateTime<Utc>,
    messages: &[PlannedMessage],
) -> DbResult<Vec<Ruling>> {
    let recipients = facts::recipients(tx, hasher, messages).await?;
    Ok(messages.iter().zip(&recipients).map(|(message, recipient)| rule(now, message, recipient)).collect())
}

fn rule(now: DateTime<Utc>, message: &PlannedMessage, recipient: &facts::Recipient) -> Ruling {
    judge::judge(&Case {
        now,
        send_at: message.send_at,
        channel: message.channel,
        purpose: message.purpose,
        has_address: recipient.address.is_some(),
        person_gone: recipient.gone,
        suppression: recipient.suppression.as_deref().filter(|_| !message.answers_keyword),
        consent: recipient.consent.as_deref().filter(|_| !message.answers_keyword),
        connection: recipient.connection,
        zone: recipient.zone,
        quiet: recipient.quiet,
    })
}

/// One row of the statement's argument; the names are those of its columns.
#[derive(Serialize)]
struct Ask {
    id: Uuid,
    new_conversation_id: Uuid,
    effect_id: Uuid,
    lead_id: Uuid,
    channel: &'static str,
    purpose: &'static str,
    thread_key: String,
    status: &'static str,
    status_rank: i16,
    to_address: Option<Private<String>>,
    subject: Option<Private<String>>,
    body: Private<String>,
    html_body: Option<Private<String>>,
    template_id: Option<Uuid>,
    template_version: Option<i32>,
    send_at: Option<DateTime<Utc>>,
    provider: String,
    connection_id: Option<Uuid>,
    run_id: Option<Uuid>,
    run_seq: Option<i32>,
    retry_of_id: Option<Uuid>,
    sent_by: Option<Uuid>,
    segment_count: Option<i16>,
    verdicts: Vec<Verdict>,
    dedupe_key: String,
}

impl Ask {
    fn new(now: DateTime<Utc>, message: PlannedMessage, recipient: facts::Recipient) -> Self {
        let ruling = rule(now, &message, &recipient);
        Self {
            id: new_id(),
            new_conversation_id: new_id(),
            effect_id: new_id(),
            lead_id: message.lead_id,
            channel: message.channel.word(),
            purpose: message.purpose.word(),
            thread_key: message.thread_key,
            status: ruling.status.word(),
            status_rank: ruling.status.rank(),
            to_address: recipient.address,
            subject: message.subject,
            segment_count: (message.channel == Channel::Sms).then(|| segments::count(message.body.expose())),
            body: message.body,
            html_body: message.html,
            template_id: message.template.map(|(id, _)| id),
            template_version: message.template.map(|(_, version)| version),
            send_at: ruling.send_at,
            provider: recipient.provider,
            connection_id: recipient.connection_id,
            run_id: message.run.map(|run| run.run_id),
            run_seq: message.run.map(|run| run.seq),
            retry_of_id: message.retry_of,
            sent_by: message.sent_by,
            verdicts: ruling.verdicts,
            dedupe_key: message.dedupe_key,
        }
    }
}

struct Row {
    dedupe_key: String,
    id: Uuid,
    conversation_id: Uuid,
    effect_id: Option<Uuid>,
    status: String,
    send_at: Option<DateTime<Utc>>,
    verdicts: Json<Vec<Verdict>>,
    known: bool,
}

fn by_key(rows: Vec<Row>) -> HashMap<String, Planned> {
    rows.into_iter()
        .map(|row| {
            let planned = Planned {
                message_id: row.id,
                conversation_id: row.conversation_id,
                effect_id: row.effect_id,
                status: Status::parse(&row.status).unwrap_or(Status::Queued),
                send_at: row.send_at,
                verdicts: row.verdicts.0,
                known: row.known,
            };
            (row.dedupe_key, planned)
        })
        .collect()
}

/// Threads, messages and effects in one statement. What a cause has planned before is answered as it is.
async fn insert(tx: &mut TenantTx, now: DateTime<Utc>, asks: &[Ask]) -> DbResult<HashMap<String, Planned>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        with ask as (
            select * from jsonb_to_recordset($2::jsonb) as ask (
                id uuid, new_conversation_id uuid, effect_id uuid, lead_id uuid, channel text, purpose text,
                thread_key text, status text, status_rank int2, to_address text, subject text, body text,
                html_body text, template_id uuid, template_version int, send_at timestamptz, provider text,
                connection_id uuid, run_id uuid, run_seq int, retry_of_id uuid, sent_by uuid, segment_count int2,
                verdicts jsonb, dedupe_key text)
        ), known as (
            select m.dedupe_key, m.id, m.conversation_id, m.status, m.send_at, m.verdicts
              from messages m where m.tenant_id = $1 and m.dedupe_key in (select dedupe_key from ask)
        ), fresh as (
            select distinct on (dedupe_key) * from ask
             where dedupe_key not in (select dedupe_key from known) order by dedupe_key
        ), threads as (
            insert into conversations (tenant_id, id, lead_id, channel, thread_key, connection_id, subject,
                                       last_message_at, last_outbound_at, created_at, updated_at)
            select distinct on (lead_id, channel, thread_key)
                   $1, new_conversation_id, lead_id, channel, thread_key, connection_id, subject, $3, $3, $3, $3
              from fresh order by lead_id, channel, thread_key
            on conflict (tenant_id, lead_id, channel, thread_key) do update
               set last_message_at = greatest(conversations.last_message_at, excluded.last_message_at),
                   last_outbound_at = greatest(conversations.last_outbound_at, excluded.last_outbound_at),
                   first_responded_at = case when conversations.first_response_due_at is not null and exists (
                       -- An automation's answer is not yet somebody's.
                       select from fresh f where f.lead_id = excluded.lead_id and f.channel = excluded.channel
                           and f.thread_key = excluded.thread_key and f.sent_by is not null and f.status <> 'blocked')
                       then coalesce(conversations.first_responded_at, excluded.last_outbound_at)
                       else conversations.first_responded_at end
            returning id, lead_id, channel, thread_key
        ), told as (
            insert into messages (tenant_id, id, conversation_id, lead_id, direction, channel, purpose, status,
                                  status_rank, to_address, subject, body, html_body, template_id, template_version,
                                  send_at, provider, connection_id, run_id, run_seq, retry_of_id, dedupe_key, verdicts,
                                  history, segment_count, sent_by, created_at, updated_at)
            select $1, f.id, t.id, f.lead_id, 'outbound', f.channel, f.purpose, f.status, f.status_rank, f.to_address,
                   f.subject, f.body, f.html_body, f.template_id, f.template_version, f.send_at, f.provider,
                   f.connection_id, f.run_id, f.run_seq, f.retry_of_id, f.dedupe_key, f.verdicts,
                   jsonb_build_array(jsonb_build_object('status', f.status, 'at', $3::timestamptz)), f.segment_count,
                   f.sent_by, $3, $3
              from fresh f join threads t
                on t.lead_id = f.lead_id and t.channel = f.channel and t.thread_key = f.thread_key
            on conflict (tenant_id, dedupe_key) do nothing
            returning dedupe_key, id, conversation_id, status, send_at, verdicts
        ), owed as (
            insert into effects (tenant_id, id, kind, run_id, run_seq, message_id, channel, provider, connection_id,
                                 idem_key, next_attempt_at)
            select $1, f.effect_id, 'message', f.run_id, f.run_seq, f.id, f.channel, f.provider, f.connection_id,
                   'msg:' || f.dedupe_key, coalesce(f.send_at, now())
              from told join fresh f on f.id = told.id
             where told.status <> 'blocked'
            returning id, message_id
        ), touched as (
            update leads set last_activity_at = greatest(last_activity_at, $3)
             where tenant_id = $1 and id in (select lead_id from fresh where status <> 'blocked')
        )
        select told.dedupe_key as "dedupe_key!", told.id as "id!", told.conversation_id as "conversation_id!",
               owed.id as "effect_id?", told.status as "status!", told.send_at, told.verdicts as "verdicts!: _",
               false as "known!"
          from told left join owed on owed.message_id = told.id
        union all
        select known.dedupe_key, known.id, known.conversation_id,
               (select e.id from effects e where e.tenant_id = $1 and e.message_id = known.id limit 1),
               known.status, known.send_at, known.verdicts, true
          from known
        "#,
        tx.tenant(),
        Json(asks) as _,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(by_key(rows))
}

async fn find_known(tx: &mut TenantTx, keys: &[String]) -> DbResult<HashMap<String, Planned>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select m.dedupe_key as "dedupe_key!", m.id, m.conversation_id, e.id as "effect_id?", m.status, m.send_at,
                  m.verdicts as "verdicts: _", true as "known!"
             from messages m left join effects e on e.tenant_id = $1 and e.message_id = m.id
            where m.tenant_id = $1 and m.dedupe_key = any($2)"#,
        tx.tenant(),
        keys,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(by_key(rows))
}
