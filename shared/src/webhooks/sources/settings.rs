//! What a source can be told about its sender.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::FieldErrors,
    values::{Line, Word},
};

/// More mapped fields than any form has.
const MAX_MAPPED: usize = 200;
const MAX_ORIGINS: usize = 50;

/// Settings of a source; which of them matter depends on the provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SourceSettings {
    /// Forms: the field that people do not see and robots fill in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub honeypot: Option<Line>,
    /// The sender's field → our field (`email`, `firstName`, `customFields.goal` …); dotted paths for JSON.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub map: BTreeMap<String, String>,
    /// Forms: the websites whose pages may post, like `https://example.com`; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_origins: Vec<String>,
    /// The source that leads get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Word>,
    /// Meta: the word that its challenge must bring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_token: Option<Line>,
    /// Generic: the header of the signature. Postmark: the header of the secret, instead of basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Line>,
    /// Generic: `hex` or `base64`; either when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// Generic: what stands before the code of the signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Line>,
    /// Generic: the header of the signed time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<Line>,
    /// Generic: the header of the delivery's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_header: Option<Line>,
    /// Generic: the field of the delivery's id, a dotted path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_field: Option<Line>,
    /// Generic: the field of the event's name, a dotted path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_field: Option<Line>,
    /// Twilio: the id of the shared key that signs instead of the auth token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_key_id: Option<Line>,
    /// Square: the notification URL exactly as registered, when it is not ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_url: Option<Line>,
    /// SendGrid: how old a delivery may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance_seconds: Option<u32>,
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal.
    Hex,
    /// Base64 with padding.
    Base64,
}

impl SourceSettings {
    /// Notes what is wrong with the lists.
    pub(super) fn check(&self, errors: &mut FieldErrors) {
        if self.map.len() > MAX_MAPPED {
            errors.add(
                "/settings/map",
                "too_many_values",
                format!("At most {MAX_MAPPED} fields can be mapped."),
            );
        }
        if self.map.iter().any(|(from, to)| from.len() > 200 || to.is_empty() || to.len() > 200) {
            errors.add("/settings/map", "too_long", "Field names have 1 to 200 characters.");
        }
        if self.allowed_origins.len() > MAX_ORIGINS {
            errors.add(
                "/settings/allowedOrigins",
                "too_many_values",
                format!("At most {MAX_ORIGINS} origins."),
            );
        }
        for (index, origin) in
            self.allowed_origins.iter().enumerate().filter(|(_, origin)| !is_origin(origin))
        {
            let detail = format!("`{}` is no origin like https://example.com, and not `*`.", short(origin));
            errors.add(format!("/settings/allowedOrigins/{index}"), "invalid_origin", detail);
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Scheme, host and perhaps a port, as browsers write it (RFC 6454, section 6.1); a final slash is forgiven.
fn is_origin(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return text == "*" };
    matches!(url.scheme(), "http" | "https")
        && url.origin().ascii_serialization().eq_ignore_ascii_case(text.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_host_and_port() {
        for good in [
            "*",
            "https://example.com",
            "https://example.com/",
            "http://localhost:8080",
            "https://Example.com",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "https://example.com/path",
            "ftp://example.com",
            "https://a@example.com",
            "null",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
