//! Rendering.

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, escape_formatter};
use serde_json::{Map, Value};

use super::html;
use crate::{http::Problem, messages::Channel};

/// Bytes of a source.
const MAX_SOURCE: usize = 64 * 1024;
/// Bytes of a result; providers take less.
const MAX_RESULT: usize = 256 * 1024;
/// Instructions of the engine; a long letter takes a few hundred.
const FUEL: u64 = 50_000;
const SUBJECT_CHARS: usize = 500;

/// A rendered text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Variables that were shown as nothing, because there is no value and no `default`.
    pub missing: Vec<String>,
}

/// A message made from a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// E-mail: the subject.
    pub subject: Option<String>,
    /// The text.
    pub body: String,
    /// E-mail: the same as HTML, if the source is HTML.
    pub html: Option<String>,
    /// Variables without a value.
    pub missing: Vec<String>,
}

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It cannot be read.
    #[error("line {line}: {detail}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// For people.
        detail: String,
    },
    /// A filter or operation failed.
    #[error("line {line}: {detail}")]
    Failed {
        /// Line, from 1.
        line: usize,
        /// For people.
        detail: String,
    },
    /// It takes too long.
    #[error("the template takes too long to render")]
    TooLong,
    /// Source or result is too large.
    #[error("the template or its result is too large")]
    TooLarge,
    /// A value would begin a new header line.
    #[error("a subject may not hold line breaks")]
    LineBreak,
}

impl TemplateError {
    /// The stable word.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "template_syntax",
            Self::Failed { .. } => "template_failed",
            Self::TooLong => "template_too_long",
            Self::TooLarge => "template_too_large",
            Self::LineBreak => "line_break",
        }
    }

    /// A 422 at a field.
    #[must_use]
    pub fn problem(&self, pointer: &str) -> Problem {
        let problem = Problem::invalid(pointer, self.code(), self.to_string());
        match self {
            Self::Syntax { line, .. } | Self::Failed { line, .. } => problem.with("line", *line),
            Self::TooLong | Self::TooLarge | Self::LineBreak => problem,
        }
    }

    fn of(error: &minijinja::Error) -> Self {
        let line = error.line().unwrap_or(1);
        let detail = error
            .detail()
            .map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
        match error.kind() {
            ErrorKind::SyntaxError => Self::Syntax { line, detail },
            ErrorKind::OutOfFuel => Self::TooLong,
            ErrorKind::WriteFailure => Self::TooLarge,
            _ => Self::Failed { line, detail },
        }
    }
}

/// Checks that a source can be read, and names its variables (`lead.firstName`), sorted.
///
/// # Errors
/// Where it cannot be read, or when it uses a filter that does not exist.
pub fn check(source: &str) -> Result<Vec<String>, TemplateError> {
    if source.len() > MAX_SOURCE {
        return Err(TemplateError::TooLarge);
    }
    let environment = environment(AutoEscape::None, &Arc::default());
    let template = environment.template_from_str(source).map_err(|error| TemplateError::of(&error))?;
    let names: BTreeSet<String> = template.undeclared_variables(true).into_iter().collect();
    Ok(names.into_iter().collect())
}

/// Renders plain text. Null and blank values count as absent, so that `default` stands in for them.
///
/// # Errors
/// When the source cannot be read or rendered within bounds.
pub fn render(source: &str, context: &Value) -> Result<Rendered, TemplateError> {
    render_as(AutoEscape::None, source, context)
}

/// Renders HTML: values are escaped, and there is no way around it.
///
/// # Errors
/// As [`render`].
pub fn render_html(source: &str, context: &Value) -> Result<Rendered, TemplateError> {
    render_as(AutoEscape::Html, source, context)
}

/// Renders a header line.
///
/// # Errors
/// As [`render`], and [`TemplateError::LineBreak`] when the result would be more than one line.
pub fn render_subject(source: &str, context: &Value) -> Result<Rendered, TemplateError> {
    let rendered = render(source, context)?;
    if rendered.text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(TemplateError::LineBreak);
    }
    if rendered.text.chars().count() > SUBJECT_CHARS {
        return Err(TemplateError::TooLarge);
    }
    Ok(Rendered { text: rendered.text.trim().to_owned(), ..rendered })
}

