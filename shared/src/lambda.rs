//! The mains of the binaries: wiring only.
//!
//! Configuration, secret and database connection are made during INIT, whose CPU is not throttled by the memory size,
//! and the first request finds them warm. A database that is down during INIT does not fail it: the request will say
//! 503, or the message will come back.

use std::process::ExitCode;

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{LambdaEvent, service_fn};

use crate::{
    app::App,
    config::{Config, Needs},
    http::{Api, service},
    logging,
    queue::Hint,
    work::{self, WorkResult},
};

/// Runs an API function.
pub async fn serve_api(api: fn() -> Api) -> ExitCode {
    let Some(app) = load(Needs::Api).await.and_then(assemble) else { return ExitCode::FAILURE };
    let (ready, ()) = futures::join!(connect(&app), app.limits.warm_up());
    if !ready {
        return ExitCode::FAILURE;
    }
    end(lambda_http::run(service(api(), app)).await)
}

/// Runs a queue worker.
pub async fn serve_queue<F>(handle: F) -> ExitCode
where
    F: AsyncFn(&App, &Hint) -> WorkResult,
{
    let Some(app) = start(Needs::Worker).await else { return ExitCode::FAILURE };
    let (app, handle) = (&app, &handle);
    let handler = service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        Ok::<_, lambda_runtime::Error>(work::handle_batch(app, event.payload, handle).await)
    });
    end(lambda_runtime::run(handler).await)
}

/// Runs a scheduled function. What the schedule sends does not matter: it only says that it is time.
pub async fn serve_schedule<F>(tick: F) -> ExitCode
where
    F: AsyncFn(&App) -> WorkResult,
{
    let Some(app) = start(Needs::Worker).await else { return ExitCode::FAILURE };
    let (app, tick) = (&app, &tick);
    let handler = service_fn(move |_: LambdaEvent<serde_json::Value>| async move {
        app.catch_up().await;
        let result = tick(app).await;
        app.db.settle().await;
        result.map_err(lambda_runtime::Error::from)
    });
    end(lambda_runtime::run(handler).await)
}

/// Runs a function that is invoked by hand or on deploy, takes what the invocation says and answers with a report. It makes its own
/// connection.
pub async fn serve_task<F, R, E>(needs: Needs, task: F) -> ExitCode
where
    F: AsyncFn(&Config, serde_json::Value) -> Result<R, E>,
    R: serde::Serialize,
    E: std::error::Error + Send + Sync + 'static,
{
    let Some(config) = load(needs).await else { return ExitCode::FAILURE };
    let (config, task) = (&config, &task);
    let handler = service_fn(move |event: LambdaEvent<serde_json::Value>| async move {
        task(config, event.payload).await.map_err(lambda_runtime::Error::from)
    });
    end(lambda_runtime::run(handler).await)
}

/// Loads the configuration or prints all of its problems.
async fn load(needs: Needs) -> Option<Config> {
    match Config::load(needs).await {
        Ok(config) => {
            logging::init_lambda(&config.log_level);
            for warning in config.warnings().iter().filter(|_| needs != Needs::Migrate) {
                tracing::warn!(
                    warning,
                    "the configuration works and will disappoint somebody: docs/deploy.md says whom"
                );
            }
            Some(config)
        }
        Err(problems) => {
            logging::init_lambda("info");
            tracing::error!("{problems}");
            None
        }
    }
}

async fn start(needs: Needs) -> Option<App> {
    let app = assemble(load(needs).await?)?;
    connect(&app).await.then_some(app)
}

fn assemble(config: Config) -> Option<App> {
    App::new(config, 1).map_err(|problems| tracing::error!("{problems}")).ok()
}

/// Whether the function may run: with a database connection, or at first without one.
async fn connect(app: &App) -> bool {
    match app.db.warm_up().await {
        Ok(()) => true,
        Err(error @ crate::db::DbError::UnsafeRole(_)) => {
            tracing::error!("{error}");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "starting without a database connection");
            true
        }
    }
}

fn end(result: Result<(), lambda_runtime::Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the runtime ended");
            ExitCode::FAILURE
        }
    }
}
