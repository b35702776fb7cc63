//! What can be done to many leads.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    accounts::disabled_user,
    automations,
    db::TenantTx,
    http::{Check, FieldErrors, FromQuery, Params, Patch, Problem, parse_value},
    leads::{Definitions, LeadChange, LeadFilter, LeadPatch},
    segments,
    values::{Line, Tag, Word},
};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum BulkWord {
    /// `{tags}`
    AddTags,
    /// `{tags}`
    RemoveTags,
    /// `{ownerId}`, null for nobody.
    AssignOwner,
    /// `{stageId, wonReason?, lostReason?}`, null takes leads off their pipeline.
    MoveStage,
    /// `{status}`
    SetStatus,
    /// The fields of a lead's PATCH but e-mail address and telephone number.
    UpdateFields,
    /// Into the bin.
    Delete,
    /// Out of the bin; the filter is asked of the bin.
    Restore,
    /// `{segmentId}` of a static segment.
    AddToSegment,
    /// `{segmentId}` of a static segment.
    RemoveFromSegment,
    /// `{automationId}`: a run for each whom the rule of re-entry lets in.
    Enrol,
}

/// A change of many leads.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BulkRequest {
    /// What is done.
    pub op: BulkWord,
    /// Whom it is done to: the filters of the list of leads, `{}` for everyone. A value may be a list of alternatives.
    #[schema(value_type = Object)]
    pub filter: Map<String, Value>,
    /// What the operation needs to know.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub params: Map<String, Value>,
}

impl Check for BulkRequest {}

