//! The words of fields over what a person did.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{events::EventKind, values::Currency};

/// Where entries come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::conditions) enum Source {
    Events,
    Activities,
    Messages,
    Purchases,
    Metrics,
}

/// What is made of the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::conditions) enum Aggregate {
    Count,
    Sum,
    Min,
    Max,
    Avg,
    Last,
    FirstAt,
    LastAt,
}

impl Aggregate {
    /// Whether it is an instant; otherwise it is a number.
    pub(super) const fn is_time(self) -> bool {
        matches!(self, Self::FirstAt | Self::LastAt)
    }

    /// Whether nothing makes zero; otherwise nothing makes null.
    pub(super) const fn is_zero_of_nothing(self) -> bool {
        matches!(self, Self::Count | Self::Sum)
    }

    /// Whether it is an amount of money or a measured value, rather than a count or a time.
    pub(super) const fn is_amount(self) -> bool {
        !matches!(self, Self::Count | Self::FirstAt | Self::LastAt)
    }

    pub(super) const fn is_measured(self) -> bool {
        self.is_amount()
    }
}

const SOURCES: [(&str, Source); 5] = [
    ("events", Source::Events),
    ("activities", Source::Activities),
    ("messages", Source::Messages),
    ("purchases", Source::Purchases),
    ("metrics", Source::Metrics),
];

const AGGREGATES: [(&str, Aggregate); 8] = [
    ("count", Aggregate::Count),
    ("firstAt", Aggregate::FirstAt),
    ("lastAt", Aggregate::LastAt),
    ("sum", Aggregate::Sum),
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("avg", Aggregate::Avg),
    ("last", Aggregate::Last),
];

/// How many of [`AGGREGATES`] a source offers.
const fn offered(source: Source) -> usize {
    match source {
        Source::Events | Source::Activities | Source::Messages => 3,
        Source::Purchases => 7,
        Source::Metrics => 8,
    }
}

/// What a word of a key must be.
#[derive(Clone, Copy, Debug)]
enum Words {
    Any,
    Of(&'static [&'static str]),
    EventType,
    Kind,
    Id,
    Currency,
}

/// A key of `where`.
#[derive(Clone, Debug)]
pub(in crate::conditions) struct Key {
    pub(in crate::conditions) name: String,
    /// Events: where it stands in the payload.
    pub(super) path: Vec<String>,
    /// Events: the types that have it; empty for all.
    pub(super) types: &'static [&'static str],
    /// Whether only one word is taken.
    pub(super) takes_one: bool,
    words: Words,
}

impl Key {
    fn new(name: &str, words: Words) -> Self {
        Self { name: name.to_owned(), path: Vec::new(), types: &[], takes_one: false, words }
    }

    fn one(name: &str, words: Words) -> Self {
        Self { takes_one: true, ..Self::new(name, words) }
    }

    pub(super) fn takes(&self, word: &str) -> bool {
        match self.words {
            Words::Any => !word.is_empty(),
            Words::Of(known) => known.contains(&word),
            Words::EventType => EventKind::ALL.iter().any(|kind| kind.word() == word),
            Words::Kind => {
                word.len() <= 60
                    && word.starts_with(|first: char| first.is_ascii_lowercase())
                    && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
            }
            Words::Id => word.parse::<Uuid>().is_ok(),
            Words::Currency => Currency::try_from(word.to_owned()).is_ok_and(|read| read.as_str() == word),
        }
    }
}

/// Where an event's own words stand in its payload: name, path, the types that have it.
const DETAILS: [(&str, &str, &[&str]); 10] = [
    ("ctaId", "ctaId", &["cta.recorded", "form.submitted"]),
    ("surface", "surface", &["cta.recorded"]),
    ("kind", "kind", &["cta.recorded"]),
    ("sourceId", "sourceId", &["form.submitted", "webhook.received"]),
    ("name", "type", &["webhook.received"]),
    ("tag", "tag", &["lead.tagAdded", "lead.tagRemoved"]),
    ("stageId", "stageId", &["lead.stageChanged"]),
    ("segmentId", "segmentId", &["segment.entered", "segment.exited"]),
    ("channel", "channel", &["message.received", "message.sent", "message.delivered", "message.failed"]),
    ("metric", "type", &["metric.recorded"]),
];

