//! Keyset paging in SQL: everything behind the position, in order, and one row more than asked for.

use sqlx::{Postgres, QueryBuilder};

use super::{DbResult, TenantTx};
use crate::http::{KeysetValue, PageRequest};

/// Appends the position, the order and the limit. `alias` is the table's alias in the statement so far, which must
/// already have a `where`.
pub(crate) fn push_page(query: &mut QueryBuilder<'_, Postgres>, alias: &str, page: &PageRequest) {
    let column = format!("{alias}.{}", page.sort.column);
    let (than, order) = if page.descending { ("<", "desc") } else { (">", "asc") };
    if let Some(after) = &page.after {
        query.push(format!(" and ({column}, {alias}.id) {than} ("));
        match after.value.clone() {
            KeysetValue::Time(time) => query.push_bind(time),
            KeysetValue::Text(text) => query.push_bind(text),
            KeysetValue::Number(number) => query.push_bind(number),
        };
        query.push(", ").push_bind(after.id).push(")");
    }
    query.push(format!(" order by {column} {order}, {alias}.id {order} limit ")).push_bind(page.limit + 1);
}

/// The number of all matching rows, when it is wanted. `filtered` begins the list's statement, without its page, with what it is
/// given; the columns of a counted row are not computed.
pub(crate) async fn total<'q>(
    tx: &mut TenantTx,
    page: &PageRequest,
    filtered: impl FnOnce(&str) -> QueryBuilder<'q, Postgres>,
) -> DbResult<Option<i64>> {
    if !page.include_total {
        return Ok(None);
    }
    let mut count = filtered("select count(*) from (");
    count.push(") counted");
    Ok(Some(count.build_query_scalar().fetch_one(tx.conn()).await?))
}

/// Appends "the column is one of these", when any are given. A single value is compared by `=`, which unlike `any` lets an
/// index on (column, sort column) deliver the rows in order.
pub(crate) fn push_any<'q, T>(query: &mut QueryBuilder<'q, Postgres>, column: &str, values: &[T])
where
    T: Clone + Send + sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres> + 'q,
    Vec<T>: sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>,
{
    if let [only] = values {
        query.push(format!(" and {column} = ")).push_bind(only.clone());
    } else if !values.is_empty() {
        query.push(format!(" and {column} = any(")).push_bind(values.to_vec()).push(")");
    }
}

/// Appends the half-open range `[from, to)`.
pub(crate) fn push_range(
    query: &mut QueryBuilder<'_, Postgres>,
    column: &str,
    (from, to): (Option<chrono::DateTime<chrono::Utc>>, Option<chrono::DateTime<chrono::Utc>>),
) {
    if let Some(from) = from {
        query.push(format!(" and {column} >= ")).push_bind(from);
    }
    if let Some(to) = to {
        query.push(format!(" and {column} < ")).push_bind(to);
    }
}
