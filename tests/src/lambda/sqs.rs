//! SQS: batches, and what Lambda makes of the answer to one
//! (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>).

use serde_json::{Value, json};

use super::{
    emulator::{ACCOUNT_ID, REGION},
    outcome::{AnswerError, Outcome},
};

/// A batch from the queue `wellspring-<queue>`, one record for each body, first received just now. The message id of
/// the record at `index` is `00000000-0000-4000-8000-<index as 12 hex digits>`; `MessageGroupId` is the body's tenant,
/// as our queues set it for fairness. A body need not be JSON: poisoned records are made here. `md5OfBody`, which no
/// function reads, is left out.
pub fn sqs_batch<B: AsRef<str>>(queue: &str, bodies: &[B]) -> Value {
    let records: Vec<Value> =
        bodies.iter().enumerate().map(|(index, body)| record(queue, index, body.as_ref())).collect();
    json!({ "Records": records })
}

fn record(queue: &str, index: usize, body: &str) -> Value {
    let parsed: Value = serde_json::from_str(body).unwrap_or_default();
    let group = parsed.get("tenant").and_then(Value::as_str).unwrap_or("none");
    json!({
        "messageId": format!("00000000-0000-4000-8000-{index:012x}"),
        "receiptHandle": format!("emulated-receipt-handle-{index}"),
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1767225600000",
            "SenderId": format!("AROAEMULATED:wellspring-{queue}"),
            "ApproximateFirstReceiveTimestamp": "1767225600010",
            "MessageGroupId": group,
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:wellspring-{queue}"),
        "awsRegion": REGION,
    })
}

/// The message ids that SQS would deliver again, in the order of the answer. A function error and an answer of the
/// wrong shape are errors here: Lambda would return the whole batch to the queue.
pub fn batch_failures(outcome: &Outcome) -> Result<Vec<String>, AnswerError> {
    let payload = outcome.payload()?;
    let failures = match payload.get("batchItemFailures") {
        // Lambda takes an empty answer, a null answer and a null list for a complete success.
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(failures) => failures.as_array(),
    };
    let ids = failures.and_then(|failures| failures.iter().map(identifier).collect());
    ids.ok_or_else(|| AnswerError::Shape {
        problem: "batchItemFailures is no list of {\"itemIdentifier\": …}",
        payload: payload.clone(),
    })
}

fn identifier(failure: &Value) -> Option<String> {
    failure.get("itemIdentifier")?.as_str().filter(|id| !id.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lambda_events::sqs::SqsEvent;

    use super::*;
    use crate::lambda::outcome::Answer;

    fn failures(payload: Value) -> Result<Vec<String>, AnswerError> {
        let answer = Answer::Payload(payload);
        batch_failures(&Outcome { request_id: "id".to_owned(), answer, duration: Duration::ZERO })
    }

    #[test]
    fn a_batch_is_what_lambda_functions_parse() {
        let batch = sqs_batch("runs", &[r#"{"tenant":"t1","kind":"run","id":"r1"}"#, "{ no json"]);
        let event: SqsEvent = serde_json::from_value(batch).unwrap();
        let [first, second] = event.records.as_slice() else { panic!("two records") };
        assert_eq!(first.attributes["MessageGroupId"], "t1");
        assert_eq!(
            first.event_source_arn.as_deref(),
            Some("arn:aws:sqs:eu-central-1:000000000000:wellspring-runs")
        );
        assert_eq!(second.body.as_deref(), Some("{ no json"));
        assert_ne!(first.message_id, second.message_id);
    }

    #[test]
    fn failures_are_read_as_lambda_reads_them() {
        assert!(failures(json!(null)).unwrap().is_empty());
        assert!(failures(json!({ "batchItemFailures": [] })).unwrap().is_empty());
        let one = json!({ "batchItemFailures": [{ "itemIdentifier": "m1" }] });
        assert_eq!(failures(one).unwrap(), ["m1"]);
        assert!(failures(json!({ "batchItemFailures": [{ "itemIdentifier": "" }] })).is_err());
        assert!(failures(json!({ "batchItemFailures": "m1" })).is_err());
    }
}