pub(super) const STATUSES: &[&str] = &[
    "sent",
    "delivered",
    "read",
    "replied",
    "failed",
    "scheduled",
    "deferred",
    "queued",
    "sending",
    "canceled",
    "blocked",
    "unknown",
    "received",
];

impl Source {
    fn keys(self) -> Vec<Key> {
        match self {
            Self::Events => {
                let detail = |(name, path, types): &(&str, &str, &'static [&'static str])| Key {
                    path: vec![(*path).to_owned()],
                    types,
                    ..Key::new(name, Words::Any)
                };
                let kind = Key::new("type", Words::EventType);
                std::iter::once(kind).chain(DETAILS.iter().map(detail)).collect()
            }
            Self::Activities => vec![Key::new("kind", Words::Kind)],
            Self::Messages => vec![
                Key::new("direction", Words::Of(&["inbound", "outbound"])),
                Key::new("channel", Words::Of(&["email", "sms", "whatsapp", "inApp"])),
                Key::new("status", Words::Of(STATUSES)),
                Key::new("purpose", Words::Of(&["marketing", "transactional"])),
                Key::new("templateId", Words::Id),
            ],
            Self::Purchases => vec![
                Key::one("currency", Words::Currency),
                Key::new("itemId", Words::Id),
                Key::new("kind", Words::Of(&["invoice", "receipt"])),
            ],
            Self::Metrics => vec![
                Key::one("type", Words::Kind),
                Key::new("source", Words::Any),
                Key::one("unit", Words::Any),
            ],
        }
    }

    /// A key by its name. Answers of forms are `fields.<name>`.
    pub(super) fn key(self, name: &str) -> Option<Key> {
        let answer = name.strip_prefix("fields.").filter(|answer| self == Self::Events && !answer.is_empty());
        if let Some(answer) = answer {
            let path = vec!["fields".to_owned(), answer.to_owned()];
            return Some(Key { path, types: &["form.submitted"], ..Key::new(name, Words::Any) });
        }
        self.keys().into_iter().find(|key| key.name == name)
    }
}

/// Whether a field is about what a person did.
pub(in crate::conditions) fn is_field(field: &str) -> bool {
    let root = field.split('.').next();
    SOURCES.iter().any(|(word, _)| root == Some(word))
}

/// The source and what is made of it.
pub(super) fn locate(field: &str) -> Option<(Source, Aggregate)> {
    let (root, rest) = field.split_once('.')?;
    let (_, source) = SOURCES.iter().find(|(word, _)| *word == root)?;
    let (_, aggregate) = AGGREGATES.iter().take(offered(*source)).find(|(word, _)| *word == rest)?;
    Some((*source, *aggregate))
}

/// A field over what a person did, for editors.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryField {
    /// The word in `field`.
    pub field: String,
    /// `number` or `time`.
    pub kind: &'static str,
    /// What `where` takes.
    #[serde(rename = "where")]
    pub keys: Vec<String>,
}

/// Every field over what a person did.
#[must_use]
pub fn history_fields() -> Vec<HistoryField> {
    let of_source = |(root, source): &(&str, Source)| {
        let keys: Vec<String> = source.keys().into_iter().map(|key| key.name).collect();
        let offered: Vec<HistoryField> = AGGREGATES
            .iter()
            .take(offered(*source))
            .map(|(word, aggregate)| HistoryField {
                field: format!("{root}.{word}"),
                kind: if aggregate.is_time() { "time" } else { "number" },
                keys: keys.clone(),
            })
            .collect();
        offered
    };
    SOURCES.iter().flat_map(of_source).collect()
}
