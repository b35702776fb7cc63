//! What a person did, as SQL.
//!
//! The people for whom a comparison holds are gathered from the entries themselves, by an index on kind and time, and joined
//! to the leads: `exists (select from (select lead_id … group by lead_id having …) h where h.lead_id = l.id)`. A comparison
//! that holds for somebody who did nothing is asked the other way round: nobody is left out but those whose entries say
//! otherwise. Either way no part is null. Where only a few leads are asked about, their entries are looked up by lead.

use chrono::{DateTime, Duration, Utc};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use uuid::Uuid;

use super::{
    Asked,
    test::{Operand, Test},
    vocabulary::{Aggregate, Source},
};
use crate::{
    conditions::{
        Comparison,
        sql::{Query, Scope},
    },
    wellness::BUILT_IN,
};

/// Clocks differ: what a provider dates a little ahead of us has happened all the same.
const SKEW: Duration = Duration::minutes(1);

/// Appends the comparison on the lead that the statement calls `l`. One that cannot be understood holds for nobody: it was
/// read before it was stored, so this is a defect, not an invitation.
pub(in crate::conditions) fn push(query: &mut Query<'_>, comparison: &Comparison, scope: Scope<'_>) {
    let Ok(asked) = super::read(comparison) else {
        tracing::error!(field = comparison.field, "a stored comparison cannot be read");
        query.push("false");
        return;
    };
    let reversed = asked.holds_for_nothing();
    query.push(if reversed { "not exists (select from (" } else { "exists (select from (" });
    match asked.source {
        Source::Events => push_events(query, &asked, scope),
        Source::Activities => push_activities(query, &asked, scope),
        Source::Messages => push_messages(query, &asked, scope),
        Source::Purchases => push_purchases(query, &asked, scope),
        Source::Metrics => push_metrics(query, &asked, scope),
    }
    query.push(" group by 1 having ").push(if reversed { "not " } else { "" });
    push_test(query, &asked, scope);
    query.push(") h where h.lead_id = l.id)");
}

/// `and column = any (words)`, when the key is named.
fn push_words(query: &mut Query<'_>, asked: &Asked, name: &str, column: &str) {
    let words = asked.words(name);
    if !words.is_empty() {
        query.push(format!(" and {column} = any (")).push_bind(words.to_vec()).push(")");
    }
}

fn ids(words: &[String]) -> Vec<Uuid> {
    words.iter().filter_map(|word| word.parse().ok()).collect()
}

/// The leads, and the time from which entries count.
fn push_scope(query: &mut Query<'_>, asked: &Asked, scope: Scope<'_>, (lead, at): (&str, &str)) {
    if let Some(leads) = scope.leads {
        query.push(format!(" and {lead} = any (")).push_bind(leads.to_vec()).push(")");
    }
    if let Some(from) = asked.within.and_then(|days| before(scope.now, days)) {
        query.push(format!(" and {at} > ")).push_bind(from);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "at most ten years of microseconds, cut to whole ones")]
fn before(now: DateTime<Utc>, days: f64) -> Option<DateTime<Utc>> {
    now.checked_sub_signed(Duration::microseconds((days * 86_400_000_000.0) as i64))
}

fn push_events(query: &mut Query<'_>, asked: &Asked, scope: Scope<'_>) {
    query.push("select x.lead_id from events x where x.lead_id is not null and x.tenant_id = ");
    query.push_bind(scope.tenant);
    push_words(query, asked, "type", "x.type");
    push_scope(query, asked, scope, ("x.lead_id", "x.occurred_at"));
    for (key, words) in asked.narrowed.iter().filter(|(key, _)| !key.path.is_empty()) {
        query.push(" and x.payload #>> ").push_bind(key.path.clone());
        query.push(" = any (").push_bind(words.clone()).push(")");
    }
}

/// Activities may be dated ahead: a booking has not been kept before its time.
fn push_activities(query: &mut Query<'_>, asked: &Asked, scope: Scope<'_>) {
    query.push("select x.lead_id from activities x where x.tenant_id = ").push_bind(scope.tenant);
    push_words(query, asked, "kind", "x.kind");
    push_scope(query, asked, scope, ("x.lead_id", "x.occurred_at"));
    query.push(" and x.occurred_at <= ").push_bind(scope.now + SKEW);
}

/// When a message was sent, or came; one that waits, when it was written. As in the index.
const MESSAGE_AT: &str = "case when x.sent_at is null then x.created_at else x.sent_at end";

