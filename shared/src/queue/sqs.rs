//! The cloud's transport: standard queues, batches of ten, the tenant as message group.
//!
//! The group makes a standard queue *fair*: a tenant with a large backlog is held back in favour of the others. Order
//! is not asked of the queue; the run's row enforces it.

use std::sync::Arc;

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
    types::SendMessageBatchRequestEntry,
};
use futures::future::join_all;

use super::{Hint, QueueName};
use crate::config::AwsConfig;

/// The most messages that SendMessageBatch takes (SQS API reference).
const BATCH: usize = 10;

/// Where each queue lives.
#[derive(Clone, Debug)]
pub struct QueueUrls {
    /// `SQS_RECEIPTS_URL`
    pub receipts: String,
    /// `SQS_RUNS_URL`
    pub runs: String,
    /// `SQS_MESSAGES_URL`
    pub messages: String,
    /// `SQS_DELIVERIES_URL`
    pub deliveries: String,
    /// `SQS_JOBS_URL`
    pub jobs: String,
}

impl QueueUrls {
    fn of(&self, queue: QueueName) -> &str {
        match queue {
            QueueName::Receipts => &self.receipts,
            QueueName::Runs => &self.runs,
            QueueName::Messages => &self.messages,
            QueueName::Deliveries => &self.deliveries,
            QueueName::Jobs => &self.jobs,
        }
    }
}

/// A client with its queues.
#[derive(Clone)]
pub struct Sqs {
    client: Client,
    urls: Arc<QueueUrls>,
}

impl Sqs {
    /// Prepares the client; nothing is sent or looked up.
    #[must_use]
    pub fn new(aws: &AwsConfig, urls: QueueUrls) -> Self {
        let credentials = Credentials::new(
            aws.access_key_id.clone(),
            aws.secret_access_key.expose(),
            aws.session_token.as_ref().map(|token| token.expose().to_owned()),
            None,
            "environment",
        );
        let mut config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(aws.region.clone()))
            .credentials_provider(credentials)
            .http_client(crate::aws::http_client())
            .timeout_config(
                TimeoutConfig::builder().operation_timeout(std::time::Duration::from_secs(3)).build(),
            )
            .retry_config(RetryConfig::standard().with_max_attempts(2));
        if let Some(endpoint) = &aws.endpoint_url {
            config = config.endpoint_url(endpoint);
        }
        Self { client: Client::from_conf(config.build()), urls: Arc::new(urls) }
    }

    /// Sends all hints, a batch per queue and ten, together.
    pub(super) async fn send(&self, hints: Vec<Hint>) {
        let mut batches: Vec<(QueueName, Vec<Hint>)> = Vec::new();
        for hint in hints {
            let queue = hint.kind.queue();
            match batches.iter_mut().find(|(name, batch)| *name == queue && batch.len() < BATCH) {
                Some((_, batch)) => batch.push(hint),
                None => batches.push((queue, vec![hint])),
            }
        }
        join_all(batches.into_iter().map(|(queue, batch)| self.send_batch(queue, batch))).await;
    }

    async fn send_batch(&self, queue: QueueName, hints: Vec<Hint>) {
        let entries: Vec<_> =
            hints.iter().enumerate().filter_map(|(index, hint)| entry(index, hint)).collect();
        let sent = self
            .client
            .send_message_batch()
            .queue_url(self.urls.of(queue))
            .set_entries(Some(entries))
            .send()
            .await;
        match sent {
            Ok(answer) if answer.failed().is_empty() => {}
            Ok(answer) => tracing::warn!(?queue, failed = answer.failed().len(), "hints left to the sweep"),
            Err(error) => {
                let code = aws_sdk_sqs::error::ProvideErrorMetadata::code(&error).unwrap_or("transport");
                tracing::warn!(?queue, code, failed = hints.len(), "hints left to the sweep");
            }
        }
    }
}

fn entry(index: usize, hint: &Hint) -> Option<SendMessageBatchRequestEntry> {
    let body = serde_json::to_string(hint).ok()?;
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(body)
        .message_group_id(hint.tenant.to_string())
        .delay_seconds(whole_seconds(hint.delay))
        .build()
        .ok()
}

/// Rounds up: a message that arrives before its row is due would be refused by the claim and wasted.
fn whole_seconds(delay: std::time::Duration) -> i32 {
    let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    i32::try_from(seconds.min(super::MAX_DELAY.as_secs())).unwrap_or_default()
}
