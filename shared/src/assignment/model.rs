//! The shapes of a policy.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    conditions::Condition,
    crypto::sha256,
    http::{Check, FieldErrors, Patch},
    values::Line,
};

/// Colleagues of one policy at most.
const MAX_MEMBERS: usize = 100;

/// How turns are shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// Everyone as often as everyone else.
    #[default]
    RoundRobin,
    /// Everyone by their weight.
    Weighted,
}

impl Strategy {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::RoundRobin => "roundRobin",
            Self::Weighted => "weighted",
        }
    }
}

/// A colleague who takes turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Member {
    /// The colleague.
    pub user_id: Uuid,
    /// Their share of turns, 1 to 100; `weighted` only.
    #[serde(default = "one")]
    pub weight: i32,
    /// Open leads at most that they have before they are left out; none means any number. Open is whoever is neither
    /// `customer` nor `lost`.
    #[serde(default)]
    pub capacity: Option<i32>,
}

const fn one() -> i32 {
    1
}

/// How leads find their colleague.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssignmentPolicy {
    /// The policy.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// `roundRobin` or `weighted`.
    pub strategy: String,
    /// Who takes turns, in order.
    #[schema(value_type = Vec<Member>)]
    pub members: Json<Vec<Member>>,
    /// For whom it is; null for everybody.
    #[schema(value_type = Option<Condition>)]
    pub conditions: Option<Value>,
    /// Whether a new lead that nobody owns is offered to it.
    pub for_new_leads: bool,
    /// New leads go to the first policy that fits, in this order.
    pub position: i32,
    /// Whether colleagues are left out outside their working hours.
    pub working_hours: bool,
    /// Who takes the lead when nobody else can.
    pub fallback_user_id: Option<Uuid>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Version of the row, which is its `ETag`.
    #[serde(skip)]
    pub version: i64,
}

impl AssignmentPolicy {
    /// The turns of this policy.
    #[must_use]
    pub fn rotation(&self) -> Rotation {
        let weighted = self.strategy == Strategy::Weighted.word();
        let member =
            |member: &Member| Member { weight: if weighted { member.weight } else { 1 }, ..member.clone() };
        Rotation {
            name: format!("policy:{}", self.id),
            policy_id: Some(self.id),
            members: self.members.iter().map(member).collect(),
            working_hours: self.working_hours,
            fallback: self.fallback_user_id,
        }
    }

    /// For whom it is.
    #[must_use]
    pub fn condition(&self) -> Option<Condition> {
        serde_json::from_value(self.conditions.clone()?).ok()
    }
}

/// Colleagues who take turns.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// What its turns are kept under.
    pub name: String,
    /// The policy, if it is one's.
    pub policy_id: Option<Uuid>,
    /// Who takes turns, in order.
    pub members: Vec<Member>,
    /// Whether colleagues are left out outside their working hours.
    pub working_hours: bool,
    /// Who takes the lead when nobody else can.
    pub fallback: Option<Uuid>,
}

impl Rotation {
    /// Colleagues who are named on the spot. The same ones share their turns, whoever names them and in whatever order.
    #[must_use]
    pub fn of(users: &[Uuid]) -> Self {
        let mut users = users.to_vec();
        users.sort_unstable();
        users.dedup();
        let ids: Vec<u8> = users.iter().flat_map(|user| *user.as_bytes()).collect();
        Self {
            name: format!("list:{}", hex::encode(sha256(&ids))),
            policy_id: None,
            members: users.into_iter().map(|user_id| Member { user_id, weight: 1, capacity: None }).collect(),
            working_hours: true,
            fallback: None,
        }
    }
}

/// A policy that is about to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPolicy {
    /// Its name.
    pub name: Line,
    /// How turns are shared.
    #[serde(default)]
    pub strategy: Strategy,
    /// 1 to 100 colleagues, each once.
    pub members: Vec<Member>,
    /// For whom it is; everybody when left out.
    #[serde(default)]
    #[schema(value_type = Option<Condition>)]
    pub conditions: Option<Value>,
    /// Whether a new lead that nobody owns is offered to it.
    #[serde(default)]
    pub for_new_leads: bool,
    /// New leads go to the first policy that fits, in this order.
    #[serde(default)]
    pub position: i32,
    /// Whether colleagues are left out outside their working hours; they are when left out.
    #[serde(default = "yes")]
    pub working_hours: bool,
    /// Who takes the lead when nobody else can.
    #[serde(default)]
    pub fallback_user_id: Option<Uuid>,
}

const fn yes() -> bool {
    true
}

impl Check for NewPolicy {
    fn check(&self, errors: &mut FieldErrors) {
        check_members(&self.members, errors);
    }
}

/// What changes on a policy.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyPatch {
    /// Its name.
    pub name: Option<Line>,
    /// How turns are shared.
    pub strategy: Option<Strategy>,
    /// All colleagues who take turns.
    pub members: Option<Vec<Member>>,
    /// For whom it is.
    #[serde(default)]
    #[schema(value_type = Option<Condition>)]
    pub conditions: Patch<Value>,
    /// Whether a new lead that nobody owns is offered to it.
    pub for_new_leads: Option<bool>,
    /// Its place among those.
    pub position: Option<i32>,
    /// Whether colleagues are left out outside their working hours.
    pub working_hours: Option<bool>,
    /// Who takes the lead when nobody else can.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    pub fallback_user_id: Patch<Uuid>,
}

impl Check for PolicyPatch {
    fn check(&self, errors: &mut FieldErrors) {
        if let Some(members) = &self.members {
            check_members(members, errors);
        }
    }
}

fn check_members(members: &[Member], errors: &mut FieldErrors) {
    if !(1..=MAX_MEMBERS).contains(&members.len()) {
        errors.add("/members", "out_of_range", "Name 1 to 100 colleagues.");
    }
    for (index, member) in members.iter().enumerate() {
        if !(1..=100).contains(&member.weight) {
            errors.add(format!("/members/{index}/weight"), "out_of_range", "A weight is 1 to 100.");
        }
        if member.capacity.is_some_and(|capacity| !(0..=1_000_000).contains(&capacity)) {
            errors.add(format!("/members/{index}/capacity"), "out_of_range", "A capacity is 0 to 1,000,000.");
        }
        if members.iter().take(index).any(|other| other.user_id == member.user_id) {
            errors.add(format!("/members/{index}/userId"), "duplicate", "Each colleague is named once.");
        }
    }
}
