//! The comparisons. Each returns one sentence per difference, with what to do about it.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use super::{Route, Template};

/// Variables of the code that the template leaves out on purpose: from the secret, from Lambda itself, or for laptops only.
pub const NOT_IN_TEMPLATE: [&str; 15] = [
    "DATABASE_URL",
    "JWT_SIGNING_KEYS",
    "SECRET_BOX_KEYS",
    "REDIS_URL",
    "FRONT_END_SECRETS",
    "PLATFORM_MAIL_API_KEY",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "PORT",
    "PGPORT",
    "PG_BIN_DIR",
    "SEED",
];

/// A route adds about 400 bytes to the resource policy of its function, and Lambda allows 20,480.
const MOST_ROUTES_OF_A_FUNCTION: usize = 48;
/// The quota of an HTTP API, without an increase: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>.
const MOST_ROUTES: usize = 300;
/// Of the function's timeout: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>.
const VISIBILITY_FACTOR: u64 = 6;
/// Throttles count as receives, so fewer would give up on a healthy message.
const LEAST_RECEIVES: u64 = 5;
const FOURTEEN_DAYS: u64 = 14 * 24 * 3600;

impl Route {
    fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    /// Whether this is one event for all methods and for everything below a path, this path among it.
    fn swallows(&self, path: &str) -> bool {
        let above = self.path.strip_suffix("{proxy+}").filter(|_| self.method == "ANY");
        above.is_some_and(|above| path.starts_with(above))
    }
}

impl Template {
    /// Routes of the code, as (method, path, function), against the events. OPTIONS lines are left alone: preflights are in no OpenAPI document.
    #[must_use]
    pub fn route_drift(&self, routes_of_code: &[(&str, &str, &str)]) -> Vec<String> {
        let routed = || {
            self.functions
                .iter()
                .flat_map(|function| function.routes.iter().map(move |route| (route, function)))
        };
        let mut found = Vec::new();
        for (method, path, name) in routes_of_code {
            // The gateway, too, takes the exact route before a greedy one.
            let exact: Vec<_> =
                routed().filter(|(route, _)| route.is(method, path)).map(|(_, f)| &f.name).collect();
            let owners = if exact.is_empty() {
                routed().filter(|(route, _)| route.swallows(path)).map(|(_, f)| &f.name).collect()
            } else {
                exact
            };
            match owners.as_slice() {
                [owner] if owner == name => {}
                [] => found.push(format!(
                    "{name} serves {method} {path}, which template.yaml does not route: add a line to the Events of that function."
                )),
                [owner] => found.push(format!(
                    "{name} serves {method} {path}, but template.yaml sends it to {owner}: move the line."
                )),
                owners => found.push(format!("template.yaml routes {method} {path} {} times: keep one.", owners.len())),
            }
        }
        for (route, function) in routed().filter(|(route, _)| route.method != "OPTIONS") {
            let served =
                routes_of_code.iter().any(|(method, path, _)| route.is(method, path) || route.swallows(path));
            if !served {
                found.push(format!(
                    "template.yaml routes {} {} to {} ({}), and no code serves it: remove the line or mount the route.",
                    route.method, route.path, function.name, route.operation
                ));
            }
        }
        found.extend(self.gateway_limits());
        found
    }

    fn gateway_limits(&self) -> Vec<String> {
        let mut found = Vec::new();
        let fallbacks: Vec<_> =
            self.functions.iter().filter(|f| f.fallback).map(|f| f.name.as_str()).collect();
        if fallbacks != ["auth"] {
            found.push(format!(
                "Unknown paths must reach auth through one event without a path; now: {fallbacks:?}."
            ));
        }
        // The function with the fallback needs no statement per route: its one statement covers all paths.
        for function in
            self.functions.iter().filter(|f| !f.fallback && f.routes.len() > MOST_ROUTES_OF_A_FUNCTION)
        {
            found.push(format!(
                "{} has {} routes; beyond {MOST_ROUTES_OF_A_FUNCTION} its resource policy outgrows 20 KB and the deploy fails. \
                 Let one greedy event (`/api/…/{{proxy+}}`) cover a group.",
                function.name,
                function.routes.len()
            ));
        }
        let total: usize = self.functions.iter().map(|function| function.routes.len()).sum();
        if total > MOST_ROUTES {
            found.push(format!("{total} routes are more than the {MOST_ROUTES} of an HTTP API: ask for a higher quota or group some."));
        }
        found
    }

