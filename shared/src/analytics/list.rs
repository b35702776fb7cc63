//! Events as they were counted.

use sqlx::QueryBuilder;

use super::{CtaEvent, CtaFilter};
use crate::{
    auth::Owners,
    db::{DbResult, TenantTx, keyset::push_page},
    http::{Keyset, KeysetValue, ListQuery, Page},
};

/// The row as [`CtaEvent`] reads it.
pub(super) const SELECT: &str = "select e.id, e.event_id, e.surface, e.cta_id, e.kind, e.occurred_at, e.recorded_at,
    e.visitor_id, encode(e.visitor_hash, 'hex') as visitor_hash, e.lead_id, e.page, e.referrer, e.utm, e.click_ids, e.variant,
    e.value, e.device, e.is_bot from cta_events e";

/// One page of events.
///
/// # Errors
/// When the database refuses.
pub async fn list_events(
    tx: &mut TenantTx,
    query: &ListQuery<CtaFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Page<CtaEvent>> {
    let mut select = QueryBuilder::new(SELECT);
    query.filter.push(&mut select, tx.tenant(), own_records_of);
    push_page(&mut select, "e", &query.page);
    let rows = select.build_query_as::<CtaEvent>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.occurred_at), id: row.id });
    if query.page.include_total {
        let mut count = QueryBuilder::new("select count(*) from cta_events e");
        query.filter.push(&mut count, tx.tenant(), own_records_of);
        page.total = Some(count.build_query_scalar().fetch_one(tx.conn()).await?);
    }
    Ok(page)
}
