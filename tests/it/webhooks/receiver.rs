//! An endpoint of one's own: a small HTTP server that notes what it is told.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use shared::{
    clock,
    webhooks::{Provider, verify},
};
use tokio::net::TcpListener;

/// One delivery as it arrived.
#[derive(Clone)]
pub struct Told {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Told {
    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a delivery is JSON")
    }

    /// Whether it is signed with the secret, by Standard Webhooks.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let delivery = verify::Delivery { url: "", headers: &self.headers, body: &self.body };
        verify::verify(Provider::Standard, &delivery, &[secret], &Value::Null, clock::now()).is_ok()
    }
}

/// A server that answers with the given statuses in turn, the last one for ever.
pub struct Receiver {
    pub url: String,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Receiver {
    pub async fn start(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let told = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&told);
        #[expect(clippy::disallowed_methods, reason = "a test's server ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let notes = Arc::clone(&notes);
                let answer = service_fn(move |request: Request<Incoming>| {
                    let notes = Arc::clone(&notes);
                    async move {
                        let headers = request.headers().clone();
                        let body = request.into_body().collect().await?.to_bytes().to_vec();
                        let mut notes = notes.lock().unwrap();
                        let status = statuses[notes.len().min(statuses.len() - 1)];
                        notes.push(Told { headers, body });
                        let response =
                            Response::builder().status(status).body(Full::new(Bytes::from("noted")));
                        Ok::<_, hyper::Error>(response.unwrap())
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), answer),
                );
            }
        });
        Self { url, told }
    }

    /// What it was told so far.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }
}
