//! The `schedule` trigger: an automation that begins by the clock.
//!
//! An active automation has a row with its next slot. A tick locks the row, starts the slot's runs, and moves the row on; whoever comes second
//! finds the slot gone, so each slot is taken once however many ticks there are. Slots that passed while nobody worked are skipped, but for the
//! last one. With a filter, a run begins for each person for whom it holds; the people are looked at in portions, and the row
//! remembers how far it has come. Without a filter, one run begins that is about nobody.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    graph::{SCHEDULE, Trigger},
    model::Automation,
    span::Span,
    steps::{Day, LocalTime},
};
use crate::{
    conditions::{Condition, Facts, History},
    db::{DbResult, TenantTx},
    queue::{Hint, HintKind},
};

/// People that one portion looks at.
const PORTION: i64 = 1_000;

/// When the clock pulls the trigger.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The distance of two slots.
    pub every: Option<Span>,
    /// The time of day.
    pub at: Option<LocalTime>,
    /// With `at`: only on these days.
    pub days: Vec<Day>,
}

impl Schedule {
    /// The first slot that is after `now`, counted on from `slot`.
    #[must_use]
    pub fn next(&self, slot: DateTime<Utc>, now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        match (&self.every, self.at) {
            (Some(span), _) => {
                let first = span.after(slot, zone)?;
                // After a long rest the slots in between are not walked one by one.
                if first > now { Some(first) } else { span.after(now, zone) }
            }
            (None, Some(at)) => at.next(&self.days, now, zone),
            (None, None) => None,
        }
    }
}

struct Slot {
    trigger: Value,
    tick_at: DateTime<Utc>,
    cursor_lead_id: Option<Uuid>,
    now: DateTime<Utc>,
}