fn push_messages(query: &mut Query<'_>, asked: &Asked, scope: Scope<'_>) {
    query.push("select x.lead_id from messages x where x.channel <> 'note' and x.tenant_id = ");
    query.push_bind(scope.tenant);
    push_words(query, asked, "direction", "x.direction");
    push_words(query, asked, "channel", "x.channel");
    push_words(query, asked, "purpose", "x.purpose");
    let templates = ids(asked.words("templateId"));
    if !templates.is_empty() {
        query.push(" and x.template_id = any (").push_bind(templates).push(")");
    }
    push_scope(query, asked, scope, ("x.lead_id", MESSAGE_AT));
    for (index, word) in asked.words("status").iter().enumerate() {
        query.push(if index == 0 { " and (" } else { " or " });
        push_status(query, word);
    }
    if !asked.words("status").is_empty() {
        query.push(")");
    }
}

/// A message that was read has been delivered, and one that was delivered has been sent; other words are where it stands.
fn push_status(query: &mut Query<'_>, word: &str) {
    match word {
        "sent" => query.push("(x.direction = 'outbound' and x.status in ('sent', 'delivered', 'read'))"),
        "delivered" => query.push("x.status in ('delivered', 'read')"),
        "failed" => query.push("x.status in ('failed', 'undelivered')"),
        "replied" => query.push(
            "(x.direction = 'outbound' and exists (
                 select from messages r where r.tenant_id = x.tenant_id and r.conversation_id = x.conversation_id
                    and r.direction = 'inbound' and r.created_at > coalesce(x.sent_at, x.created_at)))",
        ),
        word => query.push("x.status = ").push_bind(word.to_owned()),
    };
}

/// What was paid for and not given back in full: invoices and receipts of the till, less their credit notes.
fn push_purchases(query: &mut Query<'_>, asked: &Asked, scope: Scope<'_>) {
    query.push(
        "select x.lead_id from (
             select i.lead_id, i.paid_at, i.total, i.total - coalesce((
                        select sum(c.total) from invoices c
                         where c.tenant_id = i.tenant_id and c.credit_of_id = i.id and c.kind = 'creditNote' and c.status <> 'void'), 0) as value
               from invoices i
              where i.lead_id is not null and i.status = 'paid' and i.kind in ('invoice', 'receipt') and i.tenant_id = ",
    );
    query.push_bind(scope.tenant);
    push_words(query, asked, "kind", "i.kind");
    if let Some(currency) = asked.word("currency") {
        query.push(" and i.currency = ").push_bind(currency.to_owned());
    }
    let items = ids(asked.words("itemId"));
    if !items.is_empty() {
        query
            .push(" and i.id in (select n.invoice_id from invoice_lines n where n.tenant_id = ")
            .push_bind(scope.tenant);
        query.push(" and n.item_id = any (").push_bind(items).push("))");
    }
    push_scope(query, asked, scope, ("i.lead_id", "i.paid_at"));
    query.push(") x where (x.value > 0 or x.total = 0)");
}

/// Measurements, of each day those of the one source that is believed, as in series: the first in the business's order,
/// else whoever measured most that day. Of that source the day's own total counts, or its samples, never both.
fn push_metrics(query: &mut Query<'_>, asked: &Asked, scope: Scope<'_>) {
    query.push(
        "select x.lead_id from (
             select s.*, first_value(s.source) over (
                        partition by s.lead_id, s.local_date
                        order by s.place, s.of_source desc, s.source_last desc, s.source collate \"C\") as believed
               from (select d.*, sum(d.count) over by_source as of_source, max(d.last_at) over by_source as source_last,
                            bool_or(d.whole) over by_source as has_whole
                       from (select m.lead_id, m.local_date, m.source, m.grain = 'day' as whole, count(*) as count, sum(m.value) as sum,
                                    min(m.value) as min, max(m.value) as max, min(m.start_at) as first_at, max(m.start_at) as last_at,
                                    (array_agg(m.value order by m.start_at desc, m.id desc))[1] as last,
                                    coalesce(array_position(coalesce(
                                        (select o.priority from metric_sources o
                                          where o.tenant_id = m.tenant_id and o.type = m.type and o.lead_id = m.lead_id),
                                        (select o.priority from metric_sources o
                                          where o.tenant_id = m.tenant_id and o.type = m.type and o.lead_id is null)), m.source),
                                        2147483647) as place
                               from metrics m where m.tenant_id = ",
    );
    query.push_bind(scope.tenant);
    push_words(query, asked, "type", "m.type");
    push_words(query, asked, "source", "m.source");
    push_scope(query, asked, scope, ("m.lead_id", "m.start_at"));
    query.push(
        " group by m.tenant_id, m.lead_id, m.type, m.local_date, m.source, m.grain = 'day') d
                     window by_source as (partition by d.lead_id, d.local_date, d.source)) s
         ) x where x.source = x.believed and x.whole = x.has_whole",
    );
}

/// The aggregate over a person's entries.
const fn aggregate(source: Source, aggregate: Aggregate) -> &'static str {
    use Aggregate::{Avg, Count, FirstAt, Last, LastAt, Max, Min, Sum};
    match (source, aggregate) {
        (Source::Metrics, Count) => "sum(x.count)",
        (Source::Metrics, Sum) => "sum(x.sum)::numeric",
        (Source::Metrics, Min) => "min(x.min)::numeric",
        (Source::Metrics, Max) => "max(x.max)::numeric",
        (Source::Metrics, Avg) => "(sum(x.sum) / sum(x.count)::double precision)::numeric",
        (Source::Metrics, Last) => "((array_agg(x.last order by x.last_at desc))[1])::numeric",
        (Source::Metrics, FirstAt) => "min(x.first_at)",
        (Source::Metrics, LastAt) => "max(x.last_at)",
        (Source::Messages, FirstAt) => {
            "min(case when x.sent_at is null then x.created_at else x.sent_at end)"
        }
        (Source::Messages, LastAt) => "max(case when x.sent_at is null then x.created_at else x.sent_at end)",
        (Source::Purchases, FirstAt) => "min(x.paid_at)",
        (Source::Purchases, LastAt) => "max(x.paid_at)",
        (_, FirstAt) => "min(x.occurred_at)",
        (_, LastAt) => "max(x.occurred_at)",
        (_, Count) => "count(*)",
        (_, Sum) => "sum(x.value)",
        (_, Min) => "min(x.value)",
        (_, Max) => "max(x.value)",
        (_, Avg) => "round(avg(x.value), 9)",
        // No other source has a value that is the latest.
        (_, Last) => "null::numeric",
    }
}

