//! The database, the proxy before it and the functions on it.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use local::settings;
use private_postgres::{Cluster, DATABASE, Durability, Options};
use serde_json::{Value, json};
use tests::{
    lambda::{Body, Emulator, Environment, Function, HttpAnswer, http_v2, parse_http},
    proxy::CountingProxy,
};

use crate::{Failure, binaries, data, server, table};

/// Leads of the business that is measured, and of the large one.
pub(crate) const LEADS: u32 = 10_000;
const MANY_LEADS: u32 = 1_000_000;
/// Events to export, of the business that is measured.
const CTA_EVENTS: u32 = 50_000;

/// Everything that a measurement needs.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) proxy: CountingProxy,
    /// The measured business.
    pub(crate) usual: Business,
    /// The business with a million leads.
    pub(crate) large: Business,
    values: HashMap<String, String>,
    emulator: Emulator,
}

/// A tenant with its owner's token.
pub(crate) struct Business {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl World {
    /// Starts PostgreSQL, migrates it and fills it.
    pub(crate) async fn start() -> Result<Self, Failure> {
        let dir = PathBuf::from("target/bench");
        let cluster = Cluster::start(&Options {
            dir: std::path::absolute(dir.join(format!("postgres-{}", std::process::id())))?,
            port: None,
            durability: Durability::Throwaway,
            pg_bin_dir: None,
        })?;
        let owner_url = cluster.owner_url(DATABASE);
        shared::db::migrate(&owner_url).await?;
        let proxy = CountingProxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, cluster.port()))).await?;
        let app_url = settings::as_role(&owner_url, "wellspring_app", None)?
            .replace(&format!(":{}/", cluster.port()), &format!(":{}/", proxy.address.port()));
        let mut values = settings::values(&dir, &app_url, 3000, &HashMap::new())?;
        values.insert("LOG_LEVEL".to_owned(), "warn".to_owned());
        // Counted like any call, but never refused: one business does the work of thousands here.
        values.insert("RATE_LIMITS".to_owned(), "all=60000000/60000000".to_owned());
        let nobody = || Business { id: String::new(), token: String::new() };
        let mut world = Self {
            cluster,
            proxy,
            usual: nobody(),
            large: nobody(),
            values,
            emulator: Emulator::start().await,
        };
        world.usual = world.register("usual").await?;
        world.large = world.register("large").await?;
        world.fill()?;
        Ok(world)
    }

    fn fill(&self) -> Result<(), Failure> {
        table::note("seeding 20 businesses with 10,000 leads");
        self.execute_all(data::leads(&self.usual.id, LEADS).chain(data::others()))?;
        self.cluster.execute(DATABASE, &data::cta_events(&self.usual.id, CTA_EVENTS))?;
        table::note("seeding one business with 1,000,000 leads");
        self.execute_all(data::leads(&self.large.id, MANY_LEADS))?;
        self.cluster.execute(DATABASE, "analyze")?;
        Ok(())
    }

    /// Runs statements as the schema's owner.
    pub(crate) fn execute_all(&self, mut statements: impl Iterator<Item = String>) -> Result<(), Failure> {
        statements.try_for_each(|statement| Ok(self.cluster.execute(DATABASE, &statement)?))
    }

    async fn register(&self, name: &str) -> Result<Business, Failure> {
        let body = json!({
            "businessName": name, "name": "Bea Bench", "email": format!("{name}@example.com"),
            "password": "correct horse battery staple", "country": "DE", "currency": "EUR",
        });
        let answer = self.once("auth", "POST", "/api/auth/register", "", Some(&body)).await?;
        let answer: Value = answer.json()?;
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("the registration failed");
        Ok(Business {
            id: text(answer.pointer("/tenant/id").unwrap_or(&Value::Null))?,
            token: text(answer.pointer("/accessToken").unwrap_or(&Value::Null))?,
        })
    }

    /// CPU time of PostgreSQL so far.
    pub(crate) fn server_cpu(&self) -> Result<Duration, Failure> {
        server::cpu(self.cluster.dir())
    }

    /// A cold environment of a function.
    pub(crate) fn launch(&self, function: &str) -> Result<Environment, Failure> {
        self.launch_with(function, &[])
    }

    /// The same with some variables of its own.
    pub(crate) fn launch_with(&self, function: &str, own: &[(&str, &str)]) -> Result<Environment, Failure> {
        let mut described =
            Function::new(function, binaries::path(function)?).with_timeout(Duration::from_secs(60));
        for (key, value) in &self.values {
            described = described.with_env(key, value);
        }
        for (key, value) in own {
            described = described.with_env(*key, *value);
        }
        Ok(self.emulator.launch(described)?)
    }

    /// One request to an environment of its own.
    pub(crate) async fn once(
        &self,
        function: &str,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<HttpAnswer, Failure> {
        let environment = self.launch(function)?;
        let outcome = environment.invoke(&request(method, path, token, body)).await?;
        Ok(parse_http(&outcome)?)
    }
}

/// A signed-in request as the gateway sends it.
pub(crate) fn request(method: &str, path: &str, token: &str, body: Option<&Value>) -> Value {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![("content-type", "application/json")];
    if !token.is_empty() {
        headers.push(("authorization", authorization.as_str()));
    }
    http_v2(method, path, &headers, body.map_or(Body::None, Body::json))
}
