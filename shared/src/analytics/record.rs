//! Counting events, each once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde_json::{Value, json, to_value};
use uuid::Uuid;

use super::{
    agent::Agent,
    event::{CtaEvent, NewCta},
};
use crate::{
    auth::Owners,
    crypto::{hmac_sha256, random_bytes},
    db::{DbError, DbResult, TenantTx},
    events::{Cause, EventKind, NewEvent},
    ids::new_id,
    private::Private,
};

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Recorded {
    /// New events, with the lead they belong to.
    pub accepted: Vec<CtaEvent>,
    /// How many had been counted before.
    pub duplicates: usize,
    /// Places of those that name a lead that does not exist.
    pub unknown_leads: Vec<usize>,
}

impl Recorded {
    /// What automations and endpoints are told; see the module for the choice.
    #[must_use]
    pub fn events(&self) -> Vec<NewEvent> {
        let known = self.accepted.iter().filter(|event| event.lead_id.is_some() && !event.is_bot);
        known
            .map(|event| NewEvent {
                kind: EventKind::CtaRecorded,
                subject_id: event.id,
                lead_id: event.lead_id,
                payload: to_value(event).unwrap_or_default(),
                previous: None,
                source: "analytics",
                dedupe_key: format!("cta:{}", event.event_id),
                cause: Cause::default(),
                occurred_at: event.occurred_at,
            })
            .collect()
    }
}

/// Counts events. Each comes with its time, from [`NewCta::time`]. A lead that the caller does not see is unknown. `address` is hashed with the day's salt and forgotten.
///
/// # Errors
/// When the database refuses.
pub async fn record(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    events: Vec<(NewCta, DateTime<Utc>)>,
    agent: Agent,
    (address, user_agent): (IpAddr, &str),
    own_records_of: Owners<'_>,
) -> DbResult<Recorded> {
    if events.is_empty() {
        return Ok(Recorded::default());
    }
    let salt = prepare(tx, now, &events).await?;
    let visitor = hmac_sha256(&salt, format!("{}\n{address}\n{user_agent}", tx.tenant()).as_bytes());
    let mut rows: Vec<CtaEvent> =
        events.into_iter().map(|(new, at)| row(new, at, now, agent, &visitor)).collect();
    let verdicts = insert(tx, &rows, &visitor, own_records_of).await?;
    let mut recorded = Recorded::default();
    for (place, row) in rows.drain(..).enumerate() {
        match verdicts.iter().find(|verdict| verdict.id == row.id) {
            Some(verdict) if verdict.fresh => {
                recorded.accepted.push(CtaEvent { lead_id: verdict.lead_id, ..row });
            }
            Some(verdict) if verdict.unknown => recorded.unknown_leads.push(place),
            Some(_) | None => recorded.duplicates += 1,
        }
    }
    Ok(recorded)
}

fn row(new: NewCta, at: DateTime<Utc>, now: DateTime<Utc>, agent: Agent, visitor: &[u8; 32]) -> CtaEvent {
    CtaEvent {
        id: new_id(),
        event_id: new.event_id.into_string(),
        surface: new.surface.into_string(),
        cta_id: new.cta_id.into_string(),
        kind: new.kind.word().to_owned(),
        occurred_at: at,
        recorded_at: now,
        visitor_id: new.visitor_id.map(Private::new),
        visitor_hash: Some(hex::encode(visitor)),
        lead_id: new.lead_id,
        page: new.page.map(Private::new),
        referrer: new.referrer.map(Private::new),
        utm: json!(new.utm),
        click_ids: json!(new.click_ids),
        variant: new.variant,
        value: new.value,
        device: agent.device.map(str::to_owned),
        is_bot: agent.is_bot,
    }
}

/// Makes sure of the months' partitions and fetches the salt of the tenant's day. Making a day's salt throws the ones
/// before it away.
async fn prepare(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    events: &[(NewCta, DateTime<Utc>)],
) -> DbResult<Vec<u8>> {
    let today = now.with_timezone(&tx.zone()).date_naive();
    let months: BTreeMap<(i32, u32), DateTime<Utc>> =
        events.iter().map(|(_, at)| ((at.year(), at.month()), *at)).collect();
    let months: Vec<DateTime<Utc>> = months.into_values().collect();
    let fresh = random_bytes::<32>().map_err(|error| DbError::Defect(error.to_string()))?;
    // Whoever loses the race for the day's first event sees the winner's salt only with a new snapshot.
    for _ in 0..2 {
        if let Some(salt) = try_prepare(tx, today, &fresh, &months).await? {
            return Ok(salt);
        }
    }
    Err(DbError::Contention("two first events of a day met".to_owned()))
}

async fn try_prepare(
    tx: &mut TenantTx,
    today: NaiveDate,
    fresh: &[u8; 32],
    months: &[DateTime<Utc>],
) -> DbResult<Option<Vec<u8>>> {
    let row = sqlx::query!(
        r#"with made as (
               insert into visitor_salts (tenant_id, local_date, salt) values ($1, $2, $3)
               on conflict on constraint visitor_salts_pkey do nothing
               returning salt
           ), gone as (
               delete from visitor_salts where tenant_id = $1 and local_date < $2 and exists (select from made)
           )
           select s.salt as "salt!", (select count(ensure_cta_month(at)::text) from unnest($4::timestamptz[]) as at) as months
             from (select salt from made
                   union all select salt from visitor_salts where tenant_id = $1 and local_date = $2) as s
            limit 1"#,
        tx.tenant(),
        today,
        &fresh[..],
        months,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| row.salt))
}

