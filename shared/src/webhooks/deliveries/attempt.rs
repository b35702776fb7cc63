//! One try: signed, sent, judged.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Body, Failure, Try, Verdict, next_delay};
use crate::{
    crypto::SecretBoxKeys,
    net::{Answer, OutboundClient, OutboundError},
    private::Private,
    webhooks::{endpoints::SignedWith, verify::standard},
};

/// Characters of an answer that are kept: enough to see an error message, too little to leak a page.
const EXCERPT: usize = 1000;

/// Why a try failed, and what the receiver asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What went wrong.
    pub failure: Failure,
    /// The receiver is gone for good (410).
    pub gone: bool,
    /// The pause that the receiver asks for.
    pub retry_after: Option<Duration>,
}

/// Sends a body to an address. The same event has the same `webhook-id` and `idempotency-key` at each try.
pub async fn attempt(
    client: &OutboundClient,
    keys: &SecretBoxKeys,
    (url, signed_with): (&str, &SignedWith),
    now: DateTime<Utc>,
    body: &Body,
) -> (Try, Result<(), Refused>) {
    let id = body.id.to_string();
    let signed = serde_json::to_vec(body).ok().and_then(|bytes| {
        let signature = signed_with.sign(keys, body.tenant_id, (&id, now, &bytes)).ok()?;
        Some((headers(&id, now, &signature), bytes))
    });
    let Some((headers, bytes)) = signed else {
        tracing::error!(event = %id, "a delivery could not be signed");
        return (Try::default(), Err(refused("not_signed", "the signing secret could not be read")));
    };
    let started = Instant::now();
    let answer = client.post(url, headers, bytes).await;
    let mut made = Try { took: started.elapsed(), ..Try::default() };
    let result = match answer {
        Ok(answer) => {
            made.status = Some(answer.status);
            made.excerpt = Some(excerpt(&answer.body));
            judge_answer(&answer)
        }
        Err(error) => Err(match error {
            OutboundError::Refused(reason) => refused("target_not_allowed", reason),
            OutboundError::NotSent(reason) => refused("not_sent", reason),
            OutboundError::Ambiguous(reason) => refused("no_answer", reason),
        }),
    };
    (made, result)
}

/// What follows from a try; `spread` as in [`next_delay`].
#[must_use]
pub fn verdict(result: Result<(), Refused>, attempt: i32, spread: u8) -> Verdict {
    let Err(refused) = result else { return Verdict::Delivered };
    if refused.gone {
        return Verdict::Gone(refused.failure);
    }
    match next_delay(attempt, refused.retry_after, spread) {
        Some(pause) => Verdict::Retry(refused.failure, pause),
        None => Verdict::Failed(refused.failure),
    }
}

/// 2xx is delivered. Everything else is not, a redirect least of all: it could lead anywhere.
fn judge_answer(answer: &Answer) -> Result<(), Refused> {
    let (code, detail) = match answer.status {
        200..=299 => return Ok(()),
        300..=399 => ("redirected", "the receiver redirects, which is not followed".to_owned()),
        status => ("refused", format!("the receiver answered {status}")),
    };
    Err(Refused {
        failure: Failure { code, detail },
        gone: answer.status == 410,
        retry_after: answer.retry_after(),
    })
}

fn refused(code: &'static str, detail: &str) -> Refused {
    Refused { failure: Failure { code, detail: detail.to_owned() }, gone: false, retry_after: None }
}

fn headers(id: &str, now: DateTime<Utc>, signature: &str) -> HeaderMap {
    let timestamp = now.timestamp().to_string();
    let pairs = [
        (header::CONTENT_TYPE.as_str(), "application/json"),
        (standard::ID_HEADER, id),
        (standard::TIMESTAMP_HEADER, &timestamp),
        (standard::SIGNATURE_HEADER, signature),
        ("idempotency-key", id),
    ];
    pairs
        .into_iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
        })
        .collect()
}

/// The database takes no NUL.
fn excerpt(body: &[u8]) -> Private<String> {
    Private::new(String::from_utf8_lossy(body).chars().filter(|char| *char != '\0').take(EXCERPT).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, retry_after: Option<&'static str>) -> Verdict {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        verdict(judge_answer(&Answer { status, headers, body: Vec::new() }), 1, 0)
    }

    #[test]
    fn only_2xx_is_delivered_and_410_ends_it() {
        assert_eq!(answered(204, None), Verdict::Delivered);
        assert!(matches!(answered(410, None), Verdict::Gone(_)));
        for status in [199, 301, 307, 400, 404, 429, 500, 503] {
            assert!(
                matches!(answered(status, None), Verdict::Retry(_, pause) if pause.as_secs() == 5),
                "{status}"
            );
        }
        assert!(matches!(answered(429, Some("60")), Verdict::Retry(_, pause) if pause.as_secs() == 60));
    }

    #[test]
    fn the_tenth_failure_is_the_last() {
        let failed = || Err(refused("no_answer", "none"));
        assert!(matches!(verdict(failed(), 9, 0), Verdict::Retry(..)));
        assert!(matches!(verdict(failed(), 10, 0), Verdict::Failed(_)));
    }

    #[test]
    fn excerpts_are_short_and_storable() {
        assert_eq!(excerpt(b"a\0b").expose(), "ab");
        assert_eq!(excerpt("ä".repeat(5000).as_bytes()).expose().chars().count(), EXCERPT);
    }
}
