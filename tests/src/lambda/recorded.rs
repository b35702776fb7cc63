//! The recorded events of the `events` directory, the same files that `sam local invoke` and `cargo lambda invoke` take.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// A recorded event cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file or directory cannot be read.
    #[error("{}: {source}; events are named `<function>/<operation>`", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no JSON.
    #[error("{}: {source}", path.display())]
    Json {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// The event `name`, for example `leads/list`.
pub fn recorded(name: &str) -> Result<Value, RecordingError> {
    let path = directory().join(format!("{name}.json"));
    let text = fs::read(&path).map_err(|source| RecordingError::Read { path: path.clone(), source })?;
    serde_json::from_slice(&text).map_err(|source| RecordingError::Json { path, source })
}

/// The names of all recorded events, sorted, so that a test can demand one for each function.
pub fn recordings() -> Result<Vec<String>, RecordingError> {
    let mut names = Vec::new();
    for function in entries(&directory())?.into_iter().filter(|path| path.is_dir()) {
        for file in entries(&function)? {
            let parts = (function.file_name(), file.file_stem(), file.extension());
            if let (Some(function), Some(operation), Some(extension)) = parts
                && extension == "json"
            {
                names.push(format!("{}/{}", function.to_string_lossy(), operation.to_string_lossy()));
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Sets a header of an HTTP event, for example a fresh token or signature; `name` in lower case.
pub fn set_header(event: &mut Value, name: &str, value: &str) {
    if let Some(headers) = event.get_mut("headers").and_then(Value::as_object_mut) {
        headers.insert(name.to_owned(), value.into());
    }
}

/// Sets the path of an HTTP event, for example with the token of a webhook source that a test has made.
pub fn set_path(event: &mut Value, path: &str) {
    for pointer in ["/rawPath", "/requestContext/http/path"] {
        if let Some(place) = event.pointer_mut(pointer) {
            *place = path.into();
        }
    }
}

fn directory() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).join("events")
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, RecordingError> {
    let paths: io::Result<Vec<PathBuf>> =
        fs::read_dir(directory).and_then(|read| read.map(|entry| Ok(entry?.path())).collect());
    paths.map_err(|source| RecordingError::Read { path: directory.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aws_lambda_events::{apigw::ApiGatewayV2httpRequest, eventbridge::EventBridgeEvent, sqs::SqsEvent};
    use base64::{Engine, engine::general_purpose::STANDARD};
    use ring::hmac;

    use super::*;

    fn header<'a>(event: &'a Value, name: &str) -> &'a str {
        event["headers"][name].as_str().unwrap()
    }

    #[test]
    fn every_recording_is_what_its_function_parses() {
        let functions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
        for name in recordings().unwrap() {
            let (function, operation) = name.split_once('/').unwrap();
            assert!(functions.join(function).is_dir(), "{name}: there is no function {function}");
            let event = recorded(&name).unwrap();
            if operation.starts_with("sqs-") {
                let batch: SqsEvent = serde_json::from_value(event).unwrap();
                assert!(batch.records.len() > 1, "{name}");
            } else if operation.starts_with("schedule-") {
                serde_json::from_value::<EventBridgeEvent>(event).unwrap();
            } else if function == "migrate" {
                // What a deployment or an operator sends: nothing, or an order.
                let order = shared::accounts::read_standing_order(event.clone());
                assert!(event == serde_json::json!({}) || order.is_ok(), "{name}");
            } else {
                let length = header(&event, "content-length").to_owned();
                let request: ApiGatewayV2httpRequest = serde_json::from_value(event.clone()).unwrap();
                assert_eq!(request.raw_path, request.request_context.http.path, "{name}");
                let request = lambda_http::request::from_str(&event.to_string()).unwrap();
                assert_eq!(request.body().len().to_string(), length, "{name}");
            }
        }
    }

    #[test]
    fn exactly_one_record_of_the_poisoned_batch_is_no_json() {
        let batch: SqsEvent =
            serde_json::from_value(recorded("run-automations/sqs-runs-with-poison").unwrap()).unwrap();
        let is_json = |body: &str| serde_json::from_str::<Value>(body).is_ok();
        let healthy: Vec<bool> =
            batch.records.iter().map(|record| is_json(record.body.as_deref().unwrap())).collect();
        assert_eq!(healthy, [true, false, true]);
    }

    #[test]
    fn the_stripe_recording_is_signed_for_its_time() {
        let event = recorded("webhooks/stripe-checkout-completed").unwrap();
        let (time, signature) = header(&event, "stripe-signature").split_once(",v1=").unwrap();
        let signed = format!("{}.{}", time.strip_prefix("t=").unwrap(), event["body"].as_str().unwrap());
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"whsec_recorded_events");
        let expected: String =
            hmac::sign(&key, signed.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(signature, expected);
    }

    #[test]
    fn the_twilio_recording_is_signed_for_its_url() {
        let event = recorded("webhooks/twilio-inbound-sms").unwrap();
        let body = STANDARD.decode(event["body"].as_str().unwrap()).unwrap();
        let parameters: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
        let mut signed = format!("https://api.example.com{}", event["rawPath"].as_str().unwrap());
        parameters.iter().for_each(|(name, value)| signed.extend([name.as_str(), value.as_str()]));
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"recorded_auth_token");
        let expected = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
        assert_eq!(header(&event, "x-twilio-signature"), expected);
    }

    #[test]
    fn paths_and_headers_can_be_replaced() {
        let mut event = recorded("webhooks/form").unwrap();
        set_path(&mut event, "/api/webhooks/forms/real");
        set_header(&mut event, "x-request-id", "r1");
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        assert_eq!(request.uri().path(), "/api/webhooks/forms/real");
        assert_eq!(request.headers()["x-request-id"], "r1");
    }

    #[test]
    fn an_unknown_recording_is_named() {
        let message = recorded("leads/unheard-of").unwrap_err().to_string();
        assert!(message.contains("leads/unheard-of.json"), "{message}");
    }
}
