//! Numbers of documents: a pattern per series, counted without gaps.

use crate::db::{DbResult, TenantTx};

/// How the numbers of a series look: a prefix, the counter with leading zeros, a suffix. A series whose pattern names the
/// year begins anew each year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::finance) struct Numbering {
    pub series: &'static str,
    pub period: String,
    pub prefix: String,
    pub width: i32,
    pub suffix: String,
}

/// The series' numbering: the business's pattern (`settings.numbering.<series>`), or the default one.
///
/// A pattern is text with `{number}` or `{number:6}` and perhaps `{year}`.
pub(in crate::finance) async fn numbering(
    tx: &mut TenantTx,
    series: &'static str,
    year: i32,
) -> DbResult<Numbering> {
    let pattern = sqlx::query_scalar!(
        "select t.settings -> 'numbering' ->> $2 from tenants t where t.id = $1",
        tx.tenant(),
        series,
    )
    .fetch_one(tx.conn())
    .await?;
    let own = pattern.and_then(|pattern| parse(series, &pattern, year));
    Ok(own.or_else(|| parse(series, default_pattern(series), year)).unwrap_or_else(|| bare(series)))
}

const fn default_pattern(series: &str) -> &'static str {
    match series.as_bytes() {
        b"creditNote" => "CN-{number:6}",
        b"receipt" => "R-{number:6}",
        _ => "INV-{number:6}",
    }
}

const fn bare(series: &'static str) -> Numbering {
    Numbering { series, period: String::new(), prefix: String::new(), width: 1, suffix: String::new() }
}

fn parse(series: &'static str, pattern: &str, year: i32) -> Option<Numbering> {
    let yearly = pattern.contains("{year}");
    let pattern = pattern.replace("{year}", &year.to_string());
    let (prefix, rest) = pattern.split_once("{number")?;
    let (width, suffix) = rest.split_once('}')?;
    let width = match width.strip_prefix(':') {
        Some(digits) => digits.parse().ok().filter(|width| (1..=12).contains(width))?,
        None if width.is_empty() => 1,
        None => return None,
    };
    if prefix.len() + suffix.len() > 40 {
        return None;
    }
    Some(Numbering {
        series,
        period: if yearly { year.to_string() } else { String::new() },
        prefix: prefix.to_owned(),
        width,
        suffix: suffix.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_with_the_year_counts_anew_each_year() {
        let yearly = parse("invoice", "RE-{year}-{number:4}/A", 2026).unwrap();
        assert_eq!((yearly.prefix.as_str(), yearly.width, yearly.suffix.as_str()), ("RE-2026-", 4, "/A"));
        assert_eq!(yearly.period, "2026");
        assert_eq!(parse("invoice", "INV-{number}", 2026).unwrap().period, "");
        for broken in ["", "INV", "{number", "{number:0}", "{number:x}", "{numbers}"] {
            assert_eq!(parse("invoice", broken, 2026), None, "{broken}");
        }
    }
}