/// An operation that has been understood.
#[derive(Clone, Debug)]
pub enum BulkOp {
    /// Fields, tags, owner, stage.
    Change(Box<LeadChange>),
    /// Into the bin.
    Delete,
    /// Out of the bin.
    Restore,
    /// Into a static segment.
    Join(Uuid),
    /// Out of a static segment.
    Leave(Uuid),
    /// A run of an automation.
    Enrol(Uuid),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tags {
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Owner {
    #[serde(default)]
    owner_id: Patch<Uuid>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stage {
    #[serde(default)]
    stage_id: Patch<Uuid>,
    #[serde(default)]
    won_reason: Patch<Line>,
    #[serde(default)]
    lost_reason: Patch<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    status: Word,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OfSegment {
    segment_id: Uuid,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OfAutomation {
    automation_id: Uuid,
}

impl Check for Tags {
    fn check(&self, errors: &mut FieldErrors) {
        if !(1..=50).contains(&self.tags.len()) {
            errors.add("/tags", "out_of_range", "Give 1 to 50 tags.");
        }
    }
}
impl Check for Owner {
    fn check(&self, errors: &mut FieldErrors) {
        if !self.owner_id.is_mentioned() {
            errors.add("/ownerId", "required", "Say who takes the leads over, or null.");
        }
    }
}
impl Check for Stage {
    fn check(&self, errors: &mut FieldErrors) {
        if !self.stage_id.is_mentioned() {
            errors.add("/stageId", "required", "Say which stage, or null.");
        }
    }
}
impl Check for Status {}
impl Check for Nothing {}
impl Check for OfSegment {}
impl Check for OfAutomation {}

impl BulkRequest {
    /// Reads the filter by the grammar of the list.
    ///
    /// # Errors
    /// 422 below `/filter`.
    pub fn filter(&self, zone: Tz) -> Result<LeadFilter, Problem> {
        let mut params = Params::of_json(&self.filter, zone);
        let mut filter = LeadFilter::read(&mut params);
        if filter.deleted == Some(true) && self.op != BulkWord::Restore {
            params.refuse("deleted", "not_allowed", "Leads in the bin can only be restored.");
        }
        params.finish().map_err(|problem| problem.below("/filter"))?;
        filter.deleted = Some(self.op == BulkWord::Restore);
        Ok(filter)
    }

    /// Reads what the operation needs to know.
    ///
    /// # Errors
    /// 422 below `/params`.
    pub fn op(&self, definitions: &Definitions, country: &str) -> Result<BulkOp, Problem> {
        let patch = match self.op {
            BulkWord::AddTags => LeadPatch { add_tags: self.read::<Tags>()?.tags, ..LeadPatch::default() },
            BulkWord::RemoveTags => {
                LeadPatch { remove_tags: self.read::<Tags>()?.tags, ..LeadPatch::default() }
            }
            BulkWord::AssignOwner => {
                LeadPatch { owner_id: self.read::<Owner>()?.owner_id, ..LeadPatch::default() }
            }
            BulkWord::MoveStage => {
                let Stage { stage_id, won_reason, lost_reason } = self.read()?;
                LeadPatch { stage_id, won_reason, lost_reason, ..LeadPatch::default() }
            }
            BulkWord::SetStatus => {
                let status = Patch::Set(self.read::<Status>()?.status);
                let patch = LeadPatch { status, ..LeadPatch::default() };
                let mut errors = FieldErrors::default();
                patch.check(&mut errors);
                errors.into_result().map_err(below)?;
                patch
            }
            BulkWord::UpdateFields => self.fields(definitions, country)?,
            BulkWord::Delete => return self.read::<Nothing>().map(|_| BulkOp::Delete),
            BulkWord::Restore => return self.read::<Nothing>().map(|_| BulkOp::Restore),
            BulkWord::AddToSegment => {
                return self.read::<OfSegment>().map(|of| BulkOp::Join(of.segment_id));
            }
            BulkWord::RemoveFromSegment => {
                return self.read::<OfSegment>().map(|of| BulkOp::Leave(of.segment_id));
            }
            BulkWord::Enrol => {
                return self.read::<OfAutomation>().map(|of| BulkOp::Enrol(of.automation_id));
            }
        };
        Ok(BulkOp::Change(Box::new(patch.normalise(country)?)))
    }

    fn read<T: DeserializeOwned + Check>(&self) -> Result<T, Problem> {
        parse_value(Value::Object(self.params.clone())).map_err(below)
    }

    fn fields(&self, definitions: &Definitions, country: &str) -> Result<LeadPatch, Problem> {
        let mut errors = FieldErrors::default();
        for identity in ["email", "phone"].into_iter().filter(|name| self.params.contains_key(*name)) {
            let detail = "An address or number belongs to one lead and cannot be given to many.";
            errors.add(format!("/params/{identity}"), "not_allowed", detail);
        }
        if self.params.is_empty() {
            errors.add("/params", "required", "Say what is to be changed.");
        }
        errors.into_result()?;
        let mut patch: LeadPatch = self.read()?;
        patch.custom_fields = match patch.custom_fields {
            Patch::Set(given) => Patch::Set(definitions.read(given, country).map_err(below)?),
            Patch::Clear => definitions.require(|_| false).map(|()| Patch::Clear).map_err(below)?,
            Patch::Keep => Patch::Keep,
        };
        Ok(patch)
    }
}

fn below(problem: Problem) -> Problem {
    problem.below("/params")
}

/// Refuses an operation that names somebody or something that is not there.
///
/// # Errors
/// 422 below `/params`, 409 `not_active` for an automation that cannot be started.
pub async fn check(tx: &mut TenantTx, op: &BulkOp) -> Result<(), Problem> {
    match op {
        BulkOp::Change(change) => {
            let named = |name: &str| change.fields.get(name).and_then(Value::as_str)?.parse::<Uuid>().ok();
            let known = sqlx::query!(
                r#"select ($2::uuid is null or exists (select from users where tenant_id = $1 and id = $2)) as "owner!",
                          exists (select from users where tenant_id = $1 and id = $2 and status = 'disabled') as "disabled!",
                          ($3::uuid is null or exists (select from pipeline_stages where tenant_id = $1 and id = $3)) as "stage!""#,
                tx.tenant(),
                named("ownerId"),
                named("stageId"),
            )
            .fetch_one(tx.conn())
            .await
            .map_err(crate::db::DbError::from)?;
            if !known.owner {
                return Err(Problem::invalid(
                    "/params/ownerId",
                    "unknown_user",
                    "There is no such colleague.",
                ));
            }
            if known.disabled {
                return Err(disabled_user("/params/ownerId"));
            }
            if !known.stage {
                return Err(Problem::invalid("/params/stageId", "unknown_stage", "There is no such stage."));
            }
            Ok(())
        }
        BulkOp::Join(segment) | BulkOp::Leave(segment) => match segments::find(tx, *segment).await? {
            Some(segment) if segment.is_live() => Err(Problem::invalid(
                "/params/segmentId",
                "live_segment",
                "Who belongs to a live segment is decided by its conditions.",
            )),
            Some(_) => Ok(()),
            None => {
                Err(Problem::invalid("/params/segmentId", "unknown_segment", "There is no such segment."))
            }
        },
        BulkOp::Enrol(automation) => match automations::find(tx, *automation).await? {
            Some(automation) if automation.status == "active" => Ok(()),
            Some(_) => Err(Problem::conflict(
                "not_active",
                "Publish the automation, or resume it, before it is started.",
            )),
            None => Err(Problem::invalid(
                "/params/automationId",
                "unknown_automation",
                "There is no such automation.",
            )),
        },
        BulkOp::Delete | BulkOp::Restore => Ok(()),
    }
}
