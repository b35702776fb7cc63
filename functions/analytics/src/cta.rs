//! What was counted, in rows, groups, funnels and one glance.

use axum::Json;
use chrono::Duration;
use shared::{
    analytics::{self, CtaEvent, CtaFilter, CtaSummary, Funnel, GroupBy, Overview},
    auth::ReadAnalytics,
    http::{ApiResult, Cx, FromQuery, ListQuery, Page, QueryString},
};

/// Events, latest first; crawlers are among them, marked.
#[utoipa::path(get, path = "/api/analytics/cta", operation_id = "list_cta_events", tag = "analytics",
    extensions(("x-role" = json!("viewer"))), params(CtaFilter, shared::http::PageParams),
    responses((status = 200, body = Page<CtaEvent>)))]
pub(crate) async fn list_cta_events(mut cx: Cx<ReadAnalytics>, query: QueryString) -> ApiResult {
    let query: ListQuery<CtaFilter> = query.list(cx.zone())?;
    query.filter.check(&cx.actor)?;
    let own = cx.actor.own_records_of();
    let page = analytics::list_events(&mut cx.tx, &query, own).await?;
    let page = cx.actor.shown(page);
    cx.commit(Json(page)).await
}

/// Views, clicks, submissions and their rate, by CTA, surface, variant, day or several of them.
#[utoipa::path(get, path = "/api/analytics/cta/summary", operation_id = "get_cta_summary", tag = "analytics",
    extensions(("x-role" = json!("viewer"))),
    params(CtaFilter, ("groupBy" = Option<Vec<String>>, Query, description = "cta, surface, variant, day; cta when left out")),
    responses((status = 200, body = CtaSummary)))]
pub(crate) async fn get_cta_summary(mut cx: Cx<ReadAnalytics>, query: QueryString) -> ApiResult {
    let (filter, by) = query.read(cx.zone(), |params| (CtaFilter::read(params), GroupBy::read(params)))?;
    filter.check(&cx.actor)?;
    let own = cx.actor.own_records_of();
    let summary = analytics::read_summary(&mut cx.tx, filter, by, own).await?;
    cx.commit(Json(summary)).await
}

/// How many of those who did one thing did the next one afterwards. Without `steps`: from a click to a lead, a booking, a payment.
#[utoipa::path(get, path = "/api/analytics/cta/funnel", operation_id = "get_cta_funnel", tag = "analytics",
    extensions(("x-role" = json!("viewer"))),
    params(CtaFilter, ("steps" = Option<Vec<String>>, Query, description = "2 to 8 of view, click, submit, in their order")),
    responses((status = 200, body = Funnel)))]
pub(crate) async fn get_cta_funnel(mut cx: Cx<ReadAnalytics>, query: QueryString) -> ApiResult {
    let (filter, steps) = query.read(cx.zone(), |params| {
        let filter = CtaFilter::read(params);
        let steps = params.choices("steps", &["view", "click", "submit"]);
        if steps.len() == 1 {
            params.refuse("steps", "too_few_values", "A funnel has at least two steps.");
        }
        (filter, steps)
    })?;
    filter.check(&cx.actor)?;
    let own = cx.actor.own_records_of();
    let funnel = if steps.is_empty() {
        analytics::read_journey(&mut cx.tx, filter, own).await?
    } else {
        analytics::read_funnel(&mut cx.tx, filter, &steps, own).await?
    };
    cx.commit(Json(funnel)).await
}

/// Leads, messages, automation runs, money and calls to action of a range; the last 30 days when none is given.
#[utoipa::path(get, path = "/api/analytics/overview", operation_id = "get_overview", tag = "analytics",
    extensions(("x-role" = json!("viewer"))),
    params(("from" = Option<String>, Query, description = "At or after."), ("to" = Option<String>, Query, description = "Before.")),
    responses((status = 200, body = Overview)))]
pub(crate) async fn get_overview(mut cx: Cx<ReadAnalytics>, query: QueryString) -> ApiResult {
    let (from, to) = query.read(cx.zone(), shared::http::Params::range)?;
    let to = to.unwrap_or(cx.now());
    let from = from.unwrap_or(to - Duration::days(30));
    let overview = analytics::read_overview(&mut cx.tx, from, to, cx.actor.own_records_of()).await?;
    cx.commit(Json(overview)).await
}
