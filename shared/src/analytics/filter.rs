//! What events can be narrowed by: the same words for list, summary, funnel and export.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};
use utoipa::IntoParams;
use uuid::Uuid;

use super::CtaKind;
use crate::{
    auth::Owners,
    db::keyset::{push_any, push_range},
    http::{Actor, FromQuery, Params, Problem, SortField, SortKind},
    leads::field_masked,
    mask,
};

/// What events can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct CtaFilter {
    /// Surfaces.
    pub surface: Vec<String>,
    /// Buttons or forms.
    pub cta_id: Vec<String>,
    /// `view`, `click`, `submit`.
    pub kind: Vec<String>,
    /// Variants of a test.
    pub variant: Vec<String>,
    /// `desktop`, `mobile`, `tablet`, `bot`.
    pub device: Vec<String>,
    /// Persons.
    pub lead_id: Vec<Uuid>,
    /// Visitors.
    pub visitor_id: Vec<String>,
    /// Addresses of pages.
    pub page: Option<String>,
    /// Campaign sources (`utm.source`).
    pub source: Vec<String>,
    /// Campaigns (`utm.campaign`).
    pub campaign: Vec<String>,
    /// `true` for crawlers only, `false` for people only. Statistics are of people.
    pub bot: Option<bool>,
    /// Happened at or after.
    pub from: Option<DateTime<Utc>>,
    /// Happened before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for CtaFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "occurredAt", column: "occurred_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self {
            surface: params.words("surface"),
            cta_id: params.words("ctaId"),
            kind: params.choices("kind", CtaKind::WORDS),
            variant: params.words("variant"),
            device: params.choices("device", &["desktop", "mobile", "tablet", "bot"]),
            lead_id: params.ids("leadId"),
            visitor_id: params.words("visitorId"),
            page: params.text("page"),
            source: params.words("source"),
            campaign: params.words("campaign"),
            bot: params.flag("bot"),
            from,
            to,
        }
    }
}

impl CtaFilter {
    /// The filter of statistics: people only, unless crawlers are asked for.
    #[must_use]
    pub fn of_people(self) -> Self {
        Self { bot: Some(self.bot.unwrap_or(false)), ..self }
    }

    /// Refuses words that are an address to whoever sees hints of them: what is found by one tells whose it is.
    ///
    /// # Errors
    /// 403 `field_masked` naming the parameter.
    pub fn check(&self, actor: &Actor) -> Result<(), Problem> {
        if actor.sees_contacts() {
            return Ok(());
        }
        let words = [
            ("surface", &self.surface),
            ("ctaId", &self.cta_id),
            ("variant", &self.variant),
            ("visitorId", &self.visitor_id),
            ("source", &self.source),
            ("campaign", &self.campaign),
        ];
        let is_one = |word: &String| matches!(mask::anywhere(word), Cow::Owned(_));
        let named = words.into_iter().find(|(_, words)| words.iter().any(is_one)).map(|(name, _)| name);
        let page = self.page.as_ref().filter(|page| matches!(mask::page(page), Cow::Owned(_)));
        match named.or(page.map(|_| "page")) {
            Some(name) => Err(field_masked(name)),
            None => Ok(()),
        }
    }

    /// Appends the `where` of events that are called `e`.
    pub(super) fn push(
        &self,
        query: &mut QueryBuilder<'_, Postgres>,
        tenant: Uuid,
        own_records_of: Owners<'_>,
    ) {
        query.push(" where e.tenant_id = ").push_bind(tenant);
        push_any(query, "e.surface", &self.surface);
        push_any(query, "e.cta_id", &self.cta_id);
        push_any(query, "e.kind", &self.kind);
        push_any(query, "e.variant", &self.variant);
        push_any(query, "e.device", &self.device);
        push_any(query, "e.lead_id", &self.lead_id);
        push_any(query, "e.visitor_id", &self.visitor_id);
        push_any(query, "e.utm ->> 'source'", &self.source);
        push_any(query, "e.utm ->> 'campaign'", &self.campaign);
        push_range(query, "e.occurred_at", (self.from, self.to));
        if let Some(page) = &self.page {
            query.push(" and e.page = ").push_bind(page.clone());
        }
        if let Some(bot) = self.bot {
            query.push(" and e.is_bot = ").push_bind(bot);
        }
        if let Some(owner) = own_records_of {
            // Whoever sees only own records sees strangers' clicks, but not those of other people's leads.
            query
                .push(" and (e.lead_id is null or exists (select from leads l where l.tenant_id = e.tenant_id and l.id = e.lead_id and l.owner_id = any (")
                .push_bind(owner.to_vec())
                .push(")))");
        }
    }
}
