//! The fields that a business invents for its leads: typed, checked when they are written, found by an index.
//!
//! A business without definitions writes what it likes. With the first definition the fields become a schema: a value
//! must fit its type, a required one must be there, and a key that nobody defined is refused as a typo. What providers
//! and imports bring is never lost for that: it is stored as it came, and a typed filter finds it once it fits.

mod cells;
mod definitions;
mod model;
mod query;
mod store;
mod values;

pub(in crate::leads) use cells::{cell, list_cell, loose, typed, words};
pub use definitions::{Definitions, has_health_consent};
pub use model::{CustomField, CustomFieldPatch, Entity, FieldType, NewCustomField};
pub use query::FieldQuery;
pub(in crate::leads) use query::Probe;
pub use store::{
    CustomFieldFilter, delete_custom_field, find_custom_field, insert_custom_field, list_custom_fields,
    update_custom_field,
};
