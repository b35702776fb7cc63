//! `template.yaml` as data, so that tests can hold the deployed truth against the code.
//!
//! The template is written by hand and the code does not read it, so nothing but a comparison keeps them together: a route without an event is a
//! 404 in production only, a queue without a grant loses its nudges in production only. Every comparison returns sentences, one per difference,
//! each with what to do; an empty list means that the two agree.

mod drift;

#[cfg(test)]
mod checks;

use std::collections::BTreeMap;

use serde_json::Value;

pub use drift::{NOT_IN_TEMPLATE, example_drift};

/// Why a template could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file is not YAML, or not the kind that CloudFormation takes.
    #[error("template.yaml cannot be parsed: {0}")]
    Syntax(#[from] deploy_prepare::yaml::YamlError),
    /// A resource lacks what every resource of its kind has here.
    #[error("template.yaml: {resource} has no {field}")]
    Missing {
        /// Logical id of the resource.
        resource: String,
        /// The property that is missing.
        field: &'static str,
    },
}

/// What the template says about functions, queues and alarms.
#[derive(Debug)]
pub struct Template {
    /// The Lambda functions.
    pub functions: Vec<Function>,
    /// The SQS queues, dead-letter queues among them.
    pub queues: Vec<Queue>,
    /// The CloudWatch alarms.
    pub alarms: Vec<Alarm>,
}

/// One Lambda function.
#[derive(Debug)]
pub struct Function {
    /// Logical id, for example `RunAutomationsFunction`.
    pub logical: String,
    /// Name of the crate and of its binary, the last part of `CodeUri`.
    pub name: String,
    /// Seconds until Lambda ends an invocation.
    pub timeout: u64,
    /// Megabytes.
    pub memory: u64,
    /// Environment with the globals merged in; the values are as written, intrinsic functions included.
    pub env: BTreeMap<String, Value>,
    /// Routes that the gateway sends here.
    pub routes: Vec<Route>,
    /// Whether the gateway sends here what no route names.
    pub fallback: bool,
    /// Queue that feeds it, by name.
    pub queue: Option<Feed>,
    /// Schedule expressions that start it.
    pub schedules: Vec<String>,
    /// Names of the queues it may send to.
    pub sends: Vec<String>,
    /// Parameters with the ARNs of the secrets that it may read.
    pub secrets: Vec<String>,
}

/// One event line: a method and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Operation id in `PascalCase`.
    pub operation: String,
    /// HTTP method in capitals.
    pub method: String,
    /// Path with its parameters in braces.
    pub path: String,
}

/// How a queue feeds a worker.
#[derive(Debug)]
pub struct Feed {
    /// Name of the queue.
    pub queue: String,
    /// Most messages in one invocation.
    pub batch: u64,
    /// Whether single records of a batch can fail.
    pub partial_failures: bool,
    /// Whether the worker may receive from that queue.
    pub may_receive: bool,
}

/// One SQS queue.
#[derive(Debug)]
pub struct Queue {
    /// Logical id, for example `RunsQueue`.
    pub logical: String,
    /// The word that the code uses, for example `runs`.
    pub name: String,
    /// Seconds for which a received message stays invisible.
    pub visibility: u64,
    /// Seconds for which a message is kept.
    pub retention: u64,
    /// Whether messages are encrypted at rest.
    pub encrypted: bool,
    /// Logical id of the dead-letter queue, and the number of receives after which a message goes there.
    pub dead_letters: Option<(String, u64)>,
}

/// One CloudWatch alarm.
#[derive(Debug)]
pub struct Alarm {
    /// Logical id, for example `RunsDlqNotEmpty`.
    pub logical: String,
    /// What people read first; names the runbook.
    pub description: String,
}

impl Template {
    /// Reads the text of a `template.yaml`.
    pub fn read(text: &str) -> Result<Self, TemplateError> {
        let document = deploy_prepare::yaml::read(text)?;
        let globals = document.pointer("/Globals/Function").unwrap_or(&Value::Null);
        let mut template = Self { functions: Vec::new(), queues: Vec::new(), alarms: Vec::new() };
        let mut mappings = Vec::new();
        for (logical, resource) in entries(document.get("Resources")) {
            let properties = resource.get("Properties").unwrap_or(&Value::Null);
            match resource.get("Type").and_then(Value::as_str).unwrap_or_default() {
                "AWS::Serverless::Function" => {
                    template.functions.push(function(logical, properties, globals)?);
                }
                "AWS::SQS::Queue" => template.queues.push(queue(logical, properties)),
                "AWS::Lambda::EventSourceMapping" => mappings.push(properties),
                "AWS::CloudWatch::Alarm" => template.alarms.push(Alarm {
                    logical: logical.to_owned(),
                    description: text_of(properties, "/AlarmDescription").unwrap_or_default().to_owned(),
                }),
                _ => {}
            }
        }
        for mapping in mappings {
            let target = text_of(mapping, "/FunctionName/Ref").unwrap_or_default();
            if let Some(function) = template.functions.iter_mut().find(|function| function.logical == target)
            {
                let queue = queue_name(text_of(mapping, "/EventSourceArn/Fn::GetAtt").unwrap_or_default());
                let may_receive = function.queue.as_ref().is_some_and(|granted| granted.queue == queue);
                function.queue = Some(Feed {
                    queue,
                    batch: number(mapping, "/BatchSize", 10),
                    partial_failures: items(mapping.get("FunctionResponseTypes"))
                        .any(|kind| kind == "ReportBatchItemFailures"),
                    may_receive,
                });
            }
        }
        Ok(template)
    }

