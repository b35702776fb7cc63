//! What an endpoint listens to.

use serde::{Deserialize, Serialize};
use utoipa::{
    __dev::ComposeSchema,
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::events::EventKind;

/// An event's word (`lead.created`), all of one kind (`lead.*`), or everything (`*`). One that matches nothing is refused:
/// its owner would wait for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EventPattern(String);

impl EventPattern {
    /// The pattern as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EventPattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let matches = |word: &str| match text.strip_suffix(".*") {
            Some(subject) => word.split_once('.').is_some_and(|(of, _)| of == subject),
            None => text == "*" || word == text,
        };
        if EventKind::ALL.iter().any(|kind| matches(kind.word())) {
            return Ok(Self(text));
        }
        Err("unknown_event: An event like lead.created, a group like lead.*, or * is expected.")
    }
}

impl ComposeSchema for EventPattern {
    fn compose(generics: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        String::compose(generics)
    }
}

impl ToSchema for EventPattern {
    fn name() -> std::borrow::Cow<'static, str> {
        String::name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_groups_and_everything_are_patterns_and_nothing_else() {
        for good in ["*", "lead.*", "lead.created", "invoice.paid"] {
            assert!(EventPattern::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "lead", "lead.", "lead.creat*", "nothing.*", "*.created", "lead.created ", "**", "%"]
        {
            assert!(EventPattern::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