/// Sets the first slot of an automation that has just become active, or forgets its slots when it has no schedule.
///
/// # Errors
/// When the database refuses.
pub async fn arm(tx: &mut TenantTx, now: DateTime<Utc>, automation: &Automation) -> DbResult<()> {
    let first = read(&automation.trigger).and_then(|(schedule, _)| schedule.next(now, now, tx.zone()));
    sqlx::query!(
        "with gone as (
             delete from automation_schedules where tenant_id = $1 and automation_id = $2 and $3::timestamptz is null
         )
         insert into automation_schedules (tenant_id, automation_id, tick_at)
         select $1, $2, $3 where $3 is not null
         on conflict (tenant_id, automation_id) do update set tick_at = excluded.tick_at, cursor_lead_id = null",
        tx.tenant(),
        automation.id,
        first,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes the slot of an automation if it is due, or the next portion of it. True when more of the slot is left.
///
/// # Errors
/// When the database refuses.
pub async fn tick(tx: &mut TenantTx, automation: Uuid) -> DbResult<bool> {
    let Some(slot) = lock(tx, automation).await? else { return Ok(false) };
    let Some((schedule, filter)) = read(&slot.trigger) else {
        tracing::error!(%automation, "a published schedule cannot be read");
        return Ok(false);
    };
    let mut rest = None;
    let leads: Vec<Option<Uuid>> = match &filter {
        None => vec![None],
        Some(filter) => {
            let people = portion(tx, slot.cursor_lead_id).await?;
            rest = people.get(usize::try_from(PORTION - 1).unwrap_or_default()).map(|(id, _)| *id);
            let ids: Vec<Uuid> = people.iter().map(|(id, _)| *id).collect();
            let history = History::ask(tx, slot.now, &ids, [filter]).await?;
            let chosen = people.into_iter().filter(|(id, facts)| {
                let roots = json!({"lead": facts, "event": {}, "vars": {}});
                filter.holds(&Facts { roots: &roots, now: slot.now, past: &history.of(*id) })
            });
            chosen.map(|(id, _)| Some(id)).collect()
        }
    };
    start(tx, automation, slot.tick_at, &leads).await?;
    // A schedule without a next slot is over; its row goes.
    let next =
        if rest.is_some() { Some(slot.tick_at) } else { schedule.next(slot.tick_at, slot.now, tx.zone()) };
    move_on(tx, automation, next, rest).await?;
    Ok(rest.is_some())
}

/// The trigger's schedule and filter; `None` when it is of another type.
fn read(trigger: &Value) -> Option<(Schedule, Option<Condition>)> {
    let trigger: Trigger = serde_json::from_value(trigger.clone()).ok()?;
    (trigger.kind == SCHEDULE).then(|| (trigger.schedule(), trigger.filter))
}

async fn lock(tx: &mut TenantTx, automation: Uuid) -> DbResult<Option<Slot>> {
    let slot = sqlx::query_as!(
        Slot,
        r#"select a.trigger, s.tick_at, s.cursor_lead_id, now() as "now!"
             from automation_schedules s join automations a on a.tenant_id = s.tenant_id and a.id = s.automation_id
            where s.tenant_id = $1 and s.automation_id = $2 and s.tick_at <= now() and a.status = 'active'
              for update of s skip locked"#,
        tx.tenant(),
        automation,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(slot)
}

async fn portion(tx: &mut TenantTx, after: Option<Uuid>) -> DbResult<Vec<(Uuid, Value)>> {
    let people = sqlx::query!(
        r#"select l.id, lead_facts(l) as "facts!"
             from leads l
            where l.tenant_id = $1 and ($2::uuid is null or l.id > $2)
              and l.deleted_at is null and l.merged_into_id is null and l.erased_at is null
            order by l.id limit $3"#,
        tx.tenant(),
        after,
        PORTION,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(people.into_iter().map(|person| (person.id, person.facts)).collect())
}

/// A person's slot is a cause like an event, so "once" means once per slot unless the rule of re-entry says something else.
async fn start(
    tx: &mut TenantTx,
    automation: Uuid,
    slot: DateTime<Utc>,
    leads: &[Option<Uuid>],
) -> DbResult<()> {
    let runs = sqlx::query_scalar!(
        r#"insert into automation_runs (tenant_id, id, automation_id, version, lead_id, entry_key, context, depth)
           select $1, new_id(), a.id, a.current_version, l.id,
                  entry_key(coalesce(a.reentry, '{"mode": "always"}'), a.id, l.id, md5(concat_ws(' ', a.id, $3::timestamptz, l.id))::uuid),
                  jsonb_build_object('event', jsonb_build_object('scheduledFor', $3::timestamptz)), 1
             from unnest($4::uuid[]) as l (id) join automations a on a.tenant_id = $1 and a.id = $2
           on conflict (tenant_id, automation_id, entry_key) do nothing
           returning id"#,
        tx.tenant(),
        automation,
        slot,
        leads as &[Option<Uuid>],
    )
    .fetch_all(tx.conn())
    .await?;
    let tenant = tx.tenant_id();
    // One look at the tenant claims a whole batch; the sweep covers what is beyond it.
    for run in runs.into_iter().take(10) {
        tx.hint(Hint::now(tenant, HintKind::Run, run));
    }
    Ok(())
}

async fn move_on(
    tx: &mut TenantTx,
    automation: Uuid,
    next: Option<DateTime<Utc>>,
    cursor: Option<Uuid>,
) -> DbResult<()> {
    sqlx::query!(
        "with gone as (
             delete from automation_schedules where tenant_id = $1 and automation_id = $2 and $3::timestamptz is null
         )
         update automation_schedules set tick_at = $3, cursor_lead_id = $4
          where tenant_id = $1 and automation_id = $2 and $3 is not null",
        tx.tenant(),
        automation,
        next,
        cursor,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(trigger: &Value, slot: &str, now: &str) -> String {
        let (schedule, _) = read(trigger).unwrap();
        schedule.next(slot.parse().unwrap(), now.parse().unwrap(), Tz::Europe__Berlin).unwrap().to_rfc3339()
    }

    #[test]
    fn slots_keep_their_distance_from_each_other_and_not_from_the_work() {
        let hourly = json!({"type": "schedule", "every": "PT1H"});
        assert_eq!(
            next(&hourly, "2026-06-01T08:00:00Z", "2026-06-01T08:00:07Z"),
            "2026-06-01T09:00:00+00:00"
        );
        // A day of the calendar keeps its wall-clock time when the clock changes.
        let daily = json!({"type": "schedule", "every": "P1D"});
        assert_eq!(next(&daily, "2026-03-28T08:00:00Z", "2026-03-28T08:01:00Z"), "2026-03-29T07:00:00+00:00");
    }

    #[test]
    fn slots_that_nobody_was_there_for_are_skipped() {
        let hourly = json!({"type": "schedule", "every": "PT1H"});
        assert_eq!(
            next(&hourly, "2026-06-01T08:00:00Z", "2026-06-03T11:30:00Z"),
            "2026-06-03T12:30:00+00:00"
        );
        let weekly = json!({"type": "schedule", "at": "09:00", "days": ["mon"]});
        assert_eq!(
            next(&weekly, "2026-06-01T07:00:00Z", "2026-06-09T00:00:00Z"),
            "2026-06-15T07:00:00+00:00"
        );
    }
}
