//! What a counter says of a call, as a refusal and as headers.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Class, WINDOW};
use crate::http::Problem;

/// The tighter of the buckets that a call took from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The class of the call.
    pub class: Class,
    /// Whether the bucket is the caller's own or the whole business's (or source's).
    pub of_caller: bool,
    /// How much the bucket holds.
    pub quota: i32,
    /// How much is left.
    pub left: i32,
    /// Seconds until it is full.
    pub full_in: f64,
    /// Refused: seconds until there is a token.
    pub wait: Option<f64>,
}

impl Reading {
    /// 429 with the time to wait, when the call was refused.
    ///
    /// # Errors
    /// The refusal.
    pub fn allow(&self) -> Result<(), Problem> {
        let Some(wait) = self.wait else { return Ok(()) };
        let (class, scope) = (self.class.word(), if self.of_caller { "caller" } else { "whole" });
        let whose = if self.of_caller { "This caller has" } else { "All callers together have" };
        let detail = format!("{whose} used up the {} calls a minute of the class `{class}`.", self.quota);
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
            .with("class", class)
            .with("scope", scope)
            .with("limit", self.quota)
            .retry_after(whole_seconds(wait)))
    }

    /// The fields of the IETF draft (draft-ietf-httpapi-ratelimit-headers-10), and the three older ones that more clients read.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let reset = whole_seconds(self.wait.unwrap_or(self.full_in));
        let (quota, left, window) = (self.quota, self.left.max(0), WINDOW.as_secs());
        let name = match self.of_caller {
            true => self.class.word().to_owned(),
            false => format!("{}-whole", self.class.word()),
        };
        for (header, value) in [
            ("ratelimit-policy", format!("\"{name}\";q={quota};w={window}")),
            ("ratelimit", format!("\"{name}\";r={left};t={reset}")),
            ("ratelimit-limit", quota.to_string()),
            ("ratelimit-remaining", left.to_string()),
            ("ratelimit-reset", reset.to_string()),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(header), value);
            }
        }
    }
}

/// Rounded up, and never nothing: whoever comes back at once would be refused again.
fn whole_seconds(seconds: f64) -> u64 {
    // Saturates, and a bucket's window is minutes long.
    seconds.ceil().clamp(1.0, 86_400.0) as u64
}