/// The comparison of the aggregate. Within a group there is always a value.
fn push_test(query: &mut Query<'_>, asked: &Asked, scope: Scope<'_>) {
    let value = aggregate(asked.source, asked.aggregate);
    query.push("(");
    match &asked.test {
        Test::Set(set) => {
            query.push(if *set { "true" } else { "false" });
        }
        Test::Any(others) => {
            query.push("false");
            for other in others {
                query.push(format!(" or {value} = "));
                push_operand(query, asked, scope, *other);
            }
        }
        Test::Not(other) => {
            query.push(format!("{value} <> "));
            push_operand(query, asked, scope, *other);
        }
        Test::Order(sign, other) => {
            query.push(format!("{value} {} ", sign.sql()));
            push_operand(query, asked, scope, *other);
        }
        Test::Range(low, high) => {
            query.push(format!("{value} >= "));
            push_operand(query, asked, scope, *low);
            query.push(format!(" and {value} <= "));
            push_operand(query, asked, scope, *high);
        }
        Test::Near(days) => {
            query.push(format!("abs(extract(epoch from {value} - ")).push_bind(scope.now);
            query.push(")) <= 86400 * ").push_bind(days.to_string()).push("::text::numeric");
        }
    }
    query.push(")");
}

fn push_operand(query: &mut Query<'_>, asked: &Asked, scope: Scope<'_>, operand: Operand) {
    match (operand, asked.word("unit"), asked.word("type")) {
        (Operand::Instant(at), ..) => {
            query.push_bind(at);
        }
        (Operand::Number(number), Some(unit), Some(kind)) => {
            push_measured(query, scope, number, (kind, unit));
        }
        (Operand::Number(number), ..) => {
            query.push_bind(number.to_string()).push("::text::numeric");
        }
    }
}

/// A value in a unit of the caller's, brought to the canonical one by the business's own definition of the type, or by the
/// built-in one.
fn push_measured(query: &mut Query<'_>, scope: Scope<'_>, number: Decimal, (kind, unit): (&str, &str)) {
    let given = number.to_f64().unwrap_or_default();
    let known = BUILT_IN.iter().find(|known| known.key == kind).and_then(|known| {
        let to = known.units.iter().find(|one| one.name == unit && unit != known.unit)?;
        Some(given.mul_add(to.factor, to.offset))
    });
    query
        .push("coalesce((select ")
        .push_bind(given)
        .push(" * coalesce((t.accepted_units -> ")
        .push_bind(unit.to_owned());
    query
        .push(" ->> 'factor')::double precision, 1) + coalesce((t.accepted_units -> ")
        .push_bind(unit.to_owned());
    query.push(" ->> 'offset')::double precision, 0) from metric_types t where t.archived_at is null and t.tenant_id = ");
    query.push_bind(scope.tenant).push(" and t.key = ").push_bind(kind.to_owned());
    query.push("), ").push_bind(known.unwrap_or(given)).push(")::numeric");
}
