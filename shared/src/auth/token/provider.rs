//! jsonwebtoken's cryptography on ring, for EdDSA alone.
//!
//! The library's own back-ends bring either the `rsa` crate (RUSTSEC-2023-0071) or a second C library; it
//! lets a process install a third. Every algorithm but EdDSA is refused here too, whatever the caller asks
//! for.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result};
use jsonwebtoken::jwk::EllipticCurve;
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// Length of an Ed25519 seed and of a public key, in bytes (RFC 8032).
pub(super) const KEY_LEN: usize = 32;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: public_component,
        compute_digest: |_, _| Err(unsupported()),
    },
};

/// Makes this the library's provider. Later calls change nothing: a process has one provider, and no other
/// code installs any.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

/// Reads a private key: a seed of 32 bytes, or PKCS#8 as `openssl genpkey -algorithm ed25519` writes it.
pub(super) fn key_pair(bytes: &[u8]) -> Option<Ed25519KeyPair> {
    if bytes.len() == KEY_LEN {
        Ed25519KeyPair::from_seed_unchecked(bytes).ok()
    } else {
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes).ok()
    }
}

struct RingSigner(Ed25519KeyPair);

impl Signer<Vec<u8>> for RingSigner {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for RingSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct RingVerifier(UnparsedPublicKey<Vec<u8>>);

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), SignatureError> {
        self.0.verify(message, signature).map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    only_eddsa(*algorithm)?;
    let pair = key_pair(key.as_bytes()).ok_or_else(unusable_key)?;
    Ok(Box::new(RingSigner(pair)))
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    only_eddsa(*algorithm)?;
    Ok(Box::new(RingVerifier(UnparsedPublicKey::new(&ED25519, key.try_get_as_bytes()?.to_vec()))))
}

fn public_component(private: &[u8], curve: &EllipticCurve) -> Result<Vec<u8>> {
    if *curve != EllipticCurve::Ed25519 {
        return Err(unsupported());
    }
    let pair = key_pair(private).ok_or_else(unusable_key)?;
    Ok(pair.public_key().as_ref().to_vec())
}

fn only_eddsa(algorithm: Algorithm) -> Result<()> {
    if algorithm == Algorithm::EdDSA { Ok(()) } else { Err(ErrorKind::InvalidAlgorithm.into()) }
}

fn unsupported() -> Error {
    ErrorKind::UnsupportedAlgorithm.into()
}

fn unusable_key() -> Error {
    ErrorKind::InvalidKeyFormat.into()
}