/// Makes a message for a channel. An e-mail whose source begins with a tag is HTML and gets its text beside it.
///
/// # Errors
/// As [`render_subject`]; the pointer says whether `/subject` or `/body` is to blame.
pub fn compose(
    channel: Channel,
    subject: Option<&str>,
    body: &str,
    context: &Value,
) -> Result<Composed, (&'static str, TemplateError)> {
    let mut missing = BTreeSet::new();
    let subject = match subject.filter(|_| channel == Channel::Email) {
        Some(source) => {
            let rendered = render_subject(source, context).map_err(|error| ("/subject", error))?;
            missing.extend(rendered.missing);
            Some(rendered.text)
        }
        None => None,
    };
    let is_html = channel == Channel::Email && body.trim_start().starts_with('<');
    let rendered = if is_html { render_html(body, context) } else { render(body, context) }
        .map_err(|error| ("/body", error))?;
    missing.extend(rendered.missing);
    let (body, html) =
        if is_html { (html::to_text(&rendered.text), Some(rendered.text)) } else { (rendered.text, None) };
    Ok(Composed { subject, body, html, missing: missing.into_iter().collect() })
}

fn render_as(escape: AutoEscape, source: &str, context: &Value) -> Result<Rendered, TemplateError> {
    if source.len() > MAX_SOURCE {
        return Err(TemplateError::TooLarge);
    }
    let mut context = context.clone();
    drop_blanks(&mut context);
    let shown_as_nothing = Arc::new(AtomicUsize::new(0));
    let environment = environment(escape, &shown_as_nothing);
    let template = environment.template_from_str(source).map_err(|error| TemplateError::of(&error))?;
    let run = |context: &Value| {
        shown_as_nothing.store(0, Ordering::Relaxed);
        let mut result = Bounded(Vec::new());
        template
            .render_captured_to(minijinja::value::Serde(context), &mut result)
            .map_err(|error| TemplateError::of(&error))?;
        Ok((result.0, shown_as_nothing.load(Ordering::Relaxed)))
    };
    let (bytes, empty) = run(&context)?;
    let text = String::from_utf8(bytes).map_err(|_| TemplateError::TooLarge)?;
    let mut missing = Vec::new();
    if empty > 0 {
        // A variable is missing if giving it a value shows more: one whose absence a `default` covers changes nothing.
        for name in
            template.undeclared_variables(true).into_iter().filter(|name| is_absent(&context, name)).take(64)
        {
            let mut given = context.clone();
            put(&mut given, &name);
            if run(&given).is_ok_and(|(_, left)| left < empty) {
                missing.push(name);
            }
        }
        missing.sort();
    }
    Ok(Rendered { text, missing })
}

fn environment<'source>(escape: AutoEscape, shown_as_nothing: &Arc<AtomicUsize>) -> Environment<'source> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    // What a person typed is never markup, whatever an author says.
    environment.remove_filter("safe");
    let shown_as_nothing = Arc::clone(shown_as_nothing);
    environment.set_formatter(move |out, state, value| {
        if value.is_undefined() || value.is_none() {
            shown_as_nothing.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        escape_formatter(out, state, value)
    });
    environment
}

struct Bounded(Vec<u8>);

