//! What went wrong in a job, row by row.

use std::borrow::Cow;

use serde::Serialize;
use sqlx::QueryBuilder;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    private::Private,
};

/// So many errors of a job are kept; further ones are only counted.
pub const MOST_ERRORS: i32 = 10_000;
/// So much of a value is kept.
const MOST_LETTERS: usize = 200;

/// Why a row was refused.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RowError {
    /// The line of the file that the row begins on, the header being the first; null where there is no file.
    pub line: Option<i64>,
    /// The column, as the file calls it.
    pub column: Option<String>,
    /// Stable word.
    pub code: Cow<'static, str>,
    /// What stood there, cut to 200 characters; in a bulk change the lead's id.
    pub value: Option<Private<String>>,
    /// For people.
    pub detail: Cow<'static, str>,
    /// Its number.
    #[serde(skip)]
    pub seq: i32,
}

impl RowError {
    /// Something wrong with a row as a whole.
    #[must_use]
    pub fn of_row(line: Option<i64>, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { line, column: None, code: code.into(), value: None, detail: detail.into(), seq: 0 }
    }

    /// The same with what stood in the row. NUL has no place in the database.
    #[must_use]
    pub fn with_value(self, value: &str) -> Self {
        let shown: String = value.chars().take(MOST_LETTERS).collect();
        Self { value: Some(Private::new(shown.replace('\0', "\u{fffd}"))), ..self }
    }

    /// The same in a column.
    #[must_use]
    pub fn in_column(self, column: &str) -> Self {
        let shown: String = column.chars().take(MOST_LETTERS).collect();
        Self { column: Some(shown.replace('\0', "\u{fffd}")), ..self }
    }
}

/// What errors can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ErrorFilter {
    /// Words.
    pub code: Vec<String>,
    /// Columns.
    pub column: Vec<String>,
}

impl FromQuery for ErrorFilter {
    const SORTS: &'static [SortField] = &[SortField { word: "line", column: "seq", kind: SortKind::Number }];
    const LARGEST_FIRST: bool = false;

    fn read(params: &mut Params) -> Self {
        Self { code: params.words("code"), column: params.words("column") }
    }
}

/// (line, column, code, value, detail, number)
type Row = (Option<i64>, Option<String>, String, Option<String>, String, i32);

/// One page of a job's errors, in the order of the file.
///
/// # Errors
/// When the database refuses.
pub async fn list_errors(
    tx: &mut TenantTx,
    job: Uuid,
    query: &ListQuery<ErrorFilter>,
) -> DbResult<Page<RowError>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        // The number is unique within the job, so the job itself breaks no tie.
        let mut select = QueryBuilder::new(format!(
            "{head} from (select f.*, f.job_id as id from job_errors f where f.tenant_id = "
        ));
        select.push_bind(tenant).push(" and f.job_id = ").push_bind(job).push(") e where true");
        push_any(&mut select, "e.code", &query.filter.code);
        push_any(&mut select, "e.column_name", &query.filter.column);
        select
    };
    let mut select = filtered(
        "select e.line, e.column_name as \"column\", e.code, e.value, coalesce(e.detail, '') as detail, e.seq",
    );
    push_page(&mut select, "e", &query.page);
    let rows = select.build_query_as::<Row>().fetch_all(tx.conn()).await?;
    let rows = rows.into_iter().map(|(line, column, code, value, detail, seq)| RowError {
        line,
        column,
        code: code.into(),
        value: value.map(Private::new),
        detail: detail.into(),
        seq,
    });
    let mut page =
        query.page.page(rows.collect(), |row| Keyset { value: KeysetValue::Number(row.seq.into()), id: job });
    if query.page.include_total {
        page.total = Some(filtered("select count(*)").build_query_scalar().fetch_one(tx.conn()).await?);
    }
    Ok(page)
}

/// Keeps errors behind the `known` ones, as many as may be kept, and says how many are kept now.
///
/// # Errors
/// When the database refuses.
pub async fn note(tx: &mut TenantTx, job: Uuid, known: i32, errors: &[RowError]) -> DbResult<i32> {
    let room = usize::try_from(MOST_ERRORS - known).unwrap_or_default();
    let kept = errors.get(..errors.len().min(room)).unwrap_or_default();
    if kept.is_empty() {
        return Ok(known);
    }
    let numbers: Vec<i32> = (known + 1..).take(kept.len()).collect();
    let lines: Vec<Option<i64>> = kept.iter().map(|error| error.line).collect();
    let columns: Vec<Option<&str>> = kept.iter().map(|error| error.column.as_deref()).collect();
    let codes: Vec<&str> = kept.iter().map(|error| error.code.as_ref()).collect();
    let values: Vec<Option<&str>> =
        kept.iter().map(|error| error.value.as_ref().map(|value| value.expose().as_str())).collect();
    let details: Vec<&str> = kept.iter().map(|error| error.detail.as_ref()).collect();
    sqlx::query!(
        "insert into job_errors (tenant_id, job_id, seq, line, column_name, code, value, detail)
         select $1, $2, e.* from unnest($3::int[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[]) as e",
        tx.tenant(),
        job,
        &numbers,
        &lines as &[Option<i64>],
        &columns as &[Option<&str>],
        &codes as &[&str],
        &values as &[Option<&str>],
        &details as &[&str],
    )
    .execute(tx.conn())
    .await?;
    Ok(known + i32::try_from(kept.len()).unwrap_or_default())
}
