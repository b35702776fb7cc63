//! Health metrics of people, what they add up to, and what was aimed at.
//!
//! Two decisions shape this module. A measurement's **local day** is fixed when it is written, from the offset that the
//! device reported: a day is where the person was, not where the server is; a reader may ask for the days of a zone
//! instead. And **sources are never added up**: a watch and a phone that count the same steps each keep their own rows, and
//! for each day readers believe one of them ([`series::fold`]).

mod catalogue;
mod days;
mod goal;
mod goals;
mod ingest;
mod list;
mod model;
mod progress;
mod refine;
pub mod series;
mod series_store;
mod summary;
mod types;

pub use catalogue::{Aggregation, BUILT_IN, MetricType, Unit};
pub use goal::{Direction, Goal, GoalFilter, GoalPatch, GoalStatus, NewGoal, Period};
pub use goals::{delete_goal, evaluate_goals, find_goal, insert_goal, list_goals, update_goal};
pub use ingest::{Admitted, Ingested, Outcome, Refused, admit, corrected, ingest};
pub use list::{Bound, MetricFilter, SeriesRequest, find_metric, find_twin, list_metrics};
pub use model::{Grain, Metric, MetricPatch, NewMetric};
pub use progress::Progress;
pub use refine::{delete_metric, update_metric};
pub use series_store::{Point, Series, read_series};
pub use summary::{Summary, SummaryItem, read_summary};
pub use types::{Conversion, OwnTypes, TypeOut, list_types, types_of};