    /// Variables that the code reads against those that each function is given.
    #[must_use]
    pub fn env_drift(&self, variables: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for function in &self.functions {
            for name in variables.iter().filter(|name| !NOT_IN_TEMPLATE.contains(name)) {
                if !function.env.contains_key(*name) {
                    found.push(format!(
                        "The code reads {name}, but {} does not get it: add it to the Globals.",
                        function.name
                    ));
                }
            }
            for name in function.env.keys() {
                if !variables.contains(&name.as_str()) {
                    found.push(format!("{} gets {name}, which no code reads: remove it.", function.name));
                } else if NOT_IN_TEMPLATE.contains(&name.as_str()) {
                    found.push(format!(
                        "{} gets {name} from the template: secrets come through SECRETS_ARN only.",
                        function.name
                    ));
                }
            }
            let named = function
                .env
                .get("SECRETS_ARN")
                .and_then(|value| value.pointer("/Ref"))
                .and_then(Value::as_str);
            if named.map(|name| vec![name.to_owned()]).as_ref() != Some(&function.secrets) {
                found.push(format!(
                    "{} is told to read the secret {named:?} and may read {:?}: it needs exactly that one.",
                    function.name, function.secrets
                ));
            }
        }
        found
    }

    /// Alarms against the pages in `docs/runbooks/`, both ways.
    #[must_use]
    pub fn runbook_drift(&self, repo_root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut expected = BTreeSet::from(["README.md".to_owned()]);
        for alarm in &self.alarms {
            let page = format!("{}.md", kebab(&alarm.logical));
            let path = format!("docs/runbooks/{page}");
            if !repo_root.join(&path).is_file() {
                found.push(format!("{} has no runbook: write {path}.", alarm.logical));
            }
            if !alarm.description.split_whitespace().any(|word| word == path) {
                found.push(format!(
                    "The description of {} does not name {path}: end it with `Runbook: {path}`.",
                    alarm.logical
                ));
            }
            expected.insert(page);
        }
        let pages = std::fs::read_dir(repo_root.join("docs/runbooks")).into_iter().flatten().flatten();
        for page in pages.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
            if !expected.contains(&page) {
                found.push(format!("docs/runbooks/{page} belongs to no alarm: remove or rename it."));
            }
        }
        found
    }

    /// Queues of the code, as (queue, worker), against queues, dead-letter queues and event source mappings.
    #[must_use]
    pub fn queue_drift(&self, workers: &[(&str, &str)]) -> Vec<String> {
        let mut found = Vec::new();
        for (name, worker) in workers {
            if self.queue(name).is_none() {
                found.push(format!("The code uses the queue {name}, which template.yaml does not make."));
            }
            if self
                .function(worker)
                .and_then(|function| function.queue.as_ref())
                .map(|feed| feed.queue.as_str())
                != Some(name)
            {
                found.push(format!(
                    "{worker} works on {name}, but no event source mapping feeds it from there."
                ));
            }
        }
        let targets: BTreeSet<_> =
            self.queues.iter().filter_map(|q| q.dead_letters.as_ref()).map(|(dlq, _)| dlq.as_str()).collect();
        for queue in &self.queues {
            if !queue.encrypted {
                found.push(format!("{} is not encrypted at rest: set SqsManagedSseEnabled.", queue.logical));
            }
            if targets.contains(queue.logical.as_str()) {
                if queue.retention < FOURTEEN_DAYS {
                    found.push(format!("{} keeps messages for less than 14 days.", queue.logical));
                }
            } else if !workers.iter().any(|(name, _)| *name == queue.name) {
                found.push(format!(
                    "template.yaml makes {}, which no worker of the code reads.",
                    queue.logical
                ));
            }
        }
        found
    }

    /// Schedules of the code, as (function, expression), against the events.
    #[must_use]
    pub fn schedule_drift(&self, schedules: &[(&str, &str)]) -> Vec<String> {
        let mut found = Vec::new();
        for function in &self.functions {
            let wanted: Vec<_> =
                schedules.iter().filter(|(name, _)| *name == function.name).map(|(_, when)| *when).collect();
            if function.schedules != wanted {
                found.push(format!(
                    "{} is scheduled {:?}, the code expects {wanted:?}.",
                    function.name, function.schedules
                ));
            }
        }
        found
    }

    /// Queues that functions nudge, as (function, queue), against their rights; then what each fed worker needs of its queue.
    #[must_use]
    pub fn policy_drift(&self, nudges: &[(&str, &str)]) -> Vec<String> {
        let mut found = Vec::new();
        for (name, queue) in nudges {
            if !self
                .function(name)
                .is_some_and(|function| function.sends.iter().any(|granted| granted == queue))
            {
                found.push(format!(
                    "{name} nudges {queue} and may not send to it: add an SQSSendMessagePolicy."
                ));
            }
        }
        for function in &self.functions {
            for queue in function
                .sends
                .iter()
                .filter(|queue| !nudges.contains(&(function.name.as_str(), queue.as_str())))
            {
                found.push(format!(
                    "{} may send to {queue} and never does: remove the SQSSendMessagePolicy.",
                    function.name
                ));
            }
            found.extend(self.feed_drift(function));
        }
        found
    }

    fn feed_drift(&self, function: &super::Function) -> Vec<String> {
        let Some(feed) = &function.queue else { return Vec::new() };
        let (name, queue) = (&function.name, self.queue(&feed.queue));
        let least = function.timeout * VISIBILITY_FACTOR;
        let dead_letters = queue.and_then(|queue| queue.dead_letters.as_ref());
        let receives = dead_letters.map_or(0, |(_, receives)| *receives);
        let target_made =
            dead_letters.is_some_and(|(dlq, _)| self.queues.iter().any(|queue| queue.logical == *dlq));
        [
            (
                feed.batch == 0,
                format!("{name} may receive from {} and no mapping feeds it: add one.", feed.queue),
            ),
            (
                !feed.may_receive,
                format!("{name} is fed from {} and may not receive: add an SQSPollerPolicy.", feed.queue),
            ),
            (
                !feed.partial_failures,
                format!("{name} must report partial failures, or one bad record repeats its whole batch."),
            ),
            (feed.batch > 10, format!("{name} takes {} messages at once; ten is the most.", feed.batch)),
            (
                queue.is_none_or(|queue| queue.visibility < least),
                format!(
                    "The visibility of {} must be at least {least} s, six times the timeout of {name}.",
                    feed.queue
                ),
            ),
            (!target_made, format!("{} has no dead-letter queue.", feed.queue)),
            (
                receives < LEAST_RECEIVES,
                format!("{} gives up after {receives} receives; {LEAST_RECEIVES} is the least.", feed.queue),
            ),
        ]
        .into_iter()
        .filter_map(|(wrong, sentence)| wrong.then_some(sentence))
        .collect()
    }
}

/// Variables of the code against the text of `.env.example`: each stands there once, below a line of meaning.
#[must_use]
pub fn example_drift(example: &str, variables: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut listed = Vec::new();
    let mut above = "";
    for line in example.lines() {
        if let Some((name, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            if !above.starts_with("# ") {
                found.push(format!(
                    ".env.example does not say what {name} means: add a comment line above it."
                ));
            }
            listed.push(name);
        }
        above = line;
    }
    for name in variables {
        match listed.iter().filter(|listed| *listed == name).count() {
            1 => {}
            count => found.push(format!(".env.example lists {name} {count} times: once is right.")),
        }
    }
    for name in listed.iter().filter(|name| !variables.contains(name)) {
        found.push(format!(".env.example lists {name}, which no code reads: remove it."));
    }
    found
}

/// `RunsDlqNotEmpty` becomes `runs-dlq-not-empty`.
fn kebab(logical: &str) -> String {
    let mut out = String::new();
    for letter in logical.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
