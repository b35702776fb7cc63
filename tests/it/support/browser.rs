//! A real browser without a window, driven over WebDriver (<https://www.w3.org/TR/webdriver2/>): JSON over HTTP, so that no crate is needed for it.

use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::{eventually, stack};

/// A browser with one page. Dropping it ends it.
pub struct Browser {
    http: reqwest::Client,
    session: String,
    driver: Child,
    /// Kept open: a driver that cannot write may end.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    /// A browser that has loaded a page of the stack.
    pub async fn open(path: &str) -> Self {
        let (driver, port, output) = start_driver().await;
        // The client asks for a TLS stack, which a plain connection never uses; a second installation is refused.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client is made");
        let base = format!("http://127.0.0.1:{port}/session");
        let made = exchange(&http, Method::POST, &base, Some(capabilities())).await;
        let id = made["sessionId"].as_str().expect("a session is made");
        let browser = Self { session: format!("{base}/{id}"), http, driver, _output: output };
        browser.post("url", json!({"url": format!("{}{path}", stack().base)})).await;
        browser
    }

    /// What a script returns.
    pub async fn script(&self, script: &str) -> Value {
        self.post("execute/sync", json!({"script": script, "args": []})).await
    }

    /// What a script hands to its `done`.
    pub async fn script_until_done(&self, script: &str) -> Value {
        let script = format!("const done = arguments[0];\n{script}");
        self.post("execute/async", json!({"script": script, "args": []})).await
    }

    /// Clicks the first element, once it is there.
    pub async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.post(&format!("element/{element}/click"), json!({})).await;
    }

    /// Replaces what an input field holds, as pasting would: the page hears of it once.
    pub async fn paste(&self, selector: &str, text: &str) {
        self.element(selector).await;
        let script = format!(
            "const field = document.querySelector({});
             const {{ set }} = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value');
             set.call(field, {});
             field.dispatchEvent(new Event('input', {{ bubbles: true }}));",
            json!(selector),
            json!(text)
        );
        self.script(&script).await;
    }

    /// Text of the first element; empty while there is none.
    pub async fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({})?.innerText ?? ''", json!(selector));
        self.script(&script).await.as_str().unwrap_or_default().trim().to_owned()
    }

    /// Warnings and errors of the console since the last look.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.post("se/log", json!({"type": "browser"})).await;
        entries
            .as_array()
            .expect("entries are listed")
            .iter()
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    /// Addresses that the page asked for since the last look, whether or not they answered.
    pub async fn requested(&self) -> Vec<String> {
        let entries = self.post("se/log", json!({"type": "performance"})).await;
        let events = entries.as_array().expect("entries are listed").iter();
        events
            .map(|entry| serde_json::from_str::<Value>(entry["message"].as_str().unwrap()).unwrap())
            .filter(|event| event["message"]["method"] == "Network.requestWillBeSent")
            .map(|event| event["message"]["params"]["request"]["url"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Ends the browser and its driver.
    pub async fn close(mut self) {
        exchange(&self.http, Method::DELETE, &self.session, None).await;
        self.driver.kill().await.expect("the driver ends");
    }

    async fn element(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({}) !== null", json!(selector));
        eventually(&format!("{selector} being there"), async || {
            (self.script(&script).await == true).then_some(())
        })
        .await;
        let found = self.post("element", json!({"using": "css selector", "value": selector})).await;
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        id.expect("an element has an id").to_owned()
    }

    async fn post(&self, command: &str, body: Value) -> Value {
        exchange(&self.http, Method::POST, &format!("{}/{command}", self.session), Some(body)).await
    }
}

/// The driver on a free port, which it says itself.
async fn start_driver() -> (Child, u16, Lines<BufReader<ChildStdout>>) {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("chromedriver starts: `scripts/setup.sh test` installs it and Chromium where it can");
    let mut output = BufReader::new(driver.stdout.take().expect("its output is piped")).lines();
    while let Some(line) = output.next_line().await.expect("its output is text") {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return (driver, port.trim_end_matches('.').parse().expect("a port is a number"), output);
        }
    }
    panic!("chromedriver ended before it listened");
}

fn capabilities() -> Value {
    let arguments = [
        "--headless=new",
        "--window-size=1280,1600",
        // Containers run tests as root and give little shared memory.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        // The browser ends with its driver: the pipe between them closes.
        "--remote-debugging-pipe",
        // No name is looked up, so nothing that the browser does by itself leaves the machine.
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    ];
    json!({"capabilities": {"alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": {"args": arguments},
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    }}})
}

async fn exchange(http: &reqwest::Client, method: Method, address: &str, body: Option<Value>) -> Value {
    let request = http.request(method, address);
    let request = if let Some(body) = body { request.json(&body) } else { request };
    let answer = request.send().await.expect("the driver answers");
    let status = answer.status();
    let mut body: Value = answer.json().await.expect("the driver answers with JSON");
    assert!(status.is_success(), "{address}: {body}");
    body["value"].take()
}