    /// The function with this crate name.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name == name)
    }

    /// The queue with this name.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.name == name)
    }
}

fn function(logical: &str, properties: &Value, globals: &Value) -> Result<Function, TemplateError> {
    let missing = |field| TemplateError::Missing { resource: logical.to_owned(), field };
    let code = text_of(properties, "/CodeUri").ok_or_else(|| missing("CodeUri"))?;
    let name = code.trim_end_matches('/').rsplit('/').next().unwrap_or(code).to_owned();
    let mut env = BTreeMap::new();
    for variables in [globals, properties].map(|level| level.pointer("/Environment/Variables")) {
        env.extend(entries(variables).map(|(name, value)| (name.to_owned(), value.clone())));
    }
    let granted = |policy: &'static str, pointer: &'static str| {
        items(properties.get("Policies"))
            .filter_map(move |item| text_of(item.get(policy)?, pointer))
            .map(str::to_owned)
    };
    let events = || entries(properties.get("Events"));
    Ok(Function {
        logical: logical.to_owned(),
        name,
        timeout: number(properties, "/Timeout", number(globals, "/Timeout", 3)),
        memory: number(properties, "/MemorySize", number(globals, "/MemorySize", 128)),
        env,
        routes: events().filter_map(|(operation, event)| route(operation, event)).collect(),
        fallback: events()
            .any(|(_, event)| kind(event) == "HttpApi" && event.pointer("/Properties/Path").is_none()),
        // The grant to receive comes first; the event source mapping, a resource of its own, completes the feed.
        queue: granted("SQSPollerPolicy", "/QueueName/Fn::GetAtt")
            .map(|queue| Feed {
                queue: queue_name(&queue),
                batch: 0,
                partial_failures: false,
                may_receive: true,
            })
            .next(),
        schedules: events()
            .filter(|(_, event)| kind(event) == "Schedule")
            .filter_map(|(_, event)| text_of(event, "/Properties/Schedule").map(str::to_owned))
            .collect(),
        sends: granted("SQSSendMessagePolicy", "/QueueName/Fn::GetAtt")
            .map(|queue| queue_name(&queue))
            .collect(),
        secrets: granted("AWSSecretsManagerGetSecretValuePolicy", "/SecretArn/Ref").collect(),
    })
}

fn route(operation: &str, event: &Value) -> Option<Route> {
    let path = text_of(event, "/Properties/Path")?;
    let method = text_of(event, "/Properties/Method")?;
    (kind(event) == "HttpApi").then(|| Route {
        operation: operation.to_owned(),
        method: method.to_uppercase(),
        path: path.to_owned(),
    })
}

fn queue(logical: &str, properties: &Value) -> Queue {
    let target = text_of(properties, "/RedrivePolicy/deadLetterTargetArn/Fn::GetAtt");
    Queue {
        logical: logical.to_owned(),
        name: queue_name(logical),
        visibility: number(properties, "/VisibilityTimeout", 30),
        retention: number(properties, "/MessageRetentionPeriod", 345_600),
        encrypted: properties.get("SqsManagedSseEnabled") == Some(&Value::Bool(true)),
        dead_letters: target.map(|target| {
            (
                target.trim_end_matches(".Arn").to_owned(),
                number(properties, "/RedrivePolicy/maxReceiveCount", 0),
            )
        }),
    }
}

/// `RunsQueue`, `RunsQueue.Arn` and `RunsQueue.QueueName` are all `runs`.
fn queue_name(reference: &str) -> String {
    let logical = reference.split('.').next().unwrap_or(reference);
    logical.strip_suffix("Queue").unwrap_or(logical).to_lowercase()
}

fn kind(event: &Value) -> &str {
    text_of(event, "/Type").unwrap_or_default()
}

fn entries(map: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    map.and_then(Value::as_object).into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

fn text_of<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn number(value: &Value, pointer: &str, default: u64) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(default)
}
