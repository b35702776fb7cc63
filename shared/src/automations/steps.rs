//! What a step can do, each with its own fields. The catalogue of the API is made from these types.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::span::Span;
use crate::{
    conditions::Condition,
    messages::{Channel, Purpose},
    time::resolve,
    values::{Line, Prose, Tag},
};

/// `sendMessage`
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendMessage {
    /// `email`, `sms`, `whatsapp` or `inApp`.
    #[schema(inline)]
    pub channel: Channel,
    /// The template; or give a `body`.
    #[serde(default)]
    pub template_id: Option<Uuid>,
    /// The text, with variables.
    #[serde(default)]
    pub body: Option<Prose>,
    /// The subject of an e-mail, with variables.
    #[serde(default)]
    pub subject: Option<Line>,
    /// `marketing` needs the person's consent; `transactional` when left out.
    #[serde(default)]
    #[schema(inline)]
    pub purpose: Purpose,
    /// Where to go on when the message cannot be sent; without it the run fails.
    #[serde(default)]
    pub on_error: Option<String>,
}

/// `addTags` and `removeTags`
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tags {
    /// The tags.
    pub tags: Vec<Tag>,
}

/// `updateLead`
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateLead {
    /// Fields and their new values: `firstName`, `lastName`, `status`, `source`, `score`, `timezone`, `locale`, or an own field as
    /// `cf.<key>`. Texts may hold variables; null clears.
    #[schema(value_type = Object)]
    pub set: Map<String, Value>,
}

/// `moveStage`
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MoveStage {
    /// The stage of a pipeline.
    pub stage_id: Uuid,
}

/// `assignOwner`
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssignOwner {
    /// The colleague.
    #[serde(default)]
    pub user_id: Option<Uuid>,
    /// Colleagues who take turns; who is off duty is left out.
    #[serde(default)]
    pub round_robin: Vec<Uuid>,
    /// The policy whose turn it is.
    #[serde(default)]
    pub policy_id: Option<Uuid>,
}

/// `createActivity`
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateActivity {
    /// `note`, `call`, `task`, `visit`, `booking` …
    #[schema(value_type = String)]
    pub kind: Kind,
    /// One line, with variables.
    pub title: Line,
    /// The text, with variables.
    #[serde(default)]
    pub body: Option<Prose>,
    /// Tasks: until when, counted from now.
    #[serde(default)]
    pub due_in: Option<Span>,
    /// Tasks: by whom.
    #[serde(default)]
    pub assignee_id: Option<Uuid>,
}

/// The kind of an activity.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Kind(String);

impl Kind {
    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Kind {
    type Error = &'static str;

    /// The rule of `activities_kind_check`.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        if fits {
            Ok(Self(text))
        } else {
            Err("invalid_word: Letters are taken, 40 at most, the first in lower case.")
        }
    }
}

/// `notify`
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notify {
    /// The colleague; or give a `role`.
    #[serde(default)]
    pub user_id: Option<Uuid>,
    /// Everybody with this role or a higher one.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub role: Option<crate::auth::Role>,
    /// One line, with variables.
    #[serde(default)]
    pub title: Option<Line>,
    /// The text, with variables.
    pub body: Prose,
}

/// `wait`: exactly one of `for`, `until`, `untilLocal`, `forEvent`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wait {
    /// So long.
    #[serde(default, rename = "for")]
    pub span: Option<Span>,
    /// Until this instant; one that has passed waits for nothing.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// Until the clock of the person (else of the business) shows this time, `HH:MM`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub until_local: Option<LocalTime>,
    /// With `untilLocal`: only on these days, `mon` to `sun`.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub days: Vec<Day>,
    /// Until such an event about the same person.
    #[serde(default)]
    pub for_event: Option<String>,
    /// With `forEvent`: how long at most.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// With `timeout`: where to go on when the event did not come.
    #[serde(default)]
    pub on_timeout: Option<String>,
}

/// A time of day.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct LocalTime(pub NaiveTime);

impl LocalTime {
    /// The next instant after `now` at which a clock in `zone` shows this time, on one of `days` if there are any.
    #[must_use]
    pub fn next(self, days: &[Day], now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let today = now.with_timezone(&zone).date_naive();
        (0..=14).find_map(|ahead| {
            let day = today.checked_add_days(Days::new(ahead))?;
            let wanted = days.is_empty() || days.iter().any(|wanted| wanted.weekday() == day.weekday());
            resolve(day.and_time(self.0), zone).filter(|at| wanted && *at > now)
        })
    }
}

impl TryFrom<String> for LocalTime {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match NaiveTime::parse_from_str(&text, "%H:%M") {
            Ok(time) if text.len() == 5 => Ok(Self(time)),
            Ok(_) | Err(_) => Err("invalid_time: A time of day like 09:00 is expected."),
        }
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// As the calendar has it.
    #[must_use]
    pub const fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Mon,
            Self::Tue => Weekday::Tue,
            Self::Wed => Weekday::Wed,
            Self::Thu => Weekday::Thu,
            Self::Fri => Weekday::Fri,
            Self::Sat => Weekday::Sat,
            Self::Sun => Weekday::Sun,
        }
    }
}

/// `branch`
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Branch {
    /// What is asked.
    #[schema(value_type = Object)]
    pub conditions: Condition,
    /// Where to go on when it holds.
    pub then: String,
    /// Where to go on otherwise; the next step when left out.
    #[serde(default, rename = "else")]
    pub otherwise: Option<String>,
}

/// `split`
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Split {
    /// The ways, by weight. The same person always takes the same one.
    #[schema(inline)]
    pub ways: Vec<Way>,
}

/// One way of a `split`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Way {
    /// Its share, against the sum of all weights.
    pub weight: u32,
    /// Where it goes on.
    pub then: String,
}

/// `webhook`
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// The target, with variables.
    pub url: String,
    /// `POST` when left out.
    #[serde(default)]
    #[schema(inline)]
    pub method: Method,
    /// Further headers; the values may hold variables.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON, whose texts may hold variables; the lead and the event when left out.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub body: Option<Value>,
    /// Keeps the answer as `vars.<saveAs>`.
    #[serde(default)]
    pub save_as: Option<String>,
    /// Where to go on when the call fails; without it the run fails.
    #[serde(default)]
    pub on_error: Option<String>,
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Method {
    Get,
    #[default]
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As HTTP writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// `exit`
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exit {
    /// Why, for the people who look at the run.
    #[serde(default)]
    pub reason: Option<Line>,
}
