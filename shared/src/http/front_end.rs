//! Front ends that call for the people behind them.
//!
//! A web site whose server calls this API (Auth.js on a Next server does) is one network to it, and everybody's failures would
//! be counted together. So such a server may say for whom it calls: it shows one of the configured secrets and names the
//! person's address. Without a secret that is right the address is ignored, and the gateway's word counts: a header that
//! anybody may send must not choose where somebody is counted.

use std::net::IpAddr;

use http::{HeaderMap, StatusCode};

use super::Problem;
use crate::{
    crypto::{constant_time_eq, sha256},
    private::Secret,
};

/// The header with the secret.
const SECRET: &str = "x-front-end-secret";
/// The header with the person's address.
const ADDRESS: &str = "x-client-address";
/// Shorter ones can be guessed.
const LEAST_CHARS: usize = 32;

/// The secrets of the front ends that are believed, as their hashes: those have one length, whatever is compared with them.
#[derive(Clone, Debug, Default)]
pub struct FrontEnds(Vec<[u8; 32]>);

impl FrontEnds {
    /// Reads secrets that are separated by commas; while one is replaced, both count.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let secrets = text.split(',').map(str::trim).filter(|secret| !secret.is_empty()).map(Secret::from);
        secrets
            .map(|secret| match secret.expose().chars().count() {
                LEAST_CHARS.. => Ok(sha256(secret.expose().as_bytes())),
                _ => Err(format!("holds a secret of less than {LEAST_CHARS} characters")),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whose address a front end names, if the request comes from one.
    pub(super) fn named_address(&self, headers: &HeaderMap) -> Result<Option<IpAddr>, Problem> {
        let (Some(secret), Some(address)) = (headers.get(SECRET), headers.get(ADDRESS)) else {
            return Ok(None);
        };
        let shown = sha256(secret.as_bytes());
        // Every secret is compared, so that the time does not tell which one came close.
        let known = self.0.iter().filter(|own| constant_time_eq(&own[..], &shown)).count() > 0;
        if !known {
            return Ok(None);
        }
        let parsed = address.to_str().ok().and_then(|text| text.trim().parse().ok());
        // Falling back to the front end's own address would count everybody together again, and nobody would notice.
        parsed.map(Some).ok_or_else(|| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_client_address",
                "`x-client-address` holds one address, of IPv4 or IPv6, without a port.",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_can_be_guessed_is_refused() {
        assert!(FrontEnds::parse("too short").is_err());
        assert!(FrontEnds::parse(&format!("{},short", "long enough".repeat(3))).is_err());
        assert_eq!(FrontEnds::parse(" , ").unwrap().0.len(), 0);
        assert_eq!(FrontEnds::parse(&format!("{0}, {0}2", "long enough".repeat(3))).unwrap().0.len(), 2);
    }
}
