//! A page of leads that a search finds, in the order of their creation.
//!
//! `search_leads_page` yields the next candidates behind the cursor and stops early, so that a page costs the same whether ten
//! or a million people match. Other filters may drop candidates; then more are asked for, [`MOST`] at most. In other orders,
//! and for totals, `search_leads` collects the newest [`MOST`] matches. Exports and bulk changes, which may leave nobody out, walk from
//! candidates to candidates to the end ([`Narrowed`]).

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{
    Lead, LeadFilter,
    list::{COLUMNS, push_filter, push_searched_names},
};
use crate::{
    auth::Owners,
    db::{DbResult, TenantTx, keyset::push_page},
    http::{KeysetValue, ListQuery},
};

/// Candidates of one page at most.
const MOST: i64 = 10_000;

#[derive(FromRow)]
struct Found {
    #[sqlx(flatten)]
    lead: Lead,
    candidates: i64,
}

/// Where a walk has come to: creation and id of a lead.
pub(super) type Place = (DateTime<Utc>, Uuid);

/// A filter whose search has been done for a stretch of the walk, oldest first.
pub(super) struct Narrowed {
    filter: LeadFilter,
    found: Option<Vec<Uuid>>,
    /// Behind which there may be more; none when this stretch reaches the end.
    pub(super) rest: Option<Place>,
}

impl Narrowed {
    /// Narrows a filter to the stretch behind a place. Without a search it is all the rest. With one it has `enough` candidates at least, unless
    /// there are fewer; other filters may drop any of them.
    pub(super) async fn behind(
        tx: &mut TenantTx,
        filter: &LeadFilter,
        after: Option<Place>,
        enough: usize,
    ) -> DbResult<Self> {
        let Some(text) = &filter.search else {
            return Ok(Self { filter: filter.clone(), found: None, rest: None });
        };
        let (mut found, mut rest) = (Vec::new(), after);
        loop {
            let mut walk = QueryBuilder::new("select f.id, f.created_at from search_leads_page(");
            walk.push_bind(text.clone()).push(", ").push_bind(filter.search_fields.word()).push(", false, ");
            walk.push_bind(rest.map(|(at, _)| at)).push(", ").push_bind(rest.map(|(_, id)| id)).push(", ");
            walk.push_bind(i32::try_from(MOST).unwrap_or(i32::MAX)).push(") f order by f.created_at, f.id");
            let rows: Vec<(Uuid, DateTime<Utc>)> = walk.build_query_as().fetch_all(tx.conn()).await?;
            let is_end = i64::try_from(rows.len()).unwrap_or(MOST) < MOST;
            rest = rows.last().map(|(id, at)| (*at, *id)).filter(|_| !is_end);
            found.extend(rows.into_iter().map(|(id, _)| id));
            if rest.is_none() || found.len() >= enough {
                let filter = LeadFilter { search: None, ..filter.clone() };
                return Ok(Self { filter, found: Some(found), rest });
            }
        }
    }

    /// Says so in a statement, as [`push_filter`] does.
    pub(super) fn push(
        &self,
        query: &mut QueryBuilder<'_, sqlx::Postgres>,
        tenant: Uuid,
        own_records_of: Owners<'_>,
    ) {
        push_filter(query, tenant, &self.filter, own_records_of);
        if let Some(found) = &self.found {
            query.push(" and l.id = any (").push_bind(found.clone()).push(")");
            push_searched_names(query, self.filter.search_fields);
        }
    }
}

/// Whether [`find_page`] can serve the list.
pub(super) fn is_walkable(query: &ListQuery<LeadFilter>) -> bool {
    query.filter.search.is_some() && query.page.sort.word == "createdAt"
}

/// The rows of a page, with the one too many that says whether there is a next page.
pub(super) async fn find_page(
    tx: &mut TenantTx,
    query: &ListQuery<LeadFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Vec<Lead>> {
    let enough = query.page.limit + 1;
    let mut asked = enough * 4;
    loop {
        let mut statement = statement("", tx, query, own_records_of, asked);
        let rows = statement.build_query_as::<Found>().fetch_all(tx.conn()).await?;
        let full = i64::try_from(rows.len()).unwrap_or(enough) >= enough;
        // No row, no count: whether there were candidates is then not known.
        let exhausted = rows.first().is_some_and(|row| row.candidates < asked);
        if full || exhausted || asked >= MOST {
            return Ok(rows.into_iter().map(|row| row.lead).collect());
        }
        asked = (asked * 20).min(MOST);
    }
}

/// The statement of one attempt.
pub(super) fn statement(
    head: &str,
    tx: &TenantTx,
    query: &ListQuery<LeadFilter>,
    own_records_of: Owners<'_>,
    candidates: i64,
) -> QueryBuilder<'static, sqlx::Postgres> {
    let (at, id) = match &query.page.after {
        Some(after) => {
            let at = if let KeysetValue::Time(at) = after.value { Some(at) } else { None };
            (at, Some(after.id))
        }
        None => (None, None),
    };
    let text = query.filter.search.clone().unwrap_or_default();
    let mut select =
        QueryBuilder::new(format!("{head}with found as materialized (select f.id from search_leads_page("));
    select
        .push_bind(text)
        .push(", ")
        .push_bind(query.filter.search_fields.word())
        .push(", ")
        .push_bind(query.page.descending)
        .push(", ")
        .push_bind(at);
    select.push(", ").push_bind(id).push(", ").push_bind(i32::try_from(candidates).unwrap_or(i32::MAX));
    select.push(format!(") f) select {COLUMNS}, (select count(*) from found) as candidates from leads l"));
    let others = LeadFilter { search: None, ..query.filter.clone() };
    push_filter(&mut select, tx.tenant(), &others, own_records_of);
    push_searched_names(&mut select, query.filter.search_fields);
    select.push(" and l.id = any (array(select id from found))");
    push_page(&mut select, "l", &query.page);
    select
}
