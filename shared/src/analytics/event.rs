//! The shapes of a CTA event.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, SubsecRound, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http::{Check, FieldErrors},
    mask::{self, Masked},
    private::Private,
    values::Line,
};

/// Clocks of browsers are ahead of ours by so much without being wrong.
const SKEW: Duration = Duration::minutes(5);
/// Older events find no partition; the minute is for the distance between our clock and the database's.
const OLDEST: Duration = Duration::minutes(400 * 24 * 60 - 1);

/// What a visitor did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CtaKind {
    /// It was seen.
    View,
    /// It was clicked.
    Click,
    /// Its form was sent.
    Submit,
}

impl CtaKind {
    /// Every word of it.
    pub const WORDS: &[&str] = &["view", "click", "submit"];

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Click => "click",
            Self::Submit => "submit",
        }
    }
}

/// An event that a page tells.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCta {
    /// The client's id of the event: the same id again is the same event. At most 100 characters.
    pub event_id: Line,
    /// The page, screen or advertisement. An unknown one registers itself.
    pub surface: Line,
    /// The button or form.
    pub cta_id: Line,
    /// What the visitor did.
    pub kind: CtaKind,
    /// When; now when left out. At most 400 days ago.
    #[serde(default)]
    pub occurred_at: Option<DateTime<Utc>>,
    /// The client's own id of the visitor.
    #[serde(default, deserialize_with = "text")]
    pub visitor_id: Option<String>,
    /// The person, when it is known.
    #[serde(default)]
    pub lead_id: Option<Uuid>,
    /// Address of the page.
    #[serde(default, deserialize_with = "text")]
    pub page: Option<String>,
    /// Address of the page before.
    #[serde(default, deserialize_with = "text")]
    pub referrer: Option<String>,
    /// Campaign: source, medium, campaign, term, content.
    #[serde(default)]
    pub utm: BTreeMap<String, String>,
    /// Ids of advertisement clicks: gclid, fbclid …
    #[serde(default)]
    pub click_ids: BTreeMap<String, String>,
    /// Variant of a test.
    #[serde(default, deserialize_with = "text")]
    pub variant: Option<String>,
    /// What it is worth, in the business's own measure.
    #[serde(default)]
    pub value: Option<f64>,
}

/// Text of at most 2,000 characters; browsers say an empty one when there is none.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if text.as_ref().is_some_and(|text| text.chars().count() > 2000) {
        return Err(D::Error::custom("too_long: At most 2,000 characters are taken."));
    }
    Ok(text)
}

impl Check for NewCta {
    fn check(&self, errors: &mut FieldErrors) {
        if self.event_id.as_str().chars().count() > 100 {
            errors.add("/eventId", "too_long", "At most 100 characters are taken.");
        }
        for (pointer, words) in [("/utm", &self.utm), ("/clickIds", &self.click_ids)] {
            if words.len() > 20
                || words.iter().any(|(key, word)| key.len() > 100 || word.chars().count() > 500)
            {
                errors.add(pointer, "too_long", "At most 20 entries of 500 characters are taken.");
            }
        }
    }
}

impl NewCta {
    /// When it happened, cut to what PostgreSQL keeps.
    ///
    /// # Errors
    /// `in_future` or `too_old`, with a sentence.
    pub fn time(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, (&'static str, &'static str)> {
        let at = self.occurred_at.unwrap_or(now).trunc_subsecs(6);
        if at > now + SKEW {
            return Err(("in_future", "An event cannot lie in the future."));
        }
        if at < now - OLDEST {
            return Err(("too_old", "Events are taken up to 400 days after they happened."));
        }
        Ok(at)
    }
}

/// What a page may send: one event, or up to 50.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum CtaBody {
    /// One event.
    One(Box<NewCta>),
    /// Several, each judged by itself.
    Many {
        /// 1 to 50 events.
        events: Vec<NewCta>,
    },
}

/// A counted event.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CtaEvent {
    /// The row.
    pub id: Uuid,
    /// The client's id.
    pub event_id: String,
    /// The page, screen or advertisement.
    pub surface: String,
    /// The button or form.
    pub cta_id: String,
    /// `view`, `click` or `submit`.
    pub kind: String,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// When we heard of it.
    pub recorded_at: DateTime<Utc>,
    /// The client's own id of the visitor.
    pub visitor_id: Option<Private<String>>,
    /// Hash of the visitor's address and browser, which means nothing once the day's salt is gone.
    pub visitor_hash: Option<String>,
    /// The person, when it is known.
    pub lead_id: Option<Uuid>,
    /// Address of the page.
    pub page: Option<Private<String>>,
    /// Address of the page before.
    pub referrer: Option<Private<String>>,
    /// Campaign.
    #[schema(value_type = Object)]
    pub utm: Value,
    /// Ids of advertisement clicks.
    #[schema(value_type = Object)]
    pub click_ids: Value,
    /// Variant of a test.
    pub variant: Option<String>,
    /// What it is worth.
    pub value: Option<f64>,
    /// `desktop`, `mobile`, `tablet` or `bot`.
    pub device: Option<String>,
    /// Whether a program looked instead of a person.
    pub is_bot: bool,
}

impl Masked for CtaEvent {
    fn masked(self) -> Self {
        let page = |page: Private<String>| page.map(mask::page_address);
        Self { page: self.page.map(page), referrer: self.referrer.map(page), ..self }
    }
}
