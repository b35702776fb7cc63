//! What website forms need beyond signed webhooks: they cannot sign, so they are watched.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, StatusCode, header};
use shared::{
    app::App,
    clock,
    http::{ApiResult, ClientIp, Problem},
    webhooks::{
        normalise::{self, Raw},
        receipts::Limit,
    },
};
use uuid::Uuid;

/// One form a second in the long run, and a burst that a class signing up from one gymnasium's network stays below.
const PER_SECOND: f64 = 1.0;
const BURST: f64 = 120.0;

/// Refuses at once what no release could ever read, since a website's developer is looking at the answer.
pub(crate) fn require_readable(headers: &HeaderMap, body: &[u8]) -> ApiResult<()> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json" || kind.ends_with("+json");
    if !is_json && !["", "text/plain", "application/x-www-form-urlencoded"].contains(&kind.as_str()) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send the form as application/json or application/x-www-form-urlencoded.",
        ));
    }
    if is_json {
        let value = shared::json::parse_without_nul(body)
            .map_err(|refusal| Problem::bad_request("malformed_json", refusal.to_string()))?;
        if !value.is_object() {
            return Err(Problem::invalid("", "wrong_type", "A form is a JSON object of its fields."));
        }
    }
    Ok(())
}

/// Whether a robot filled in the field that people do not see.
pub(crate) fn is_trapped(headers: &HeaderMap, body: &[u8], settings: &serde_json::Value) -> bool {
    let raw = Raw { delivery_key: "", query: "", headers, body, received_at: clock::now() };
    normalise::forms::is_trapped(&raw, settings)
}

/// The bucket of one address at one source. It is named by a keyed hash: addresses are not stored.
pub(crate) fn limit(app: &App, tenant: Uuid, source: Uuid, ClientIp(address): ClientIp) -> ApiResult<Limit> {
    let keys = app.secret_box().mac_keys("form-address").map_err(|_| Problem::internal())?;
    let mac = keys.mac(format!("{tenant}:{source}:{}", household(address)).as_bytes());
    let name: String = mac.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    Ok(Limit { bucket: format!("form:{name}"), per_second: PER_SECOND, burst: BURST })
}

/// A household has one IPv4 address, or 2⁶⁴ of IPv6.
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(kind: &'static str, body: &str) -> Option<u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        require_readable(&headers, body.as_bytes()).err().map(|problem| problem.status().as_u16())
    }

    #[test]
    fn json_objects_and_urlencoded_fields_are_read_and_the_rest_is_refused_with_a_reason() {
        assert_eq!(check("application/json; charset=utf-8", r#"{"email":"a@b.de"}"#), None);
        assert_eq!(check("application/x-www-form-urlencoded", "email=a%40b.de"), None);
        assert_eq!(check("application/json", "{"), Some(400));
        assert_eq!(check("application/json", "[1]"), Some(422));
        assert_eq!(check("multipart/form-data; boundary=x", "--x"), Some(415));
    }

    #[test]
    fn neighbours_in_one_ipv6_network_share_a_bucket() {
        let [a, b, c] =
            ["2001:470:1:2::1", "2001:470:1:2:ffff::9", "2001:470:1:3::1"].map(|text| text.parse().unwrap());
        assert_eq!(household(a), household(b));
        assert_ne!(household(a), household(c));
    }
}
