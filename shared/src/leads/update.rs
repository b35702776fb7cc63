//! Changing a lead, its primary identities with it, and telling what changed.
//!
//! One statement locks the row, changes it and returns it as it was and as it is. What is told follows from the
//! difference and not from the request: a tag that was there already is no news, whichever route added it.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, to_value};
use uuid::Uuid;

use super::{Lead, LeadChange, MAX_TAGS};
use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
    events::{EventKind, NewEvent},
    http::{IfMatch, Problem},
    ids::new_id,
    private::Private,
};

/// The constraint that says: two requests made different addresses or numbers primary at the same time.
pub const PRIMARY_TAKEN: &str = "lead_identities_tenant_id_lead_id_kind_primary_key";

/// A lead as it is now, with what is needed to tell the difference.
#[derive(Clone, Debug)]
pub struct UpdatedLead {
    /// The lead as it is now.
    pub lead: Lead,
    /// Its version before.
    pub(super) version_before: i64,
    /// Its fields before, by the API's names.
    pub(super) before: Value,
}

/// Like `query_leads`, for statements that also offer `old` with the former `version` and `facts`.
macro_rules! query_changes {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query!(
            $head + r#" select l.id, l.status, l.source, l.first_name as "first_name: Private<String>",
                      l.last_name as "last_name: Private<String>",
                      nullif(concat_ws(' ', l.first_name, l.last_name), '') as "name: Private<String>",
                      l.email as "email: Private<String>", l.phone as "phone: Private<String>", l.owner_id, l.stage_id,
                      l.stage_entered_at, l.won_reason, l.lost_reason, l.value, l.currency, l.tags, l.custom_fields, l.score, l.timezone, l.locale, l.first_touch, l.last_touch, l.created_at,
                      l.updated_at, l.last_activity_at, l.deleted_at, l.merged_into_id, l.version,
                      old.version as version_before, old.facts as "before!" "# + $tail
            $(, $argument)*
        )
        .map(|row| $crate::leads::UpdatedLead {
            version_before: row.version_before,
            before: row.before,
            lead: $crate::leads::Lead {
                id: row.id, status: row.status, source: row.source, first_name: row.first_name,
                last_name: row.last_name, name: row.name, email: row.email, phone: row.phone, owner_id: row.owner_id,
                stage_id: row.stage_id, stage_entered_at: row.stage_entered_at, won_reason: row.won_reason,
                lost_reason: row.lost_reason, value: row.value, currency: row.currency, tags: row.tags, custom_fields: row.custom_fields, score: row.score,
                timezone: row.timezone, locale: row.locale, first_touch: row.first_touch, last_touch: row.last_touch,
                created_at: row.created_at, updated_at: row.updated_at, last_activity_at: row.last_activity_at,
                deleted_at: row.deleted_at, merged_into_id: row.merged_into_id, version: row.version,
            },
        })
    };
}
pub(super) use query_changes;

