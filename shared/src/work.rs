//! Workers: what turns a batch of queue messages into looks at rows.
//!
//! A message is done when its row was looked at, whatever came of it: another worker may hold the lease, or the row may
//! be finished long since. Only a fault of the infrastructure (the row could not be read or claimed) gives the message
//! back, and only that message: the batch answers with the ids that failed. A panic is caught per message, so one
//! poisoned row fails alone.

use std::panic::AssertUnwindSafe;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::FutureExt;

use crate::{app::App, db::DbError, queue::Hint};

/// Why a message must come back.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The row could not be read or claimed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The message is no hint.
    #[error("the message is no hint")]
    NoHint,
    /// The handler panicked.
    #[error("the handler panicked")]
    Panic,
}

/// The result of one look at a row.
pub type WorkResult = Result<(), WorkError>;

/// Looks at one row; never panics, always settles what was left open.
pub async fn look<F>(app: &App, hint: &Hint, handle: F) -> WorkResult
where
    F: AsyncFnOnce(&App, &Hint) -> WorkResult,
{
    app.catch_up().await;
    let result = AssertUnwindSafe(handle(app, hint)).catch_unwind().await.unwrap_or(Err(WorkError::Panic));
    app.db.settle().await;
    if let Err(error) = &result {
        tracing::error!(%error, tenant = %hint.tenant, kind = ?hint.kind, id = %hint.id, "work failed");
    }
    result
}

/// Handles an SQS batch and answers with the messages that must come back (`ReportBatchItemFailures`).
pub async fn handle_batch<F>(app: &App, batch: SqsEvent, handle: F) -> SqsBatchResponse
where
    F: AsyncFn(&App, &Hint) -> WorkResult,
{
    let mut response = SqsBatchResponse::default();
    for record in batch.records {
        let result = match parse(&record) {
            Ok(hint) => look(app, &hint, &handle).await,
            Err(error) => {
                tracing::error!(%error, message_id = record.message_id, "poisoned message");
                Err(error)
            }
        };
        if result.is_err() {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = record.message_id.unwrap_or_default();
            response.batch_item_failures.push(failure);
        }
    }
    response
}

fn parse(record: &SqsMessage) -> Result<Hint, WorkError> {
    serde_json::from_str(record.body.as_deref().unwrap_or_default()).map_err(|_| WorkError::NoHint)
}
