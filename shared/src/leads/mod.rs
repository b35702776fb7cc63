//! Leads: the people that a business knows or wants to know, with their identities, tags and activities.

mod activities;
mod batch;
mod bin;
mod bulk;
mod consents;
mod custom_fields;
mod drafts;
mod duplicates;
mod export;
mod find;
mod hidden;
mod hints;
mod identities;
mod import;
mod insert;
mod list;
mod merge;
mod model;
mod owners;
mod patch;
mod pipelines;
mod search;
mod timeline;
mod update;
mod upsert;

pub use activities::{
    Activity, ActivityBefore, ActivityFilter, ActivityPatch, NewActivity, delete_activity, find_activity,
    insert_activity, list_activities, update_activity,
};
pub use batch::{BatchResult, insert_all};
pub use bin::{archive, find_archived, restore, rival_of};
pub use bulk::{BulkOp, BulkRequest, BulkWord, Portion, begin, check as check_bulk, give_up, portion};
pub use consents::{
    Consent, ConsentFilter, ConsentPurpose, ConsentState, NewConsent, insert_consent, insert_consents,
    list_consents,
};
pub use custom_fields::{
    CustomField, CustomFieldFilter, CustomFieldPatch, Definitions, Entity, FieldQuery, FieldType,
    NewCustomField, delete_custom_field, find_custom_field, has_health_consent, insert_custom_field,
    list_custom_fields, update_custom_field,
};
pub use duplicates::{Duplicate, list_duplicates};
pub use export::{ExportCursor, ExportRequest, read_chunk};
pub use find::{exists, find, find_survivor, hold, owner_of, owner_of_identity};
pub use hidden::{Hidden, field_masked};
pub use identities::{
    Identity, IdentityChange, IdentityFilter, IdentityKind, IdentityPatch, NewIdentity, delete_identity,
    insert_identity, list_identities, update_identity,
};
pub use import::{FileError, ImportMode, ImportRequest, Importer, Layout, SourceKind, Step, knows_field};
pub use insert::{IDENTITY_TAKEN, insert};
pub(crate) use list::READABLE_NAME;
pub use list::{LeadFilter, explain, list};
pub use merge::{MergeRefusal, MergeRequest, UnmergeRequest, merge, unmerge};
pub use model::{Identities, Lead, MAX_TAGS, NewLead};
pub use owners::set_owners;
pub use patch::{LeadChange, LeadPatch};
pub use pipelines::{
    Board, BoardStage, NewPipeline, NewStage, Outcome, Pipeline, PipelineFilter, PipelinePatch, Stage,
    StageChange, board, count_on_pipeline, delete_pipeline, find_pipeline, insert_pipeline, list_pipelines,
    update_pipeline,
};
pub use timeline::{TIMELINE_TYPES, TimelineFilter, TimelineItem, list_timeline};
pub use update::{PRIMARY_TAKEN, UpdatedLead, update};
pub use upsert::{Known, Upserted, former_values, upsert};
