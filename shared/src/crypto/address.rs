//! Keyed hashes of contact addresses, so that a suppression outlives the erasure of the address itself.
//!
//! A plain hash of a phone number is undone by trying all numbers; a keyed one is not, without the key. The
//! key is derived from the sealing keys, and a hash cannot be computed anew once the address is erased: a key
//! of that list may stop sealing but must stay listed as long as suppressions made under it matter.

use uuid::Uuid;

use super::{CryptoError, MacKeys, SecretBoxKeys};

/// How an address is brought to one spelling before it is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// Trimmed and lower-cased. Plus tags and dots stay: they are other mailboxes to every server but a few.
    Email,
    /// A leading `+` and digits (E.164); every other character is dropped.
    Phone,
}

impl AddressKind {
    fn normalise(self, address: &str) -> String {
        match self {
            Self::Email => address.trim().to_lowercase(),
            Self::Phone => {
                let digits = address.chars().filter(char::is_ascii_digit);
                std::iter::once('+').chain(digits).collect()
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }
}

/// Hashes addresses per tenant, so that two tenants' tables cannot be joined by them.
#[derive(Debug, Clone)]
pub struct AddressHasher(MacKeys);

impl AddressHasher {
    /// The hasher that belongs to the sealing keys.
    ///
    /// # Errors
    /// [`CryptoError`] as of [`SecretBoxKeys::mac_keys`].
    pub fn new(keys: &SecretBoxKeys) -> Result<Self, CryptoError> {
        keys.mac_keys("address-hash").map(Self)
    }

    /// The hash to store, under the newest key. A phone number must have its country code.
    #[must_use]
    pub fn hash(&self, tenant: Uuid, kind: AddressKind, address: &str) -> [u8; 32] {
        self.0.mac(&message(tenant, kind, address))
    }

    /// The hashes to look for, one for each key.
    #[must_use]
    pub fn candidates(&self, tenant: Uuid, kind: AddressKind, address: &str) -> Vec<[u8; 32]> {
        self.0.macs(&message(tenant, kind, address)).collect()
    }
}

fn message(tenant: Uuid, kind: AddressKind, address: &str) -> Vec<u8> {
    [tenant.as_bytes(), kind.name().as_bytes(), b":", kind.normalise(address).as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const B: &str = "b:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn hasher(list: &str) -> AddressHasher {
        AddressHasher::new(&SecretBoxKeys::parse(list).unwrap()).unwrap()
    }

    #[test]
    fn spellings_of_one_address_hash_alike() {
        let (hasher, tenant) = (hasher(A), Uuid::from_u128(1));
        let email = |text| hasher.hash(tenant, AddressKind::Email, text);
        let phone = |text| hasher.hash(tenant, AddressKind::Phone, text);
        assert_eq!(email(" Ada@Example.COM "), email("ada@example.com"));
        assert_ne!(email("ada+news@example.com"), email("ada@example.com"));
        assert_eq!(phone("+1 (415) 555-0100"), phone("14155550100"));
        assert_ne!(email("+14155550100"), phone("+14155550100"));
    }

    #[test]
    fn tenants_and_keys_separate_and_rotation_finds_old_hashes() {
        let (old, new, tenant) = (hasher(A), hasher(&format!("{B},{A}")), Uuid::from_u128(1));
        let stored = old.hash(tenant, AddressKind::Email, "ada@example.com");
        assert_ne!(stored, old.hash(Uuid::from_u128(2), AddressKind::Email, "ada@example.com"));
        assert_ne!(stored, new.hash(tenant, AddressKind::Email, "ada@example.com"));
        assert!(new.candidates(tenant, AddressKind::Email, "ada@example.com").contains(&stored));
    }
}
