//! The emulator proven with a real process: `examples/echo.rs` on the real `lambda_runtime`.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    Answer, Emulator, Environment, Fault, Function, Stream, binaries::find_example, recorded, recordings,
};

const SOON: Duration = Duration::from_secs(5);

fn echo() -> Function {
    Function::new("echo", find_example("echo").unwrap())
}

async fn launch(function: Function) -> Environment {
    Emulator::start().await.launch(function).unwrap()
}

#[tokio::test]
async fn every_recorded_event_comes_back_unchanged() {
    let environment = launch(echo()).await;
    for name in recordings().unwrap() {
        let event = recorded(&name).unwrap();
        let outcome = environment.invoke(&event).await.unwrap();
        assert_eq!(outcome.payload().unwrap(), &event, "{name}");
        assert!(outcome.duration > Duration::ZERO);
    }
}

#[tokio::test]
async fn a_process_sees_the_lambda_environment_and_no_other() {
    let environment = launch(echo().with_env("DATABASE_URL", "postgres://x").with_env("TZ", "UTC")).await;
    let outcome = environment.invoke(&json!({ "do": "variables" })).await.unwrap();
    let variables = outcome.payload().unwrap().as_object().unwrap();
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_NAME"], "echo");
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "256");
    assert_eq!(variables["DATABASE_URL"], "postgres://x");
    assert_eq!(variables["TZ"], "UTC");
    let foreign = ["HOME", "USER", "CARGO_MANIFEST_DIR", "RUST_BACKTRACE"];
    assert!(!foreign.iter().any(|name| variables.contains_key(*name)), "{variables:?}");
    let directory = environment.invoke(&json!({ "do": "directory" })).await.unwrap();
    assert_eq!(directory.payload().unwrap(), &variables["LAMBDA_TASK_ROOT"]);
}

#[tokio::test]
async fn the_invocation_carries_its_context() {
    let environment = launch(echo().with_timeout(Duration::from_secs(20))).await;
    let first = environment.invoke(&json!({ "do": "context" })).await.unwrap();
    let second = environment.invoke(&json!({ "do": "context" })).await.unwrap();
    assert_ne!(first.request_id, second.request_id);
    let context = first.payload().unwrap();
    assert_eq!(context["requestId"], first.request_id);
    assert_eq!(context["arn"], "arn:aws:lambda:eu-central-1:000000000000:function:echo");
    assert!(context["trace"].as_str().unwrap().starts_with("Root=1-"));
    let apart =
        second.payload().unwrap()["deadline"].as_u64().unwrap() - context["deadline"].as_u64().unwrap();
    assert!(apart < 20_000, "deadlines count from each handing out");
}

#[tokio::test]
async fn a_cold_start_is_measured_to_the_first_poll_and_the_first_response() {
    let environment = launch(echo()).await;
    let invocation = environment.begin(&json!({ "do": "sleep", "ms": 50 })).unwrap();
    let ready = environment.wait_ready().await.unwrap();
    invocation.outcome().await.unwrap();
    let cold = environment.cold_start();
    assert_eq!(cold.first_poll, Some(ready));
    assert!(cold.first_response.unwrap() >= ready + Duration::from_millis(50), "{cold:?}");
}

#[tokio::test]
async fn a_failure_and_a_panic_are_answers_and_the_process_goes_on() {
    let environment = launch(echo()).await;
    let failed = environment.invoke(&json!({ "do": "fail" })).await.unwrap();
    assert_eq!(failed.error().unwrap().message, "the handler failed");
    let panicked = environment.invoke(&json!({ "do": "panic" })).await.unwrap();
    assert!(panicked.error().unwrap().message.contains("the handler panicked"));
    assert_eq!(environment.invoke(&json!(1)).await.unwrap().answer, Answer::Payload(json!(1)));
}

#[tokio::test]
async fn a_response_over_six_megabytes_is_refused() {
    let environment = launch(echo()).await;
    let outcome = environment.invoke(&json!({ "do": "large" })).await.unwrap();
    assert_eq!(outcome.error().unwrap().error_type, "Function.ResponseSizeTooLarge");
    let event = json!("x".repeat(7 * 1024 * 1024));
    assert!(matches!(environment.begin(&event), Err(Fault::EventTooLarge(_))));
}

#[tokio::test]
async fn an_exit_in_the_middle_of_an_invocation_is_a_crash() {
    let environment = launch(echo()).await;
    let fault = environment.invoke(&json!({ "do": "exit" })).await.unwrap_err();
    assert!(matches!(fault, Fault::Crashed { exit, .. } if exit.code == Some(3)), "{fault}");
    let fault = environment.invoke(&json!(1)).await.unwrap_err();
    assert!(matches!(fault, Fault::Ended { exit, .. } if exit.code == Some(3)), "{fault}");
    assert!(matches!(environment.stop(), Err(Fault::Ended { .. })));
    assert!(matches!(environment.usage(), Err(Fault::Ended { .. })));
}

#[tokio::test]
async fn a_killed_process_is_a_crash() {
    let environment = launch(echo()).await;
    let invocation = environment.begin(&json!({ "do": "sleep", "ms": 60_000 })).unwrap();
    invocation.handed().await.unwrap();
    environment.kill().unwrap();
    let fault = invocation.outcome().await.unwrap_err();
    assert!(matches!(fault, Fault::Crashed { exit, .. } if exit.signal == Some(9)), "{fault}");
    assert!(fault.to_string().contains("SIGKILL"), "{fault}");
    assert_eq!(environment.wait_exit(SOON).await.unwrap().signal, Some(9));
}

