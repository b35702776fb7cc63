//! From a row of the file to a record.

use serde_json::Value;

use super::{
    SourceKind,
    layout::{Field, Layout},
    record::{Business, Record},
    split::Raw,
};
use crate::{export::csv::restore, jobs::RowError, json::parse_strict};

/// The record that a row is, or all that is wrong with it.
pub(super) fn read(layout: &Layout, business: &Business, raw: &Raw) -> Result<Record, Vec<RowError>> {
    let mut record = Record { line: raw.line, ..Record::default() };
    let mut errors = Vec::new();
    match layout.kind {
        SourceKind::Csv => read_cells(layout, business, raw, &mut record, &mut errors),
        SourceKind::Json | SourceKind::Ndjson => read_object(layout, business, raw, &mut record, &mut errors),
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    complete(&mut record);
    Ok(record)
}

fn read_cells(
    layout: &Layout,
    business: &Business,
    raw: &Raw,
    record: &mut Record,
    errors: &mut Vec<RowError>,
) {
    let row = |code, detail| RowError::of_row(Some(raw.line), code, detail);
    let cells: Vec<std::borrow::Cow<'_, str>> =
        raw.cells.iter().map(|cell| String::from_utf8_lossy(cell)).collect();
    if cells.len() != layout.columns.len() {
        let detail = format!("The row has {} cells, the header has {}.", cells.len(), layout.columns.len());
        let error = RowError::of_row(Some(raw.line), "wrong_cell_count", detail);
        errors.push(error.with_value(&cells.join(",")));
        return;
    }
    if cells.iter().zip(&layout.columns).all(|(cell, (name, _))| restore(cell).trim() == name) {
        errors.push(row("repeated_header", "This is the header once more.").with_value(&cells.join(",")));
        return;
    }
    for (cell, (name, field)) in cells.iter().zip(&layout.columns) {
        if !matches!(field, Field::Ignored | Field::System) {
            business.read(record, name, field, &Value::String(restore(cell).to_owned()), errors);
        }
    }
}

fn read_object(
    layout: &Layout,
    business: &Business,
    raw: &Raw,
    record: &mut Record,
    errors: &mut Vec<RowError>,
) {
    let text = raw.cells.first().map(Vec::as_slice).unwrap_or_default();
    let row = |code, detail: &str| {
        RowError::of_row(Some(raw.line), code, detail.to_owned())
            .with_value(String::from_utf8_lossy(text).trim())
    };
    let members = match parse_strict(text) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return errors.push(row("wrong_type", "An object is expected.")),
        Err(refusal) => return errors.push(row(refusal.code(), &refusal.to_string())),
    };
    for (name, value) in &members {
        match layout.member(name) {
            Some(field) => business.read(record, name, &field, value, errors),
            None => {
                let detail =
                    "Leads have no such field; custom fields are in `customFields` or called `cf.<key>`.";
                let error = RowError::of_row(Some(raw.line), "unknown_field", detail);
                errors.push(error.in_column(name).with_value(&value.to_string()));
            }
        }
    }
}

/// A whole name is parted where there are no parts; identities are put in the order in which they decide.
fn complete(record: &mut Record) {
    if let Some(name) = record.name.take()
        && record.first_name.is_none()
        && record.last_name.is_none()
    {
        let (first, last) =
            name.split_once(' ').map_or((name.as_str(), None), |(first, last)| (first, Some(last.trim())));
        record.first_name = Some(first.to_owned());
        record.last_name = last.map(str::to_owned);
    }
    let rank = |kind: &str| match kind {
        "external" => 0,
        "email" => 1,
        _ => 2,
    };
    record.identities.sort_by_key(|(kind, _)| rank(kind));
    let mut seen = std::collections::HashSet::new();
    record.identities.retain(|identity| seen.insert(identity.clone()));
}
