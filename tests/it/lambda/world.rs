//! A database without a stack: nothing works on it but the binaries that a test starts.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use shared::{
    app::App,
    config::{Config, Needs},
    db::SystemReason,
    queue::Hint,
    sweep,
};
use tests::{
    lambda::{Body, Emulator, Environment, Function, HttpAnswer, http_v2, parse_http},
    proxy::CountingProxy,
};

use crate::support::{stack, tenant};

/// A function of the workspace with its variables. The timeout is long: tests stop processes for a while.
pub fn function(name: &str, values: &HashMap<String, String>) -> Function {
    let mut function = Function::of_workspace(name).unwrap().with_timeout(Duration::from_secs(120));
    for (key, value) in values {
        function = function.with_env(key, value);
    }
    if name == "migrate" {
        function = function.with_env("DATABASE_URL", &stack().owner_url);
    }
    function
}

/// A database with the schema and nobody at work.
pub struct World {
    /// What its functions are given.
    pub values: HashMap<String, String>,
    database: String,
    emulator: Emulator,
    apis: Mutex<HashMap<String, Environment>>,
}

impl World {
    /// Makes the database.
    pub async fn new(name: &str) -> Self {
        let running = stack();
        let database = format!("world_{name}");
        running.create_database(&database).await;
        let mut values = running.values.clone();
        values.insert("DATABASE_URL".to_owned(), running.app_url_of(&database));
        Self { values, database, emulator: Emulator::start().await, apis: Mutex::default() }
    }

    /// The same with its functions' connections through a proxy that counts.
    pub async fn counted(name: &str) -> (Self, CountingProxy) {
        let mut world = Self::new(name).await;
        let mut url = url::Url::parse(&world.values["DATABASE_URL"]).unwrap();
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, url.port().unwrap()));
        let proxy = CountingProxy::start(server).await.unwrap();
        url.set_port(Some(proxy.address.port())).unwrap();
        world.values.insert("DATABASE_URL".to_owned(), url.to_string());
        (world, proxy)
    }

    /// Gives the functions that are started from now on a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
    }

    /// What a sweep would hand out now.
    pub async fn due(&self) -> Vec<Hint> {
        let config = Config::from_values(self.values.clone(), Needs::Api).unwrap();
        let app = App::new(config, 1).unwrap();
        let mut tx = app.db.system(SystemReason::Sweep).await.unwrap();
        let hints = sweep::due(&mut tx, Duration::from_secs(1), 100, 100).await.unwrap();
        tx.commit().await.unwrap();
        hints
    }

    /// What its API functions have written so far.
    pub fn logs_by_function(&self) -> HashMap<String, Vec<String>> {
        let texts =
            |environment: &Environment| environment.logs().into_iter().map(|line| line.text).collect();
        self.apis().iter().map(|(name, environment)| (name.clone(), texts(environment))).collect()
    }

    /// Starts another environment of a function.
    pub fn launch(&self, name: &str) -> Environment {
        self.emulator.launch(function(name, &self.values)).unwrap()
    }

    /// Calls an API function as the gateway does; its environment is started once.
    pub async fn call(&self, name: &str, method: &str, path: &str, token: &str, body: &str) -> HttpAnswer {
        let authorization = format!("Bearer {token}");
        let mut headers = vec![("content-type", "application/json")];
        if !token.is_empty() {
            headers.push(("authorization", authorization.as_str()));
        }
        let body = if body.is_empty() { Body::None } else { Body::Text(body.to_owned()) };
        self.invoke(name, &http_v2(method, path, &headers, body)).await
    }

    /// Invokes an API function with a complete event.
    pub async fn invoke(&self, name: &str, event: &Value) -> HttpAnswer {
        let environment = self.apis().remove(name).unwrap_or_else(|| self.launch(name));
        let outcome = environment.invoke(event).await.unwrap();
        self.apis().insert(name.to_owned(), environment);
        parse_http(&outcome).unwrap()
    }

    /// Registers a business and returns its owner's token.
    pub async fn register(&self) -> String {
        let body = json!({
            "businessName": "World", "name": "Wanda", "email": tenant::unique_email("world"), "password": tenant::PASSWORD,
            "timezone": "Europe/Berlin", "country": "DE", "currency": "EUR",
        });
        let answer = self.call("auth", "POST", "/api/auth/register", "", &body.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json().unwrap()["accessToken"].as_str().unwrap().to_owned()
    }

    /// Businesses whose removal a sweep would have continued now.
    pub async fn ended(&self) -> Vec<Hint> {
        let config = Config::from_values(self.values.clone(), Needs::Worker).unwrap();
        let app = App::new(config, 1).unwrap();
        let mut tx = app.db.system(SystemReason::Sweep).await.unwrap();
        let hints = sweep::ended(&mut tx, 100).await.unwrap();
        tx.commit().await.unwrap();
        hints
    }

    /// Whether a condition holds, asked as the schema's owner within one tenant.
    pub fn holds(&self, tenant: &str, condition: &str) -> bool {
        let batch = format!(
            "select set_config('app.tenant_id', '{tenant}', false); do $$ begin assert {condition}; end $$"
        );
        stack().holds(&self.database, &batch)
    }

    /// Runs SQL as the schema's owner, within one tenant: the way to let a lease run out without waiting for it.
    pub fn execute(&self, tenant: &str, sql: &str) {
        let batch = format!("select set_config('app.tenant_id', '{tenant}', false); {sql}");
        stack().execute(&self.database, &batch);
    }

    fn apis(&self) -> MutexGuard<'_, HashMap<String, Environment>> {
        self.apis.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
