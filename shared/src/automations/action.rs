//! The kinds of steps: one list that parsing, the engine and the catalogue read.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::{
    PartialSchema,
    openapi::{RefOr, schema::Schema},
};

use super::steps::{
    AssignOwner, Branch, CreateActivity, Exit, MoveStage, Notify, SendMessage, Split, Tags, UpdateLead, Wait,
    Webhook,
};
use crate::{
    http::{FieldError, locate_field},
    json::Shape,
};

macro_rules! actions {
    ($($name:ident($config:ident) = $word:literal, $title:literal, $about:literal;)*) => {
        /// What a step does.
        #[derive(Clone, Debug)]
        #[expect(missing_docs, reason = "the configurations carry them")]
        pub enum Action { $($name($config),)* }

        impl Action {
            /// The word of each kind with its title, its description and the schema of its fields.
            #[must_use]
            pub fn catalog() -> Vec<(&'static str, &'static str, &'static str, RefOr<Schema>)> {
                vec![$(($word, $title, $about, $config::schema()),)*]
            }

            /// The word of the kind.
            #[must_use]
            pub const fn word(&self) -> &'static str {
                match self { $(Self::$name(_) => $word,)* }
            }

            /// Parses the fields of a kind; `None` for an unknown word.
            pub(super) fn parse(word: &str, fields: Map<String, Value>) -> Option<Result<Self, FieldError>> {
                match word {
                    $($word => Some(read::<$config>(fields).map(Self::$name)),)*
                    _ => None,
                }
            }
        }
    };
}

actions! {
    SendMessage(SendMessage) = "sendMessage", "Send a message", "Sends a text to the person and goes on when it was handed over.";
    AddTags(Tags) = "addTags", "Add tags", "Puts tags on the person.";
    RemoveTags(Tags) = "removeTags", "Remove tags", "Takes tags off the person.";
    UpdateLead(UpdateLead) = "updateLead", "Change fields", "Sets fields of the person.";
    MoveStage(MoveStage) = "moveStage", "Move to a stage", "Moves the person to a stage of a pipeline.";
    AssignOwner(AssignOwner) = "assignOwner", "Assign a colleague", "Puts a colleague in charge.";
    CreateActivity(CreateActivity) = "createActivity", "Record an activity", "Records a note, a task or another activity.";
    Notify(Notify) = "notify", "Notify colleagues", "Tells a colleague, or all with a role.";
    Wait(Wait) = "wait", "Wait", "Waits for a time or for an event.";
    Branch(Branch) = "branch", "Branch", "Asks a condition and goes one way or the other.";
    Split(Split) = "split", "Split", "Sends shares of people different ways; a person always the same way.";
    Webhook(Webhook) = "webhook", "Call a URL", "Sends a request and keeps the answer.";
    Exit(Exit) = "exit", "End", "Ends the run.";
}

fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(Shape::of(Value::Object(fields))).map_err(|error| locate_field(&error))
}
