//! A throw-away Lambda function that does what its event says, to prove the emulator against the real runtime.
//!
//! The field `do` of an event is one of the words in [`act`]; any other event is answered as it came. The variable
//! `START` makes the start misbehave: `fail` (reported to the Runtime API), `exit` (without a word) or `hang`.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "it stands for any function, also for one that breaks the rules of this repository"
)]

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Map, Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    match std::env::var("START").as_deref() {
        Ok("fail") => return report_failed_start(),
        Ok("exit") => std::process::exit(4),
        Ok("hang") => tokio::time::sleep(Duration::from_secs(60)).await,
        _ => {}
    }
    lambda_runtime::run(service_fn(act)).await
}

/// What a runtime does when it cannot start: it says so and exits.
fn report_failed_start() -> Result<(), Error> {
    let body = r#"{"errorType":"Config.Missing","errorMessage":"DATABASE_URL is not set"}"#;
    let mut stream = TcpStream::connect(std::env::var("AWS_LAMBDA_RUNTIME_API")?)?;
    write!(
        stream,
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nhost: lambda\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    stream.read_to_string(&mut String::new())?;
    Err("cannot start".into())
}

async fn act(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let LambdaEvent { payload, context } = event;
    let duration = Duration::from_millis(payload["ms"].as_u64().unwrap_or_default());
    match payload["do"].as_str() {
        Some("context") => Ok(json!({
            "requestId": context.request_id,
            "deadline": context.deadline,
            "arn": context.invoked_function_arn,
            "trace": context.xray_trace_id,
        })),
        Some("variables") => {
            Ok(std::env::vars().map(|(key, value)| (key, value.into())).collect::<Map<_, _>>().into())
        }
        Some("directory") => Ok(json!(std::env::current_dir()?)),
        Some("fail") => Err("the handler failed".into()),
        Some("panic") => panic!("the handler panicked"),
        Some("exit") => std::process::exit(3),
        Some("large") => Ok("x".repeat(7 * 1024 * 1024).into()),
        Some("sleep") => {
            tokio::time::sleep(duration).await;
            Ok(payload)
        }
        Some("burn") => {
            let ballast = vec![1_u8; 32 * 1024 * 1024];
            let start = Instant::now();
            while start.elapsed() < duration {}
            Ok(ballast.iter().map(|&byte| u64::from(byte)).sum::<u64>().into())
        }
        Some("write") => {
            println!("to stdout: {}", payload["text"]);
            eprintln!("to stderr: {}", payload["text"]);
            Ok(Value::Null)
        }
        _ => Ok(payload),
    }
}
