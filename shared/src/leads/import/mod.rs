//! Imports: a file of people becomes leads.
//!
//! A file is looked through twice. First it is only read, from its first byte to its last: is it text, does every quotation mark close, which column is
//! what, how many rows are there ([`Importer::survey`]). What is wrong with a file as a whole ends the job before anything is written.
//! Then the rows are applied in portions ([`Importer::portion`]): what is wrong with a row is that row's error and nobody else's. The place in
//! the file is a count of bytes, written in the portion's transaction. Parts of an upload are read one at a time and one portion of
//! rows is held, so memory does not grow with the file.
//!
//! Portions are decided in memory (`plan`) over leads that are held, and written together. A rehearsal (`dryRun`) decides the same way and
//! writes its drafts aside, so that it counts what would happen, twins in the file included.

mod apply;
mod file;
mod kept;
mod layout;
mod plan;
mod read;
mod record;
mod source;
mod split;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use apply::{Importer, Step};
pub use layout::{Layout, knows_field};
pub use source::{FileError, SourceKind};

/// What happens to people who are known, and to people who are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ImportMode {
    /// New people are made, known ones skipped.
    Create,
    /// Known people are changed, new ones skipped.
    Update,
    /// Both.
    #[default]
    Upsert,
}

impl ImportMode {
    /// Every word of it.
    pub const WORDS: &'static [&'static str] = &["create", "update", "upsert"];

    /// Reads a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "create" => Some(Self::Create),
            "update" => Some(Self::Update),
            "upsert" => Some(Self::Upsert),
            _ => None,
        }
    }
}

/// An import that was asked for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ImportRequest {
    /// What happens to whom.
    pub mode: ImportMode,
    /// Whether it only counts what would happen.
    pub dry_run: bool,
    /// Whether automations begin with what it does.
    pub automations: bool,
    /// How the file is written; found out from its first character when it is not said.
    pub format: Option<SourceKind>,
    /// Columns of the file and the fields that they are, where their names do not say it; `ignore` leaves one out.
    pub map: BTreeMap<String, String>,
}

impl Default for ImportRequest {
    fn default() -> Self {
        Self {
            mode: ImportMode::default(),
            dry_run: false,
            automations: true,
            format: None,
            map: BTreeMap::new(),
        }
    }
}
