//! The one client for calls to the outside: providers' APIs and customers' webhooks.
//!
//! It decides on the address that is dialled: names are resolved by [`Guarded`], which the connector itself uses, so
//! there is no second look-up to be fooled; literal addresses never reach a resolver and are checked in the URL.
//! Redirects are not followed, the environment's proxies are not read, and no connection is kept: a frozen environment
//! would return with dead sockets and turn definite failures into ambiguous ones. Nothing is repeated here. Whoever
//! calls learns whether the request certainly did not leave ([`OutboundError::NotSent`]) or perhaps did
//! ([`OutboundError::Ambiguous`]), which is what decides about a repetition.

use std::{error::Error, net::IpAddr, sync::Arc, time::Duration};

use http::{HeaderMap, Method};
use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};
use url::{Host, Url};

use super::is_public;
use crate::config::Config;

const CONNECT: Duration = Duration::from_secs(3);
const TOTAL: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 * 1024;
/// Bytes of a request.
const MAX_REQUEST: usize = 1024 * 1024;
/// Ports that a public target may have.
const PORTS: &[u16] = &[443, 80, 8443];

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The first 64 KiB.
    pub body: Vec<u8>,
}

impl Answer {
    /// `Retry-After` in seconds, if it is given as a number (RFC 9110, section 10.2.3).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.headers
            .get(http::header::RETRY_AFTER)?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()
            .map(Duration::from_secs)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The target may not be called.
    #[error("the target is refused: {0}")]
    Refused(&'static str),
    /// Nothing left: no address, no connection, no TLS.
    #[error("nothing was sent: {0}")]
    NotSent(&'static str),
    /// The request may have arrived: time-out or reset after it began to leave.
    #[error("the answer was lost: {0}")]
    Ambiguous(&'static str),
}

/// A client for calls to the outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OutboundClient {
    http: Client,
    allow_private: bool,
}

impl OutboundClient {
    /// The client; private targets and plain HTTP on any port are allowed only where the configuration says so.
    ///
    /// # Errors
    /// [`OutboundError::NotSent`] if the TLS library refuses its own defaults.
    pub fn new(config: &Config) -> Result<Self, OutboundError> {
        let allow_private = config.allow_private_targets;
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| OutboundError::NotSent("TLS is not available"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .user_agent("Wellspring/1.0")
            .dns_resolver(Guarded { allow_private })
            .build()
            .map_err(|_| OutboundError::NotSent("the client could not be built"))?;
        Ok(Self { http, allow_private })
    }

    /// Reads a target and refuses what may never be called. Names are checked again when they are resolved.
    ///
    /// # Errors
    /// [`OutboundError::Refused`] with the reason.
    pub fn check_target(target: &str, allow_private: bool) -> Result<Url, OutboundError> {
        let refuse = |reason| Err(OutboundError::Refused(reason));
        let Ok(url) = Url::parse(target) else {
            return refuse("it is not an address like https://example.com/path");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("an address may not hold a user or password");
        }
        match url.scheme() {
            "https" => {}
            "http" if allow_private => {}
            _ => return refuse("only https is called"),
        }
        let literal: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) => None,
            None => return refuse("it has no host"),
        };
        if allow_private {
            return Ok(url);
        }
        if literal.is_some_and(|address| !is_public(address)) {
            return refuse("it points into a private network");
        }
        if url.port_or_known_default().is_none_or(|port| !PORTS.contains(&port)) {
            return refuse("only the ports 443, 80 and 8443 are called");
        }
        Ok(url)
    }

    /// POSTs a body.
    ///
    /// # Errors
    /// As [`OutboundError`] says.
    pub async fn post(
        &self,
        target: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, OutboundError> {
        self.send(Method::POST, target, headers, body).await
    }

    /// GETs.
    ///
    /// # Errors
    /// As [`OutboundError`] says.
    pub async fn get(&self, target: &str, headers: HeaderMap) -> Result<Answer, OutboundError> {
        self.send(Method::GET, target, headers, Vec::new()).await
    }

    /// Sends a request by any method.
    ///
    /// # Errors
    /// As [`OutboundError`] says.
    pub async fn send(
        &self,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, OutboundError> {
        let url = Self::check_target(target, self.allow_private)?;
        if body.len() > MAX_REQUEST {
            return Err(OutboundError::Refused("the request is larger than 1 MiB"));
        }
        let sent = self.http.request(method, url).headers(headers).body(body).send().await;
        let mut response = sent.map_err(|error| classify(&error))?;
        let mut answer = Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: Vec::new(),
        };
        // The status has been received and decides; a body that breaks off takes nothing away from it.
        while answer.body.len() < MAX_ANSWER
            && let Ok(Some(chunk)) = response.chunk().await
        {
            let room = MAX_ANSWER - answer.body.len();
            answer.body.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        }
        Ok(answer)
    }
}

/// The error's text quotes the URL, which may hold secrets, so only its kind is kept.
fn classify(error: &reqwest::Error) -> OutboundError {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if cause.is::<PrivateTarget>() {
            return OutboundError::Refused("it points into a private network");
        }
        source = cause.source();
    }
    if error.is_connect() {
        OutboundError::NotSent("no connection could be made")
    } else if error.is_builder() || error.is_redirect() {
        OutboundError::NotSent("the request could not be made")
    } else if error.is_timeout() {
        OutboundError::Ambiguous("no answer in time")
    } else {
        OutboundError::Ambiguous("the connection broke off")
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the name leads into a private network")]
struct PrivateTarget;

/// Resolves names for the connector and lets through only addresses that may be called. A name with one private
/// address among public ones is refused as a whole.
#[derive(Clone, Copy, Debug)]
struct Guarded {
    allow_private: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if !allow_private && found.iter().any(|address| !is_public(address.ip())) {
                return Err(PrivateTarget.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::config::Needs;

    fn client(allow_private: bool) -> OutboundClient {
        let values = [
            ("APP_ENV", "test"),
            ("DATABASE_URL", "postgres://nobody@localhost/none"),
            ("ALLOW_PRIVATE_TARGETS", if allow_private { "true" } else { "false" }),
        ];
        let values: HashMap<String, String> =
            values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        OutboundClient::new(&Config::from_values(values, Needs::Migrate).unwrap()).unwrap()
    }

    #[test]
    fn private_literals_odd_spellings_ports_and_schemes_are_refused() {
        for target in [
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest",
            "https://017700000001/",
            "http://example.com/",
            "ftp://example.com/",
            "https://user@example.com/",
            "https://example.com:22/",
            "https://",
            "nonsense",
            "file:///etc/passwd",
        ] {
            assert!(OutboundClient::check_target(target, false).is_err(), "{target}");
        }
        assert!(OutboundClient::check_target("https://example.com/hook?x=1", false).is_ok());
        assert!(OutboundClient::check_target("http://127.0.0.1:4010/", true).is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_refused_when_it_is_dialled() {
        let refused = client(false).get("https://localhost/", HeaderMap::new()).await;
        assert!(matches!(refused, Err(OutboundError::Refused(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn a_closed_port_is_a_definite_failure_and_a_silent_end_an_ambiguous_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("http://{}/", listener.local_addr().unwrap());
        let server = async {
            let (socket, _) = listener.accept().await.unwrap();
            drop(socket);
        };
        let client = client(true);
        let (answer, ()) = tokio::join!(client.post(&target, HeaderMap::new(), b"x".to_vec()), server);
        assert!(matches!(answer, Err(OutboundError::Ambiguous(_))), "{answer:?}");
        drop(listener);
        let answer = client.post(&target, HeaderMap::new(), b"x".to_vec()).await;
        assert!(matches!(answer, Err(OutboundError::NotSent(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn redirects_are_answers_and_long_bodies_are_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("http://{}/", listener.local_addr().unwrap());
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            // Closing with the request unread would reset the connection.
            let mut request = [0; 1024];
            assert!(socket.read(&mut request).await.unwrap() > 0);
            let head = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\nretry-after: 7\r\ncontent-length: 90000\r\n\r\n";
            socket.write_all(head.as_bytes()).await.unwrap();
            let _ = socket.write_all(&vec![b'x'; 90_000]).await;
        };
        let client = client(true);
        let (answer, ()) = tokio::join!(client.get(&target, HeaderMap::new()), server);
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status, answer.body.len(), answer.retry_after()),
            (302, MAX_ANSWER, Some(Duration::from_secs(7)))
        );
    }
}
