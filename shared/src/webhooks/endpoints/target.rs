//! Which addresses an endpoint may have.

use std::net::IpAddr;

use url::{Host, Url};

use crate::{config::Config, http::Problem};

const MAX_LEN: usize = 2000;
/// Where web servers listen. Other ports would make us a port scanner.
const PORTS: [u16; 3] = [443, 80, 8443];

/// Refuses an address that no delivery could go to. A host's name is looked at again at each delivery, since it may
/// point elsewhere by then.
///
/// # Errors
/// 422 at `/url`.
pub fn check_target(config: &Config, text: &str) -> Result<Url, Problem> {
    let refuse = |code: &'static str, detail: &'static str| Problem::invalid("/url", code, detail);
    if text.len() > MAX_LEN {
        return Err(refuse("too_long", "An address has at most 2,000 characters."));
    }
    let url = Url::parse(text).map_err(|_| refuse("invalid_url", "An address like https://example.com/hook is expected."))?;
    let private = config.allow_private_targets;
    match url.scheme() {
        "https" => {}
        "http" if private => {}
        _ => return Err(refuse("https_required", "Deliveries go over https only.")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("credentials_in_url", "Credentials do not belong into the address; deliveries are signed."));
    }
    if !private && url.port_or_known_default().is_none_or(|port| !PORTS.contains(&port)) {
        return Err(refuse("port_not_allowed", "Deliveries go to the ports 443, 80 and 8443 only."));
    }
    let literal = match url.host() {
        Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
        Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
        Some(Host::Domain(name)) if !private && is_local(name) => {
            return Err(refuse("target_not_allowed", "This host is not on the public internet."));
        }
        Some(Host::Domain(_)) => None,
        None => return Err(refuse("invalid_url", "An address like https://example.com/hook is expected.")),
    };
    if literal.is_some_and(|address| !config.may_call(address)) {
        return Err(refuse("target_not_allowed", "This address is not on the public internet."));
    }
    Ok(url)
}

/// Names that never leave the machine or its network (RFC 6761, RFC 6762, RFC 8375).
fn is_local(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    !name.contains('.') || [".localhost", ".local", ".internal", ".home.arpa"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::Needs;

    fn config(private: bool) -> Config {
        let values = [
            ("APP_ENV", "test"),
            ("DATABASE_URL", "postgres://localhost/x"),
            ("SECRET_BOX_KEYS", "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("ALLOW_PRIVATE_TARGETS", if private { "true" } else { "false" }),
        ];
        let values: HashMap<String, String> =
            values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Config::from_values(values, Needs::Worker).unwrap()
    }

    #[test]
    fn only_public_web_servers_are_targets() {
        let config = config(false);
        for good in ["https://example.com/hook", "https://example.com:8443/", "https://1.1.1.1/"] {
            assert!(check_target(&config, good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com/", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/", "https://169.254.169.254/",
            "https://0x7f000001/", "https://2130706433/", "https://localhost/", "https://db/", "https://a.internal/",
            "https://user:pass@example.com/", "https://example.com:22/", "ftp://example.com/", "example.com", "",
            "https://[::ffff:10.0.0.1]/",
        ] {
            assert!(check_target(&config, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_laptop_may_call_itself() {
        let config = config(true);
        assert!(check_target(&config, "http://127.0.0.1:9999/hook").is_ok());
        assert!(check_target(&config, "ftp://127.0.0.1/").is_err());
    }
}
