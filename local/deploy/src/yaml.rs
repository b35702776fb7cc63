//! YAML with CloudFormation's short tags, read into JSON.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Number, Value};

/// The text is not YAML, or not the kind that CloudFormation takes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// Reads one YAML document; `!Ref X` becomes `{"Ref": "X"}` and `!GetAtt A.B` becomes `{"Fn::GetAtt": "A.B"}`, as in the long form.
///
/// # Errors
/// When the text is something else.
pub fn read(text: &str) -> Result<Value, YamlError> {
    let documents = Yaml::load_from_str(text).map_err(|error| YamlError(error.to_string()))?;
    documents.first().map_or_else(|| Err(YamlError("the file is empty".into())), json)
}

fn json(node: &Yaml) -> Result<Value, YamlError> {
    Ok(match node {
        Yaml::Value(scalar) => value(scalar),
        Yaml::Sequence(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Yaml::Mapping(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| Ok((name(key)?, json(value)?)))
                .collect::<Result<_, YamlError>>()?,
        ),
        Yaml::Tagged(tag, inner) => {
            let key = match tag.suffix.as_str() {
                "Ref" | "Condition" => tag.suffix.clone(),
                function => format!("Fn::{function}"),
            };
            Value::Object(Map::from_iter([(key, json(inner)?)]))
        }
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => {
            return Err(YamlError(format!("CloudFormation does not know this YAML: {node:?}")));
        }
    })
}

fn name(key: &Yaml) -> Result<String, YamlError> {
    key.as_str().map(str::to_owned).ok_or_else(|| YamlError(format!("a key is no text: {key:?}")))
}

fn value(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(flag) => Value::Bool(*flag),
        Scalar::Integer(number) => Value::Number((*number).into()),
        Scalar::FloatingPoint(number) => {
            Number::from_f64(number.into_inner()).map_or(Value::Null, Value::Number)
        }
        Scalar::String(text) => Value::String(text.to_string()),
    }
}
