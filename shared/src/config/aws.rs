//! AWS: region, credentials, queues and the one secret.

use std::collections::HashMap;

use aws_sdk_secretsmanager::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};

use super::{ConfigProblems, Reader};
use crate::{private::Secret, queue::QueueUrls};

/// How to reach AWS. Lambda sets all of it but the endpoint.
#[derive(Clone, Debug)]
pub struct AwsConfig {
    /// Region.
    pub region: String,
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: Secret,
    /// Session token of the function's role.
    pub session_token: Option<Secret>,
    /// An emulator's address.
    pub endpoint_url: Option<String>,
}

/// The queues, required in the cloud. On the laptop they are optional: all five or none.
pub(super) fn sqs(read: &mut Reader, is_local: bool) -> Option<(AwsConfig, QueueUrls)> {
    const NAMES: [&str; 5] =
        ["SQS_RECEIPTS_URL", "SQS_RUNS_URL", "SQS_MESSAGES_URL", "SQS_DELIVERIES_URL", "SQS_JOBS_URL"];
    if is_local && NAMES.iter().all(|name| read.optional(name).is_none()) {
        return None;
    }
    let urls = NAMES.map(|name| read.required(name, |text| Ok(text.to_owned())));
    let aws = aws(read)?;
    let [Some(receipts), Some(runs), Some(messages), Some(deliveries), Some(jobs)] = urls else {
        return None;
    };
    Some((aws, QueueUrls { receipts, runs, messages, deliveries, jobs }))
}

fn aws(read: &mut Reader) -> Option<AwsConfig> {
    let text = |text: &str| Ok(text.to_owned());
    let region = read.required("AWS_REGION", text);
    let access_key_id = read.required("AWS_ACCESS_KEY_ID", text);
    let secret_access_key = read.required("AWS_SECRET_ACCESS_KEY", text);
    Some(AwsConfig {
        region: region?,
        access_key_id: access_key_id?,
        secret_access_key: secret_access_key?.into(),
        session_token: read.optional("AWS_SESSION_TOKEN").map(Secret::from),
        endpoint_url: read.optional("AWS_ENDPOINT_URL"),
    })
}

/// Reads the secret: a JSON object of strings, named like the variables.
///
/// # Errors
/// When it cannot be read or is no such object.
pub async fn fetch_secrets(
    arn: &str,
    values: &HashMap<String, String>,
) -> Result<HashMap<String, String>, ConfigProblems> {
    let mut read = Reader::new(values.clone());
    let Some(aws) = aws(&mut read) else {
        return Err(read.finish().err().unwrap_or_else(|| ConfigProblems(Vec::new())));
    };
    let mut config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(aws.region))
        .credentials_provider(Credentials::new(
            aws.access_key_id,
            aws.secret_access_key.expose(),
            aws.session_token.map(|token| token.expose().to_owned()),
            None,
            "environment",
        ))
        .http_client(crate::aws::http_client());
    if let Some(endpoint) = aws.endpoint_url {
        config = config.endpoint_url(endpoint);
    }
    let answer = Client::from_conf(config.build()).get_secret_value().secret_id(arn).send().await.map_err(
        |error| {
            let code =
                aws_sdk_secretsmanager::error::ProvideErrorMetadata::code(&error).unwrap_or("no connection");
            ConfigProblems(vec![format!("SECRETS_ARN: the secret cannot be read ({code})")])
        },
    )?;
    serde_json::from_str(answer.secret_string().unwrap_or_default()).map_err(|_| {
        ConfigProblems(vec!["SECRETS_ARN: the secret is not a JSON object of strings".to_owned()])
    })
}
