//! The HTTP side of the emulator: the four requests of the Runtime API, version 2018-06-01.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{
    outcome::{Answer, ErrorReport},
    session::{Handed, Refusal, Session},
};

/// Lambda's limit for an event and for a response: 6 MB, plus 100 bytes in its Runtime Interface Emulator
/// (aws/aws-lambda-runtime-interface-emulator, `interop.MaxPayloadSize`).
pub(crate) const MAX_PAYLOAD: usize = 6 * 1024 * 1024 + 100;

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// Serves one connection until the process closes it.
pub(crate) async fn serve(stream: TcpStream, session: Arc<Session>) {
    // Small answers on a kept-alive connection: without this the benchmark measures the delay of Nagle's algorithm.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let session = Arc::clone(&session);
        async move { Ok::<_, Infallible>(respond(&session, request).await) }
    });
    // An error here is a connection broken by the process, which is watched on its own.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(session: &Session, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let Some(path) = parts.uri.path().strip_prefix("/2018-06-01/runtime/") else {
        return refuse(StatusCode::NOT_FOUND, "NotFound", parts.uri.path());
    };
    let segments: Vec<&str> = path.split('/').collect();
    match (&parts.method, segments.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => match session.next().await {
            Ok(handed) => hand_out(session, handed),
            Err(refusal) => refuse_state(refusal),
        },
        (&Method::POST, ["invocation", id, "response"]) => match read(body).await {
            Ok(body) => take_response(session, id, &body),
            Err(response) => response,
        },
        (&Method::POST, ["invocation", id, "error"]) => match read(body).await {
            Ok(body) => {
                let report = ErrorReport::from_body(&body, error_type(&parts.headers));
                accept(session.answer(id, Answer::Error(report)))
            }
            Err(response) => response,
        },
        (&Method::POST, ["init", "error"]) => match read(body).await {
            Ok(body) => accept(session.fail_init(ErrorReport::from_body(&body, error_type(&parts.headers)))),
            Err(response) => response,
        },
        _ => refuse(StatusCode::NOT_FOUND, "NotFound", path),
    }
}

fn hand_out(session: &Session, handed: Handed) -> Response<Full<Bytes>> {
    let id = handed.request_id.as_str();
    let since_epoch = since_epoch();
    let deadline = (since_epoch + session.timeout).as_millis();
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).skip(8).take(24).collect();
    let trace = format!("Root=1-{:08x}-{digits};Parent=53995c3f42cd8ad8;Sampled=0", since_epoch.as_secs());
    build(
        Response::builder()
            .status(StatusCode::OK)
            .header(header::CONTENT_TYPE, "application/json")
            .header("Lambda-Runtime-Aws-Request-Id", id)
            .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
            .header("Lambda-Runtime-Invoked-Function-Arn", session.arn.as_str())
            .header("Lambda-Runtime-Trace-Id", trace),
        handed.event,
    )
}

fn take_response(session: &Session, id: &str, body: &[u8]) -> Response<Full<Bytes>> {
    if body.len() > MAX_PAYLOAD {
        let message =
            format!("Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD} bytes).");
        let report = ErrorReport::new("Function.ResponseSizeTooLarge", message.as_str());
        return match session.answer(id, Answer::Error(report)) {
            Ok(()) => refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message),
            Err(refusal) => refuse_state(refusal),
        };
    }
    let answer = match serde_json::from_slice(body) {
        Ok(payload) => Answer::Payload(payload),
        Err(error) => Answer::Error(ErrorReport::new(
            "Function.InvalidResponse",
            format!("The response is no JSON ({error}); streamed responses are not emulated."),
        )),
    };
    accept(session.answer(id, answer))
}

fn accept(result: Result<(), Refusal>) -> Response<Full<Bytes>> {
    match result {
        Ok(()) => build(Response::builder().status(StatusCode::ACCEPTED), r#"{"status":"OK"}"#.into()),
        Err(refusal) => refuse_state(refusal),
    }
}

fn refuse_state(refusal: Refusal) -> Response<Full<Bytes>> {
    match refusal {
        Refusal::InvalidRequestId => {
            refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", "not the current invocation")
        }
        Refusal::InvalidStateTransition => refuse(
            StatusCode::FORBIDDEN,
            "InvalidStateTransition",
            "the state of the environment forbids this",
        ),
    }
}

fn refuse(status: StatusCode, error_type: &str, message: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "errorType": error_type, "errorMessage": message }).to_string();
    build(Response::builder().status(status).header(header::CONTENT_TYPE, "application/json"), body.into())
}

/// All parts of a response are constants or generated here; the fallback only keeps this free of panics.
fn build(builder: http::response::Builder, body: Bytes) -> Response<Full<Bytes>> {
    builder.body(Full::new(body)).unwrap_or_else(|_| Response::new(Full::default()))
}

