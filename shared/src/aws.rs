//! What the AWS clients share: one HTTP client on rustls with ring.

use std::sync::OnceLock;

use aws_sdk_sqs::config::SharedHttpClient;
use aws_smithy_http_client::{Builder, tls};

/// The HTTP client of every SDK client in this process.
pub(crate) fn http_client() -> SharedHttpClient {
    static CLIENT: OnceLock<SharedHttpClient> = OnceLock::new();
    CLIENT
        .get_or_init(|| {
            Builder::new()
                .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
                .build_https()
        })
        .clone()
}