/// Changes a lead, unless it is in the bin or outside the records that the caller may see. A move to another stage is
/// also an activity. `actor` is (kind, id) for that activity.
///
/// A primary identity that changes is replaced; a further identity that becomes the primary one is promoted. The order
/// of the three statements on identities is forced by reading each other's results: the unique indexes are not
/// deferrable.
///
/// # Errors
/// [`super::IDENTITY_TAKEN`] when another lead has the address or number, [`PRIMARY_TAKEN`], `leads_owner_id_fkey`,
/// `leads_stage_id_fkey`, `leads_status_check`, `leads_value_check` for a currency without a value.
pub async fn update(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    id: Uuid,
    own_records_of: Owners<'_>,
    change: LeadChange,
    actor: (&str, Option<Uuid>),
) -> DbResult<Option<UpdatedLead>> {
    let (kinds, values): (Vec<&str>, Vec<Option<String>>) = change.identities.into_iter().unzip();
    let identity_ids: Vec<Uuid> = kinds.iter().map(|_| new_id()).collect();
    let currency = tx.settings().currency.clone();
    let updated = query_changes!(
        r#"with old as (
             select o.id, o.version, o.stage_id, o.stage_entered_at, lead_facts(o) as facts from leads o
              where o.tenant_id = $1 and o.id = $2 and o.deleted_at is null and o.merged_into_id is null
                and ($3::uuid[] is null or o.owner_id = any ($3))
                for update
         ), wanted as (
             select w.* from old, unnest($4::uuid[], $5::text[], $6::text[]) as w (id, kind, value)
         ), removed as (
             delete from lead_identities i using wanted w
              where i.tenant_id = $1 and i.lead_id = $2 and i.kind = w.kind and i.is_primary
                and i.normalized is distinct from w.value
             returning i.id
         ), promoted as (
             update lead_identities i set is_primary = true from wanted w
              where i.tenant_id = $1 and i.lead_id = $2 and i.kind = w.kind and i.normalized = w.value
                and (select count(*) from removed) >= 0
             returning i.kind
         ), added as (
             insert into lead_identities (tenant_id, id, lead_id, kind, value, normalized, is_primary)
             select $1, w.id, $2, w.kind, w.value, w.value, true from wanted w
              where w.value is not null and w.kind not in (select kind from promoted)
         ), moved as (
             insert into activities (tenant_id, id, lead_id, kind, title, data, actor_kind, actor_id, occurred_at)
             select $1, $14, $2, 'stage', 'Stage changed',
                    jsonb_strip_nulls(jsonb_build_object(
                        'secondsInStage', extract(epoch from $17 - old.stage_entered_at)::bigint,
                        'reason', coalesce($7::jsonb ->> 'wonReason', $7 ->> 'lostReason')))
                        || jsonb_build_object('fromStageId', old.stage_id, 'toStageId', $7 ->> 'stageId'), $15, $16, $17
               from old
              where $7 ? 'stageId' and old.stage_id::text is distinct from $7 ->> 'stageId'
             returning occurred_at
         ), l as (
             update leads set
                 status = coalesce($7 ->> 'status', status),
                 first_name = case when $7 ? 'firstName' then $7 ->> 'firstName' else first_name end,
                 last_name = case when $7 ? 'lastName' then $7 ->> 'lastName' else last_name end,
                 source = case when $7 ? 'source' then $7 ->> 'source' else source end,
                 email = case when $7 ? 'email' then $7 ->> 'email' else email end,
                 phone = case when $7 ? 'phone' then $7 ->> 'phone' else phone end,
                 owner_id = case when $7 ? 'ownerId' then ($7 ->> 'ownerId')::uuid else owner_id end,
                 stage_id = case when $7 ? 'stageId' then ($7 ->> 'stageId')::uuid else leads.stage_id end,
                 stage_entered_at = case when exists (select from moved) then $17 else leads.stage_entered_at end,
                 last_activity_at = greatest(last_activity_at, (select occurred_at from moved)),
                 won_reason = case when $7 ? 'wonReason' then $7 ->> 'wonReason'
                                   when exists (select from moved) then null else won_reason end,
                 lost_reason = case when $7 ? 'lostReason' then $7 ->> 'lostReason'
                                    when exists (select from moved) then null else lost_reason end,
                 value = case when $7 ? 'value' then ($7 ->> 'value')::bigint else value end,
                 currency = case when $7 ? 'currency' then $7 ->> 'currency' when not $7 ? 'value' then currency
                                 when $7 ->> 'value' is not null then coalesce(currency, $18) end,
                 timezone = case when $7 ? 'timezone' then $7 ->> 'timezone' else timezone end,
                 locale = case when $7 ? 'locale' then $7 ->> 'locale' else locale end,
                 tags = array(select distinct tag from unnest(coalesce($8::text[], tags) || $9::text[]) as tag
                               where tag <> all ($10::text[]) order by tag),
                 custom_fields = (case when $11 then '{}' else custom_fields end || $12::jsonb) - $13::text[]
               from old
              where leads.tenant_id = $1 and leads.id = old.id
             returning leads.*
         )"#,
        "from l, old",
        tx.tenant(),
        id,
        own_records_of,
        &identity_ids,
        &kinds as &[&str],
        &values as &[Option<String>],
        Value::Object(change.fields),
        change.tags.as_deref() as Option<&[String]>,
        &change.added_tags,
        &change.removed_tags,
        change.clears_custom,
        Value::Object(change.custom),
        &change.removed_custom,
        new_id(),
        actor.0,
        actor.1,
        now,
        currency,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(updated)
}