/// Reads a whole body. It is cut off by nothing, since what is too large must be named and not look like a broken
/// connection; a body that breaks off belongs to a process that is ending.
async fn read(body: Incoming) -> Result<Bytes, Response<Full<Bytes>>> {
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(refuse(StatusCode::BAD_REQUEST, "InvalidBody", &error.to_string())),
    }
}

fn error_type(headers: &HeaderMap) -> &str {
    headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("Unhandled")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the deadline is a wall-clock time, that is what the API promises"
)]
fn since_epoch() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        task::JoinSet,
    };

    use super::*;

    /// A Runtime API without a process, and the plainest client that speaks it.
    struct Api {
        address: std::net::SocketAddr,
        session: Arc<Session>,
        _server: JoinSet<()>,
    }

    async fn start() -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let session = Arc::new(Session::new("arn:aws:lambda:x".to_owned(), Duration::from_secs(3)));
        let shared = Arc::clone(&session);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Api { address, session, _server: server }
    }

    impl Api {
        async fn call(&self, request: &str, body: &str) -> (u16, String, Value) {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let length = body.len();
            let head = format!(
                "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(body.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            (status, head.to_lowercase(), serde_json::from_str(body).unwrap())
        }

        async fn next(&self) -> (u16, String, Value) {
            self.call("GET /2018-06-01/runtime/invocation/next", "").await
        }

        async fn post(&self, path: &str, body: &str) -> (u16, Value) {
            let (status, _, body) = self.call(&format!("POST /2018-06-01/runtime/{path}"), body).await;
            (status, body)
        }
    }

    #[tokio::test]
    async fn a_poll_waits_for_its_event_and_brings_the_headers() {
        let api = start().await;
        let submit = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            api.session.submit("{\"a\":1}".into()).unwrap()
        };
        let ((status, head, event), id) = tokio::join!(api.next(), submit);
        assert_eq!((status, event), (200, serde_json::json!({ "a": 1 })));
        assert!(head.contains(&format!("lambda-runtime-aws-request-id: {id}")), "{head}");
        for name in ["deadline-ms: ", "invoked-function-arn: arn:aws:lambda:x", "trace-id: root=1-"] {
            assert!(head.contains(&format!("lambda-runtime-{name}")), "{head}");
        }
    }

    #[tokio::test]
    async fn an_invocation_is_answered_once_and_under_its_own_id() {
        let api = start().await;
        let id = api.session.submit("1".into()).unwrap();
        assert_eq!(api.post(&format!("invocation/{id}/response"), "2").await.0, 400, "not handed out yet");
        api.next().await;
        let (status, refusal) = api.post("invocation/other/response", "2").await;
        assert_eq!((status, refusal["errorType"].as_str()), (400, Some("InvalidRequestID")));
        assert_eq!(api.next().await.0, 403, "a poll in the middle of an invocation");
        assert_eq!(api.post(&format!("invocation/{id}/response"), "2").await.0, 202);
        assert_eq!(api.post(&format!("invocation/{id}/error"), "{}").await.0, 400, "answered already");
        let answer = api.session.read(|state| state.outcome(&id).map(|outcome| outcome.answer.clone()));
        assert_eq!(answer, Some(Answer::Payload(serde_json::json!(2))));
    }

    #[tokio::test]
    async fn errors_keep_their_type_and_message() {
        let api = start().await;
        let id = api.session.submit("1".into()).unwrap();
        api.next().await;
        let body = r#"{"errorType":"Boom","errorMessage":"it broke"}"#;
        assert_eq!(api.post(&format!("invocation/{id}/error"), body).await.0, 202);
        let answer = api.session.read(|state| state.outcome(&id).map(|outcome| outcome.answer.clone()));
        assert_eq!(answer, Some(Answer::Error(ErrorReport::new("Boom", "it broke"))));
        assert_eq!(api.post("init/error", body).await.0, 403, "it has started long ago");
    }

    #[tokio::test]
    async fn a_response_that_is_no_json_is_an_error_of_the_function() {
        let api = start().await;
        let id = api.session.submit("1".into()).unwrap();
        api.next().await;
        api.post(&format!("invocation/{id}/response"), "not json").await;
        let answer = api.session.read(|state| state.outcome(&id).map(|outcome| outcome.answer.clone()));
        assert!(
            matches!(answer, Some(Answer::Error(report)) if report.error_type == "Function.InvalidResponse")
        );
    }

    #[tokio::test]
    async fn a_poll_that_is_given_up_loses_no_event() {
        let api = start().await;
        let given_up = tokio::time::timeout(Duration::from_millis(50), api.next()).await;
        assert!(given_up.is_err());
        // Until the server has read the end of that connection, it would hand the event to nobody.
        tokio::time::sleep(Duration::from_millis(50)).await;
        api.session.submit("7".into()).unwrap();
        assert_eq!(api.next().await.2, serde_json::json!(7));
    }

    #[tokio::test]
    async fn an_unknown_path_is_not_found() {
        let api = start().await;
        assert_eq!(api.post("restore/next", "").await.0, 404);
        assert_eq!(api.call("GET /elsewhere", "").await.0, 404);
    }
}
