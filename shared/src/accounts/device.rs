//! From where somebody signs in, without keeping the address.

use std::net::IpAddr;

use http::{HeaderMap, header};

use crate::{
    crypto::{CryptoError, SecretBoxKeys},
    private::Private,
};

/// What the keys of the networks' hashes are derived for.
const LABEL: &str = "session-address";
/// Longest part of a `User-Agent` that is kept, in characters.
const AGENT_CHARS: usize = 200;

/// The device of a session, as its user recognises it.
#[derive(Clone, Debug)]
pub struct Device {
    /// What the client says it is.
    pub user_agent: Option<Private<String>>,
    /// Keyed hash of the network, so that two sessions of one place can be told to be so.
    pub address_hash: [u8; 32],
}

impl Device {
    /// Reads the device from a request.
    ///
    /// # Errors
    /// [`CryptoError`] as of [`SecretBoxKeys::mac_keys`].
    pub fn read(keys: &SecretBoxKeys, headers: &HeaderMap, address: IpAddr) -> Result<Self, CryptoError> {
        let user_agent = headers
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .map(|text| Private::new(text.chars().take(AGENT_CHARS).collect()));
        let address_hash = keys.mac_keys(LABEL)?.mac(network(address).as_bytes());
        Ok(Self { user_agent, address_hash })
    }
}

/// The hashes under which sessions may know a network, one for each key that is still listed.
pub(super) fn network_hashes(keys: &SecretBoxKeys, address: IpAddr) -> Result<Vec<Vec<u8>>, CryptoError> {
    let keys = keys.mac_keys(LABEL)?;
    Ok(keys.macs(network(address).as_bytes()).map(|mac| mac.to_vec()).collect())
}

/// The network that one customer has: an IPv4 address, or the first 64 bits of an IPv6 address, within which anybody may
/// pick addresses at will.
pub(crate) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.2"), network("192.0.2.1"));
    }
}
