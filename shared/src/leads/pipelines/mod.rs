//! Sales paths and their stages.

mod board;
mod list;
mod model;
mod write;

pub use board::{Board, BoardStage, board};
pub use list::{PipelineFilter, find_pipeline, list_pipelines};
pub use model::{NewPipeline, NewStage, Outcome, Pipeline, PipelinePatch, Stage, StageChange};
pub use write::{count_on_pipeline, delete_pipeline, insert_pipeline, update_pipeline};