impl UpdatedLead {
    /// A lead that a statement without `If-Match` changed, from the former values of what differs.
    ///
    /// # Errors
    /// When the lead cannot be written as JSON, which would be a defect.
    #[expect(
        clippy::indexing_slicing,
        reason = "a member of a JSON object: missing reads as null, writing makes it"
    )]
    pub fn from_previous(lead: Lead, previous: Map<String, Value>) -> Result<Self, Problem> {
        let mut before = to_value(&lead).map_err(|_| Problem::internal())?;
        for (field, value) in previous {
            before[field] = value;
        }
        Ok(Self { version_before: lead.version, before, lead })
    }

    /// Whether the change may stand. On an error the caller abandons the transaction, so one statement is enough to
    /// read, compare and write.
    ///
    /// # Errors
    /// 412 when the caller saw another version, 422 when the lead has too many tags now.
    pub fn accept(&self, if_match: &IfMatch) -> Result<(), Problem> {
        if_match.require(self.version_before)?;
        let tags_before = self.before.get("tags").and_then(Value::as_array).map_or(0, Vec::len);
        if self.lead.tags.len() > MAX_TAGS.max(tags_before) {
            let detail = format!("A lead has at most {MAX_TAGS} tags.");
            return Err(Problem::invalid("/tags", "too_many_values", detail));
        }
        Ok(())
    }

    /// Who was in charge before, when that is somebody else now.
    #[must_use]
    pub fn former_owner(&self) -> Option<Option<Uuid>> {
        let before = self.before.get("ownerId").and_then(Value::as_str).and_then(|id| id.parse().ok());
        (before != self.lead.owner_id).then_some(before)
    }

    /// What is to be told: `lead.updated` with the former values, an event for each tag that came or went, and the
    /// move to another stage. The last two kinds have events of their own and are not updates besides.
    ///
    /// # Errors
    /// When the lead cannot be written as JSON, which would be a defect.
    #[expect(
        clippy::indexing_slicing,
        reason = "a member of a JSON object: missing reads as null, writing makes it"
    )]
    pub fn events(&self, now: DateTime<Utc>) -> Result<Vec<NewEvent>, Problem> {
        let payload = to_value(&self.lead).map_err(|_| Problem::internal())?;
        let event = |kind, payload: Value, previous: Map<String, Value>| NewEvent {
            previous: Some(Value::Object(previous)),
            ..NewEvent::by_api(kind, now, self.lead.id, Some(self.lead.id), payload)
        };
        let mut previous = differences(&self.before, &payload);
        let mut events = Vec::new();
        let tags_before = previous.remove("tags").unwrap_or_else(|| self.before["tags"].clone());
        let before: Vec<&str> =
            tags_before.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let after: Vec<&str> = self.lead.tags.iter().map(String::as_str).collect();
        let came =
            after.iter().filter(|tag| !before.contains(tag)).map(|tag| (EventKind::LeadTagAdded, *tag));
        let went =
            before.iter().filter(|tag| !after.contains(tag)).map(|tag| (EventKind::LeadTagRemoved, *tag));
        for (kind, tag) in came.chain(went) {
            let mut payload = payload.clone();
            payload["tag"] = tag.into();
            events.push(event(
                kind,
                payload,
                [("tags".to_owned(), tags_before.clone())].into_iter().collect(),
            ));
        }
        if let Some(stage) = previous.remove("stageId") {
            let previous = [("stageId".to_owned(), stage)].into_iter().collect();
            events.push(event(EventKind::LeadStageChanged, payload.clone(), previous));
        }
        if !previous.is_empty() {
            events.push(event(EventKind::LeadUpdated, payload, previous));
        }
        Ok(events)
    }
}

/// The former values of the fields that a person can change and that differ now.
fn differences(before: &Value, after: &Value) -> Map<String, Value> {
    const FOLLOWING: [&str; 5] = ["name", "stageEnteredAt", "createdAt", "updatedAt", "lastActivityAt"];
    let known = before.as_object().into_iter().flatten();
    known
        .filter(|(field, value)| {
            !FOLLOWING.contains(&field.as_str()) && after.get(field.as_str()).is_some_and(|now| now != *value)
        })
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect()
}