#[tokio::test]
async fn a_stopped_process_answers_only_when_resumed() {
    let environment = launch(echo()).await;
    environment.wait_ready().await.unwrap();
    environment.stop().unwrap();
    let invocation = environment.begin(&json!("late")).unwrap();
    let pending = invocation.outcome();
    tokio::pin!(pending);
    tokio::select! {
        outcome = &mut pending => panic!("a stopped process answered: {outcome:?}"),
        () = sleep(Duration::from_millis(300)) => {}
    }
    environment.resume().unwrap();
    let outcome = pending.await.unwrap();
    assert_eq!(outcome.answer, Answer::Payload(json!("late")));
    assert!(outcome.duration >= Duration::from_millis(250), "{:?}", outcome.duration);
}

#[tokio::test]
async fn a_timeout_kills_the_process_even_when_it_is_stopped() {
    for stopped in [false, true] {
        let environment = launch(echo().with_timeout(Duration::from_millis(300))).await;
        environment.wait_ready().await.unwrap();
        let invocation = environment.begin(&json!({ "do": "sleep", "ms": 60_000 })).unwrap();
        if stopped {
            environment.stop().unwrap();
        }
        let fault = invocation.outcome().await.unwrap_err();
        assert!(matches!(fault, Fault::TimedOut { .. }), "{fault}");
        assert_eq!(environment.wait_exit(SOON).await.unwrap().signal, Some(9));
    }
}

#[tokio::test]
async fn an_environment_takes_one_invocation_at_a_time() {
    let environment = launch(echo()).await;
    let first = environment.begin(&json!({ "do": "sleep", "ms": 100 })).unwrap();
    assert!(matches!(environment.begin(&json!(2)), Err(Fault::Busy)));
    drop(first);
    assert!(matches!(environment.begin(&json!(2)), Err(Fault::Busy)), "abandoned, but still at work");
    let end = Instant::now() + SOON;
    while matches!(environment.begin(&json!(2)), Err(Fault::Busy)) && Instant::now() < end {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(Instant::now() < end, "the environment became free again");
}

#[tokio::test]
async fn a_reported_failed_start_is_told_apart_from_a_silent_one() {
    let reported = launch(echo().with_env("START", "fail")).await;
    let fault = reported.invoke(&json!(1)).await.unwrap_err();
    assert!(
        matches!(&fault, Fault::InitFailed { report, .. } if report.error_type == "Config.Missing"),
        "{fault}"
    );
    assert_eq!(reported.wait_exit(SOON).await.unwrap().code, Some(1));
    assert!(matches!(reported.wait_ready().await, Err(Fault::InitFailed { .. })));
    let silent = launch(echo().with_env("START", "exit")).await;
    let fault = silent.wait_ready().await.unwrap_err();
    assert!(matches!(fault, Fault::Ended { exit, .. } if exit.code == Some(4)), "{fault}");
}

/// The clock is paused: it jumps to the limit as soon as nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn a_start_longer_than_lambda_allows_is_a_fault() {
    let environment = launch(echo().with_env("START", "hang")).await;
    let fault = environment.wait_ready().await.unwrap_err();
    assert!(matches!(fault, Fault::NotReady { .. }), "{fault}");
}

#[tokio::test]
async fn output_is_kept_by_stream_and_shown_with_a_fault() {
    let environment = launch(echo()).await;
    environment.invoke(&json!({ "do": "write", "text": "mark" })).await.unwrap();
    assert_eq!(environment.wait_log("to stdout: \"mark\"", SOON).await.unwrap().stream, Stream::Out);
    assert_eq!(environment.wait_log("to stderr: \"mark\"", SOON).await.unwrap().stream, Stream::Err);
    let fault = environment.invoke(&json!({ "do": "exit" })).await.unwrap_err();
    assert!(fault.to_string().contains("to stderr: \"mark\""), "{fault}");
    let unseen = environment.wait_log("never", Duration::from_millis(10)).await.unwrap_err();
    assert!(unseen.to_string().contains("never"), "{unseen}");
}

#[tokio::test]
async fn cpu_time_and_peak_memory_are_those_of_the_process() {
    let environment = launch(echo()).await;
    environment.wait_ready().await.unwrap();
    let before = environment.usage().unwrap();
    environment.invoke(&json!({ "do": "sleep", "ms": 100 })).await.unwrap();
    let idle = environment.usage().unwrap();
    assert!(idle.cpu - before.cpu < Duration::from_millis(50), "sleeping costs nothing: {idle:?}");
    environment.invoke(&json!({ "do": "burn", "ms": 100 })).await.unwrap();
    let after = environment.usage().unwrap();
    assert!(after.cpu - idle.cpu > Duration::from_millis(5), "{after:?}");
    assert!(after.peak_rss >= before.peak_rss + 30 * 1024 * 1024, "{after:?}");
    assert!(after.rss < after.peak_rss, "{after:?}");
}

#[tokio::test]
async fn dropping_an_environment_ends_its_process() {
    let environment = launch(echo()).await;
    environment.wait_ready().await.unwrap();
    let status = format!("/proc/{}/status", environment.pid());
    assert!(std::fs::exists(&status).unwrap());
    drop(environment);
    let end = Instant::now() + SOON;
    let runs = || std::fs::read_to_string(&status).is_ok_and(|status| !status.contains("State:\tZ"));
    while runs() && Instant::now() < end {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(!runs(), "the process outlived its environment");
}

#[tokio::test]
async fn a_binary_that_is_not_there_is_named() {
    let fault = Emulator::start().await.launch(Function::new("gone", "/nowhere/gone")).unwrap_err();
    assert!(fault.to_string().contains("/nowhere/gone"), "{fault}");
}