struct Verdict {
    id: Uuid,
    lead_id: Option<Uuid>,
    unknown: bool,
    fresh: bool,
}

/// A column of the batch.
fn column<'a, T>(rows: &'a [CtaEvent], read: impl Fn(&'a CtaEvent) -> T) -> Vec<T> {
    rows.iter().map(read).collect()
}

fn exposed(text: Option<&Private<String>>) -> Option<&str> {
    text.map(|text| text.expose().as_str())
}

async fn insert(
    tx: &mut TenantTx,
    rows: &[CtaEvent],
    visitor: &[u8; 32],
    own_records_of: Owners<'_>,
) -> DbResult<Vec<Verdict>> {
    let first = rows.first();
    let verdicts = sqlx::query_as!(
        Verdict,
        r#"
        with given as (
            select * from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[],
                                 $9::uuid[], $10::text[], $11::text[], $12::jsonb[], $13::jsonb[], $14::text[], $15::float8[])
                with ordinality as g (id, event_id, surface, cta_id, kind, occurred_at, visitor_id, lead_id, page, referrer,
                                      utm, click_ids, variant, value, place)
        ), placed as (
            select g.*, coalesce(l.id, v.lead_id) as person, g.lead_id is not null and l.id is null as unknown
              from given g
              left join leads l on l.tenant_id = $1 and l.id = g.lead_id and l.deleted_at is null
                   and ($20::uuid[] is null or l.owner_id = any ($20))
              left join lead_identities v on v.tenant_id = $1 and v.kind = 'visitor' and v.normalized = g.visitor_id
        ), once as (
            -- An id that stands twice in a batch counts once. The order is everybody's, so batches that overlap wait for each other.
            select distinct on (event_id) * from placed where not unknown order by event_id, place
        ), fresh as (
            insert into cta_event_ids (tenant_id, event_id, occurred_at)
            select $1, event_id, occurred_at from once order by event_id
            on conflict on constraint cta_event_ids_pkey do nothing
            returning event_id
        ), named as (
            insert into cta_surfaces (tenant_id, name)
            select distinct $1::uuid, o.surface from once o join fresh using (event_id) order by 2
            on conflict on constraint cta_surfaces_pkey do nothing
        ), counted as (
            insert into cta_events (tenant_id, id, event_id, surface, cta_id, kind, occurred_at, recorded_at, visitor_id,
                                    visitor_hash, lead_id, page, referrer, utm, click_ids, variant, value, device, is_bot)
            select $1, o.id, o.event_id, o.surface, o.cta_id, o.kind, o.occurred_at, $16, o.visitor_id, $17, o.person, o.page,
                   o.referrer, o.utm, o.click_ids, o.variant, o.value, $18, $19
              from once o join fresh using (event_id)
            returning id
        ), visits as (
            -- Whoever clicks, or comes by a campaign, has come again. A page that is merely seen is part of a visit.
            select v.person, max(v.occurred_at) as at, (array_agg(v.touch order by v.occurred_at, v.place))[1] as first,
                   (array_agg(v.touch order by v.occurred_at desc, v.place desc))[1] as last
              from (select o.person, o.occurred_at, o.place, jsonb_strip_nulls(jsonb_build_object(
                               'at', to_char(o.occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'source', o.utm ->> 'source',
                               'utm', nullif(o.utm, '{}'), 'clickIds', nullif(o.click_ids, '{}'), 'surface', o.surface, 'ctaId', o.cta_id,
                               'page', o.page, 'referrer', o.referrer, 'visitorId', o.visitor_id)) as touch
                      from once o join fresh using (event_id)
                     where o.person is not null and not $19 and (o.kind <> 'view' or o.utm <> '{}' or o.click_ids <> '{}')) v
             group by v.person
        ), held as materialized (
            select l.id from leads l where l.tenant_id = $1 and l.id in (select v.person from visits v) and l.erased_at is null
             order by l.id for no key update
        ), touched as (
            update leads l
               set first_touch = coalesce(l.first_touch, v.first),
                   last_touch = case when v.at < condition_instant(l.last_touch -> 'at') then l.last_touch else v.last end
              from visits v join held h on h.id = v.person
             where l.tenant_id = $1 and l.id = v.person
        )
        select p.id as "id!", p.person as "lead_id?", p.unknown as "unknown!", c.id is not null as "fresh!"
          from placed p left join counted c on c.id = p.id
        "#,
        tx.tenant(),
        &column(rows, |row| row.id),
        &column(rows, |row| row.event_id.as_str()) as &[&str],
        &column(rows, |row| row.surface.as_str()) as &[&str],
        &column(rows, |row| row.cta_id.as_str()) as &[&str],
        &column(rows, |row| row.kind.as_str()) as &[&str],
        &column(rows, |row| row.occurred_at),
        &column(rows, |row| exposed(row.visitor_id.as_ref())) as &[Option<&str>],
        &column(rows, |row| row.lead_id) as &[Option<Uuid>],
        &column(rows, |row| exposed(row.page.as_ref())) as &[Option<&str>],
        &column(rows, |row| exposed(row.referrer.as_ref())) as &[Option<&str>],
        &column(rows, |row| row.utm.clone()) as &[Value],
        &column(rows, |row| row.click_ids.clone()) as &[Value],
        &column(rows, |row| row.variant.as_deref()) as &[Option<&str>],
        &column(rows, |row| row.value) as &[Option<f64>],
        first.map(|row| row.recorded_at),
        &visitor[..],
        first.and_then(|row| row.device.as_deref()),
        first.is_some_and(|row| row.is_bot),
        own_records_of,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(verdicts)
}
