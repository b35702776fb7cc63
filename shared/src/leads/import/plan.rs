//! What becomes of each row, decided in memory over the leads that the rows are about.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    ImportMode,
    record::{Business, Record},
};
use crate::{
    conditions,
    jobs::{JobActor, Progress, RowError},
    leads::{ConsentPurpose, ConsentState, MAX_TAGS, NewConsent, drafts::Draft},
    messages::Channel,
    private::Private,
};

/// What people last said, by (channel, purpose).
pub(super) type Said = HashMap<(String, String), String>;

/// The leads of a portion and what has been decided so far.
pub(super) struct Plan<'a> {
    pub(super) business: &'a Business,
    pub(super) actor: &'a JobActor,
    pub(super) mode: ImportMode,
    pub(super) now: DateTime<Utc>,
    /// By lead.
    pub(super) drafts: HashMap<Uuid, Draft>,
    /// Who has an identity.
    pub(super) owners: HashMap<(String, String), Uuid>,
    /// By lead.
    pub(super) said: HashMap<Uuid, Said>,
    /// Leads in the order in which they were first touched.
    pub(super) touched: Vec<Uuid>,
    pub(super) done: Progress,
    pub(super) errors: Vec<RowError>,
}

impl Plan<'_> {
    /// Decides about a row.
    pub(super) fn decide(&mut self, record: &Record) {
        match self.outcome(record) {
            Ok(Outcome::Created) => self.done.created += 1,
            Ok(Outcome::Updated) => self.done.updated += 1,
            Ok(Outcome::Skipped) => self.done.skipped += 1,
            Err(errors) => self.refuse(errors),
        }
    }

    /// Counts a row that is refused.
    pub(super) fn refuse(&mut self, errors: Vec<RowError>) {
        self.done.failed += 1;
        self.errors.extend(errors);
    }

    fn outcome(&mut self, record: &Record) -> Result<Outcome, Vec<RowError>> {
        let owner = |(kind, value): &(&'static str, String)| {
            self.owners.get(&((*kind).to_owned(), value.clone())).copied()
        };
        let by_id = record.id.filter(|id| self.drafts.contains_key(id));
        let known = by_id.or_else(|| record.identities.iter().find_map(owner));
        let foreign =
            record.identities.iter().find(|identity| owner(identity).is_some_and(|lead| Some(lead) != known));
        if let Some((kind, value)) = foreign {
            let detail = "The row names several leads: this address or number belongs to another one.";
            return Err(vec![
                RowError::of_row(Some(record.line), "ambiguous_identity", detail)
                    .in_column(kind)
                    .with_value(value),
            ]);
        }
        match known.and_then(|id| self.drafts.get(&id)) {
            None if self.mode == ImportMode::Update => Ok(Outcome::Skipped),
            None => self.make(record),
            Some(_) if self.mode == ImportMode::Create => Ok(Outcome::Skipped),
            Some(draft) if !draft.is_new && !self.actor.sees(draft.lead.owner_id) => {
                let detail = "A lead with this e-mail address or telephone number exists and is not among your records.";
                Err(vec![RowError::of_row(Some(record.line), "lead_exists", detail)])
            }
            Some(draft) => {
                let next = draft.clone();
                self.change(record, next)
            }
        }
    }

    fn make(&mut self, record: &Record) -> Result<Outcome, Vec<RowError>> {
        let shows = record.identities.iter().any(|(kind, _)| matches!(*kind, "email" | "phone"));
        if !shows && record.first_name.is_none() && record.last_name.is_none() {
            let detail = "Give at least a name, an e-mail address or a telephone number.";
            return Err(vec![RowError::of_row(Some(record.line), "required", detail)]);
        }
        let lacking: Vec<RowError> = self
            .business
            .definitions
            .missing(&record.custom)
            .map(|key| {
                RowError::of_row(Some(record.line), "required", "Every lead has this field.")
                    .in_column(&format!("cf.{key}"))
            })
            .collect();
        if !lacking.is_empty() {
            return Err(lacking);
        }
        let mut draft = Draft::new(self.now);
        draft.lead.created_at = record.created_at.unwrap_or(self.now);
        draft.lead.last_activity_at = Some(record.last_activity_at.unwrap_or(self.now));
        draft.lead.owner_id = self.actor.usual_owner();
        self.fill(record, &mut draft)?;
        self.keep(record, draft);
        Ok(Outcome::Created)
    }

    fn change(&mut self, record: &Record, mut next: Draft) -> Result<Outcome, Vec<RowError>> {
        let (was_changed, added, said) = (next.is_changed, next.added.len(), next.consents.len());
        next.is_changed = false;
        self.fill(record, &mut next)?;
        let changes = next.is_changed || next.added.len() > added || next.consents.len() > said;
        next.is_changed |= was_changed;
        if !changes {
            return Ok(Outcome::Skipped);
        }
        self.keep(record, next);
        Ok(Outcome::Updated)
    }

    /// Takes a draft over once nothing speaks against the row.
    fn keep(&mut self, record: &Record, draft: Draft) {
        let id = draft.lead.id;
        for (kind, value) in &record.identities {
            self.owners.insert(((*kind).to_owned(), value.clone()), id);
        }
        let said = self.said.entry(id).or_default();
        for consent in &draft.consents {
            said.insert(subject(consent), consent.state.as_str().to_owned());
        }
        if !self.touched.contains(&id) {
            self.touched.push(id);
        }
        self.drafts.insert(id, draft);
    }

    /// Writes what a row says over what is known; what it leaves out stays. Tags, identities and custom fields come on top.
    fn fill(&self, record: &Record, draft: &mut Draft) -> Result<(), Vec<RowError>> {
        let refuse = |code, detail, column: &str| {
            vec![RowError::of_row(Some(record.line), code, detail).in_column(column)]
        };
        for (kind, value) in &record.identities {
            let theirs = self.owners.get(&((*kind).to_owned(), value.clone())) == Some(&draft.lead.id);
            if !theirs {
                draft.add_identity(kind, value.clone());
            }
        }
        if let Some(name) = &record.first_name {
            draft.set(|lead| &mut lead.first_name, Some(Private::new(name.clone())));
        }
        if let Some(name) = &record.last_name {
            draft.set(|lead| &mut lead.last_name, Some(Private::new(name.clone())));
        }
        if let Some(status) = &record.status {
            draft.set(|lead| &mut lead.status, status.clone());
        }
        if record.owner.is_some() {
            let is_new = draft.lead.owner_id != record.owner;
            if is_new && record.owner.is_some_and(|user| self.business.is_disabled(user)) {
                return Err(refuse("disabled_user", "This colleague is disabled.", "ownerId"));
            }
            draft.set(|lead| &mut lead.owner_id, record.owner);
        }
        if record.stage.is_some() {
            draft.move_to(record.stage);
        }
        let text = [
            (&record.source, (|draft, text| draft.set(|lead| &mut lead.source, text)) as fn(&mut Draft, _)),
            (&record.won_reason, |draft, text| draft.set(|lead| &mut lead.won_reason, text)),
            (&record.lost_reason, |draft, text| draft.set(|lead| &mut lead.lost_reason, text)),
            (&record.timezone, |draft, text| draft.set(|lead| &mut lead.timezone, text)),
            (&record.locale, |draft, text| draft.set(|lead| &mut lead.locale, text)),
        ];
        for (given, set) in text {
            if given.is_some() {
                set(draft, given.clone());
            }
        }
        if record.value.is_some() {
            draft.set_value(record.value, record.currency.clone(), &self.business.currency);
        } else if record.currency.is_some() {
            if draft.lead.value.is_none() {
                return Err(refuse("required", "A currency needs a value.", "value"));
            }
            draft.set(|lead| &mut lead.currency, record.currency.clone());
        }
        let tags_before = draft.lead.tags.len();
        draft.set_tags(draft.lead.tags.iter().chain(&record.tags).cloned().collect());
        if draft.lead.tags.len() > MAX_TAGS.max(tags_before) {
            return Err(refuse("too_many_values", "A lead has at most 50 tags.", "tags"));
        }
        if draft.lead.first_touch.is_none() && record.first_touch.is_some() {
            draft.set(|lead| &mut lead.first_touch, record.first_touch.clone());
        }
        let latest = record
            .last_touch
            .as_ref()
            .or_else(|| record.first_touch.as_ref().filter(|_| draft.lead.last_touch.is_none()));
        // A visit that is heard of late is not the latest.
        let at = |touch: &Value| touch.get("at").and_then(conditions::instant);
        let known = draft.lead.last_touch.as_ref().and_then(at);
        let is_late = |touch: &&Value| at(touch).zip(known).is_some_and(|(at, known)| at < known);
        if let Some(touch) = latest.filter(|touch| !is_late(touch)) {
            draft.set(|lead| &mut lead.last_touch, Some(touch.clone()));
        }
        self.hear(record, draft);
        if let Some(key) =
            self.business.definitions.health_key(&record.custom).filter(|_| !self.agreed(draft))
        {
            let detail = "Health data needs the person's consent with purpose `health`.";
            return Err(refuse("health_consent_required", detail, &format!("cf.{key}")));
        }
        draft.merge_custom(&record.custom);
        Ok(())
    }

    /// Enters what the person is said to have said, where it differs from the last that is known.
    fn hear(&self, record: &Record, draft: &mut Draft) {
        let known = self.said.get(&draft.lead.id);
        for consent in &record.consents {
            let subject = subject(consent);
            if known.and_then(|said| said.get(&subject)).map(String::as_str) != Some(consent.state.as_str()) {
                draft.consents.retain(|other| self::subject(other) != subject);
                draft.consents.push(consent.clone());
            }
        }
    }

    fn agreed(&self, draft: &Draft) -> bool {
        let told = draft.consents.iter().rev().find(|consent| consent.purpose == ConsentPurpose::Health);
        match told {
            Some(consent) => consent.state == ConsentState::Granted,
            None => {
                let subject = (String::new(), ConsentPurpose::Health.as_str().to_owned());
                self.said
                    .get(&draft.lead.id)
                    .and_then(|said| said.get(&subject))
                    .is_some_and(|state| state == "granted")
            }
        }
    }
}

enum Outcome {
    Created,
    Updated,
    Skipped,
}

fn subject(consent: &NewConsent) -> (String, String) {
    let channel = consent.channel.map(Channel::word).unwrap_or_default();
    (channel.to_owned(), consent.purpose.as_str().to_owned())
}
