//! What all functions of Wellspring share: the tenant's transaction, the law of the API, durable work, and the stores.
//!
//! Only this crate speaks SQL. Function crates hold handlers and wiring; see `docs/adding-an-endpoint.md`.

pub mod accounts;
pub mod analytics;
pub mod app;
pub mod assignment;
pub mod audit;
pub mod auth;
pub mod automations;
mod aws;
pub mod clock;
pub mod conditions;
pub mod config;
pub mod crypto;
pub mod db;
pub mod demo;
pub mod events;
pub mod export;
pub mod finance;
pub mod http;
pub mod ids;
pub mod jobs;
pub mod json;
pub mod lambda;
pub mod leads;
pub mod limits;
pub mod logging;
pub mod mails;
pub mod mask;
pub mod messages;
pub mod net;
pub mod nightly;
pub mod notifications;
pub mod privacy;
pub mod private;
pub mod providers;
pub mod queue;
pub mod scoring;
pub mod segments;
pub mod sweep;
pub mod templates;
pub mod time;
pub mod values;
pub mod webhooks;
pub mod wellness;
pub mod work;