impl io::Write for &mut Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_RESULT {
            return Err(io::Error::other("too large"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn drop_blanks(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !is_blank(member));
            members.values_mut().for_each(drop_blanks);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_blanks),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

fn is_absent(context: &Value, name: &str) -> bool {
    name.split('.').try_fold(context, |value, part| value.get(part)).is_none()
}

fn put(context: &mut Value, name: &str) {
    let mut at = context;
    for part in name.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Some(members) = at.as_object_mut() else { return };
        at = members.entry(part).or_insert(Value::Null);
    }
    *at = Value::String("x".to_owned());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(source: &str, context: &Value) -> String {
        render(source, context).unwrap().text
    }

    #[test]
    fn values_stand_in_their_places_and_defaults_for_those_that_are_absent_null_or_blank() {
        let source = "Hi {{ lead.firstName | default(\"there\") }}!";
        assert_eq!(text(source, &json!({"lead": {"firstName": "Ada"}})), "Hi Ada!");
        for lead in [json!({}), json!({"firstName": null}), json!({"firstName": " "})] {
            let rendered = render(source, &json!({"lead": lead})).unwrap();
            assert_eq!((rendered.text.as_str(), rendered.missing.len()), ("Hi there!", 0));
        }
        assert_eq!(text(source, &json!({})), "Hi there!");
    }

    #[test]
    fn what_is_shown_as_nothing_is_named() {
        let source = "{{ lead.firstName }} {{ lead.company.name }} {{ vars.a | default('b') }} {{ tenant.name }} {% if x %}y{% endif %}";
        let rendered =
            render(source, &json!({"tenant": {"name": "Gym"}, "lead": {"firstName": null}})).unwrap();
        assert_eq!(rendered.text, "  b Gym ");
        assert_eq!(rendered.missing, ["lead.company.name", "lead.firstName"]);
    }

    #[test]
    fn markup_of_a_person_stays_text_and_no_filter_frees_it() {
        let context = json!({"lead": {"firstName": "<script>alert(1)</script>"}});
        assert!(!render_html("<p>{{ lead.firstName }}</p>", &context).unwrap().text.contains("<script>"));
        assert!(render_html("{{ lead.firstName | safe }}", &context).is_err());
        let composed = compose(Channel::Email, Some("Hi"), "<p>{{ lead.firstName }}</p>", &context).unwrap();
        assert!(!composed.html.unwrap().contains("<script>"));
        assert_eq!(composed.body, "<script>alert(1)</script>");
        let plain = compose(Channel::Email, None, "Hi {{ lead.firstName }}", &context).unwrap();
        assert_eq!((plain.html, plain.body.as_str()), (None, "Hi <script>alert(1)</script>"));
    }

    #[test]
    fn a_value_cannot_begin_a_new_header() {
        let context = json!({"lead": {"firstName": "Ada\r\nBcc: all@example.com"}});
        assert_eq!(render_subject("Hi {{ lead.firstName }}", &context), Err(TemplateError::LineBreak));
        let (pointer, _) = compose(Channel::Email, Some("{{ lead.firstName }}"), "x", &context).unwrap_err();
        assert_eq!(pointer, "/subject");
    }

    #[test]
    fn errors_name_their_line_and_excess_is_stopped() {
        assert!(matches!(check("one\n{{ lead. }}"), Err(TemplateError::Syntax { line: 2, .. })));
        assert!(matches!(
            render("one\n{{ 1 | nonsense }}", &json!({})),
            Err(TemplateError::Syntax { line: 2, .. } | TemplateError::Failed { line: 2, .. })
        ));
        let nested = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert_eq!(render(nested, &json!({})), Err(TemplateError::TooLong));
        let long = json!({"vars": {"a": "x".repeat(20_000)}});
        assert_eq!(
            render("{% for a in range(100) %}{{ vars.a }}{% endfor %}", &long),
            Err(TemplateError::TooLarge)
        );
        assert!(check("{% include 'x' %}").is_err());
        assert_eq!(check(&"x".repeat(70_000)), Err(TemplateError::TooLarge));
        assert_eq!(check("{{ b }} {{ lead.firstName | default(a) }}").unwrap(), ["a", "b", "lead.firstName"]);
    }

    proptest! {
        #[test]
        fn no_source_and_no_value_panics(source in "\\PC{0,60}", value in "\\PC{0,20}") {
            let context = json!({"lead": {"firstName": value}});
            let _ = render(&source, &context);
            let _ = compose(Channel::Email, Some(&source), &source, &context);
        }

        #[test]
        fn plain_values_come_through_unchanged(value in "[^\\s{}][^{}]{0,40}[^\\s{}]") {
            let context = json!({"lead": {"firstName": value.clone()}});
            prop_assert_eq!(render("{{ lead.firstName }}", &context).unwrap().text, value);
        }
    }
}
