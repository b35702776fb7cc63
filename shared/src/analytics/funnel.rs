//! Funnels: how many of those who did the one thing did the next one afterwards.
//!
//! A visitor is the client's visitor id, else the lead, else the day's hash; an event without any is a visitor of its own.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, QueryBuilder};
use utoipa::ToSchema;

use super::CtaFilter;
use crate::auth::Owners;
use crate::db::{DbResult, TenantTx};

const VISITOR: &str = "coalesce(e.visitor_id, e.lead_id::text, encode(e.visitor_hash, 'hex'), e.id::text)";

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FunnelStep {
    /// Its name.
    pub step: String,
    /// How many came so far.
    pub count: i64,
    /// The share of those who began; null when nobody did.
    pub rate: Option<f64>,
    /// The share of those who did the step before.
    pub from_previous: Option<f64>,
}

/// A funnel. Crawlers are left out.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Funnel {
    /// Start of the range.
    pub from: Option<DateTime<Utc>>,
    /// End of the range, which is not in it.
    pub to: Option<DateTime<Utc>>,
    /// The steps in their order.
    pub steps: Vec<FunnelStep>,
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts 2^52 visitors")]
fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn steps(names: &[String], counts: &[i64]) -> Vec<FunnelStep> {
    let first = counts.first().copied().unwrap_or_default();
    let before = std::iter::once(first).chain(counts.iter().copied());
    names
        .iter()
        .zip(counts)
        .zip(before)
        .map(|((name, count), before)| FunnelStep {
            step: name.clone(),
            count: *count,
            rate: share(*count, first),
            from_previous: share(*count, before),
        })
        .collect()
}

/// A funnel over kinds of events, each at or after the one before. Two to eight steps.
///
/// # Errors
/// When the database refuses.
pub async fn read_funnel(
    tx: &mut TenantTx,
    filter: CtaFilter,
    kinds: &[String],
    own_records_of: Owners<'_>,
) -> DbResult<Funnel> {
    let filter = filter.of_people();
    let mut query = QueryBuilder::new("with e as (select ");
    query.push(VISITOR).push(" as visitor, e.kind, e.occurred_at as at from cta_events e");
    filter.push(&mut query, tx.tenant(), own_records_of);
    query.push(")");
    for (step, kind) in kinds.iter().enumerate() {
        query.push(format!(", s{step} as (select e.visitor, min(e.at) as at from e"));
        if step > 0 {
            query.push(format!(
                " join s{before} b on b.visitor = e.visitor and e.at >= b.at",
                before = step - 1
            ));
        }
        query.push(" where e.kind = ").push_bind(kind.clone()).push(" group by 1)");
    }
    query.push(" select unnest(array[");
    for step in 0..kinds.len() {
        query.push(format!("{}(select count(*) from s{step})", if step > 0 { ", " } else { "" }));
    }
    query.push("])");
    let counts: Vec<i64> = query.build_query_scalar().fetch_all(tx.conn()).await?;
    Ok(Funnel { from: filter.from, to: filter.to, steps: steps(kinds, &counts) })
}

#[derive(FromRow)]
struct Journey {
    cta: i64,
    lead: i64,
    booked: i64,
    paid: i64,
}

/// From the first click or submission to money: those who are known by name, then booked or came, then paid.
///
/// # Errors
/// When the database refuses.
pub async fn read_journey(
    tx: &mut TenantTx,
    filter: CtaFilter,
    own_records_of: Owners<'_>,
) -> DbResult<Funnel> {
    let filter = filter.of_people();
    let mut query = QueryBuilder::new("with touched as (select ");
    query.push(VISITOR).push(
        " as visitor, (array_agg(e.lead_id order by e.occurred_at) filter (where e.lead_id is not null))[1] as lead_id,
          min(e.occurred_at) as at from cta_events e",
    );
    filter.push(&mut query, tx.tenant(), own_records_of);
    query.push(
        " and e.kind <> 'view' group by 1
        ), known as (
            select lead_id, min(at) as at from touched where lead_id is not null group by 1
        ), booked as (
            select k.lead_id, min(a.occurred_at) as at
              from known k join activities a on a.tenant_id = ",
    );
    query.push_bind(tx.tenant());
    query.push(
        " and a.lead_id = k.lead_id and a.kind in ('visit', 'booking') and a.occurred_at >= k.at
             group by 1
        ), paid as (
            select distinct b.lead_id from booked b join payments p on p.tenant_id = ",
    );
    query.push_bind(tx.tenant());
    query.push(
        " and p.lead_id = b.lead_id and p.kind = 'payment' and p.status = 'succeeded' and p.received_at >= b.at
        )
        select (select count(*) from touched) as cta, (select count(*) from known) as lead,
               (select count(*) from booked) as booked, (select count(*) from paid) as paid",
    );
    let row: Journey = query.build_query_as().fetch_one(tx.conn()).await?;
    let names = ["cta", "lead", "booked", "paid"].map(str::to_owned);
    Ok(Funnel {
        from: filter.from,
        to: filter.to,
        steps: steps(&names, &[row.cta, row.lead, row.booked, row.paid]),
    })
}
