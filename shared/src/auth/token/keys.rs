//! The keys of access tokens: one signs, all verify.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::signature::KeyPair as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::provider::{self, KEY_LEN};
use super::{ALGORITHM, Claims, LIFETIME, MAX_BYTES, Refusal, SignError, TYPE, WireClaims, WireHeader};
use crate::crypto::{Entry, KeyringError, decode_base64, split_entries};

/// What precedes the 32 bytes in a DER-encoded public key (RFC 8410, SubjectPublicKeyInfo of Ed25519).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The keys, and the issuer and audience that every token must name.
///
/// To rotate without refusing anybody: list the new key *second*, until every environment has read it and
/// verifies with it; then move it to the front; drop the old one (or keep its public half, `kid:pub:base64`)
/// when its last token has expired. The steps with their times stand in `docs/deploy.md`.
pub struct TokenKeys {
    signing: SigningKey,
    verifying: Vec<VerifyingKey>,
    issuer: String,
    audience: String,
    validation: Validation,
}

struct SigningKey {
    kid: String,
    key: EncodingKey,
}

struct VerifyingKey {
    kid: String,
    public: [u8; KEY_LEN],
    key: DecodingKey,
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.verifying.iter().map(|key| &key.kid)).finish()
    }
}

impl TokenKeys {
    /// Reads a comma list of `kid:base64` (a seed of 32 bytes, or PKCS#8 DER) and `kid:pub:base64` (a public
    /// key, raw or as SubjectPublicKeyInfo). The first entry that can sign does; all verify.
    ///
    /// # Errors
    /// [`KeyringError`] names the entry that is malformed; [`KeyringError::Empty`] means that none can sign.
    pub fn parse(list: &str, issuer: &str, audience: &str) -> Result<Self, KeyringError> {
        provider::install();
        let mut signing = None;
        let mut verifying = Vec::new();
        for entry in split_entries(list)? {
            let public = if let Some(text) = entry.material.strip_prefix("pub:") {
                read_public(text, &entry)?
            } else {
                let (public, key) = read_private(&entry)?;
                signing.get_or_insert_with(|| SigningKey { kid: entry.kid.to_owned(), key });
                public
            };
            verifying.push(VerifyingKey {
                kid: entry.kid.to_owned(),
                public,
                key: DecodingKey::from_ed_der(&public),
            });
        }
        Ok(Self {
            signing: signing.ok_or(KeyringError::Empty)?,
            verifying,
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            validation: validation(issuer, audience),
        })
    }

    /// Signs a token.
    ///
    /// # Errors
    /// [`SignError`] if the claims span more than [`LIFETIME`], or the library fails, which it does not.
    pub fn mint(&self, claims: &Claims) -> Result<String, SignError> {
        if claims.expires_at - claims.issued_at > LIFETIME {
            return Err(SignError);
        }
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(self.signing.kid.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        let wire = WireClaims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: claims.user_id,
            tenant_id: claims.tenant_id,
            role: claims.role,
            sid: claims.session_id,
            iat: claims.issued_at.timestamp(),
            nbf: claims.issued_at.timestamp(),
            exp: claims.expires_at.timestamp(),
            jti: claims.token_id,
        };
        jsonwebtoken::encode(&header, &wire, &self.signing.key).map_err(|_| SignError)
    }

    /// Verifies a token at `now` by every rule of this module.
    ///
    /// # Errors
    /// [`Refusal`], for the log; the client learns only that the token was not accepted.
    pub fn verify(&self, token: &[u8], now: DateTime<Utc>) -> Result<Claims, Refusal> {
        if token.len() > MAX_BYTES {
            return Err(Refusal::TooLong);
        }
        let header: WireHeader = read_header(token)?;
        if header.alg != ALGORITHM {
            return Err(Refusal::Algorithm);
        }
        if header.typ != TYPE {
            return Err(Refusal::Type);
        }
        let key = self.verifying.iter().find(|key| key.kid == header.kid).ok_or(Refusal::UnknownKey)?;
        let claims = jsonwebtoken::decode::<WireClaims>(token, &key.key, &self.validation)
            .map_err(|error| refusal(error.kind()))?
            .claims;
        if claims.iss != self.issuer {
            return Err(Refusal::Issuer);
        }
        if claims.aud != self.audience {
            return Err(Refusal::Audience);
        }
        claims.check(now)
    }

    /// The public keys as a JWK set (RFC 7517, RFC 8037), for anyone who verifies our tokens.
    #[must_use]
    pub fn jwks(&self) -> Value {
        let keys: Vec<_> = self
            .verifying
            .iter()
            .map(|key| {
                json!({
                    "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": ALGORITHM,
                    "kid": key.kid, "x": URL_SAFE_NO_PAD.encode(key.public),
                })
            })
            .collect();
        json!({ "keys": keys })
    }
}

/// Every option of the library, set. Its time checks are off: they read the system clock and round fractions.
fn validation(issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.validate_aud = true;
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.leeway = 0;
    validation.reject_tokens_expiring_in_less_than = 0;
    validation.sub = None;
    validation
}

fn read_private(entry: &Entry<'_>) -> Result<([u8; KEY_LEN], EncodingKey), KeyringError> {
    let bytes = decode_base64(entry.material).ok_or_else(|| entry.error("the key is not base64"))?;
    let pair = provider::key_pair(&bytes)
        .ok_or_else(|| entry.error("expected an Ed25519 seed of 32 bytes or PKCS#8"))?;
    let public = pair.public_key().as_ref().try_into().map_err(|_| entry.error("the key was refused"))?;
    Ok((public, EncodingKey::from_ed_der(&bytes)))
}

fn read_public(text: &str, entry: &Entry<'_>) -> Result<[u8; KEY_LEN], KeyringError> {
    let bytes = decode_base64(text).ok_or_else(|| entry.error("the key is not base64"))?;
    let raw = bytes.strip_prefix(&SPKI_PREFIX).unwrap_or(&bytes);
    raw.try_into().map_err(|_| entry.error("expected an Ed25519 public key of 32 bytes"))
}

/// Decodes the first of exactly three parts, each of them base64url without padding.
fn read_header<T: DeserializeOwned>(token: &[u8]) -> Result<T, Refusal> {
    let mut parts = token.split(|byte| *byte == b'.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Malformed);
    };
    let json = URL_SAFE_NO_PAD.decode(header).map_err(|_| Refusal::Malformed)?;
    serde_json::from_slice(&json).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Refusal::Header,
        _ => Refusal::Malformed,
    })
}

fn refusal(kind: &ErrorKind) -> Refusal {
    match kind {
        ErrorKind::InvalidSignature => Refusal::Signature,
        ErrorKind::InvalidIssuer => Refusal::Issuer,
        ErrorKind::InvalidAudience => Refusal::Audience,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Refusal::Algorithm,
        ErrorKind::Json(_) | ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => {
            Refusal::Claims
        }
        _ => Refusal::Malformed,
    }
}
