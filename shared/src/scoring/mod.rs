//! Scores: how promising a lead is, with the reasons.
//!
//! Rules give points to those for whom a condition holds; points may fade with the time that has passed since something. The
//! parts of a score are those rules, besides what an automation gave, and they add up to it. The same facts at the same
//! time give the same score: there is one statement, which answers for one lead that is asked about and for a thousand that
//! are due.
//!
//! What is stored follows at a distance. The sweep scores the leads that something was told about or that changed, and once a
//! day everybody, because "within 30 days" ends by the passing of time alone. A score is derived, so a new one is no change
//! of the lead: its version stays, and nothing is told. Whoever wants to hear that somebody has become promising makes a
//! segment of it: `segment.entered` tells it once.

mod model;
mod rules;
mod store;
mod sweep;

pub use model::{Decay, NewRule, Rule, Score, ScorePart, Scoring, ScoringChange, Since};
pub use store::{find_scoring, score_of, set_scoring};
pub use sweep::{Due, Overlap, Scored, catch_up, due};
