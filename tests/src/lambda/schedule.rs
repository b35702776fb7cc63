//! EventBridge: the event of a schedule rule
//! (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>).

use serde_json::{Value, json};

use super::emulator::{ACCOUNT_ID, REGION};

/// A scheduled event with the given `detail`; a rule without an input of its own sends `{}`.
pub fn schedule(detail: &Value) -> Value {
    json!({
        "version": "0",
        "id": "00000000-0000-4000-8000-0000000000ee",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT_ID,
        "time": "2026-01-01T00:00:00Z",
        "region": REGION,
        "resources": [format!("arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/wellspring-schedule")],
        "detail": detail,
    })
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::eventbridge::EventBridgeEvent;

    use super::*;

    #[test]
    fn a_scheduled_event_is_what_lambda_functions_parse() {
        let event: EventBridgeEvent = serde_json::from_value(schedule(&json!({ "job": "sweep" }))).unwrap();
        assert_eq!(event.detail_type, "Scheduled Event");
        assert_eq!(event.detail["job"], "sweep");
    }
}
