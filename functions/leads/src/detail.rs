//! One lead, with first pages of what hangs on it.

use axum::{
    Json,
    http::{StatusCode, header},
};
use serde::Serialize;
use shared::{
    auth::{ReadAdmin, ReadAutomations, ReadFinance, ReadLeads, ReadMessages, ReadWellness},
    automations::{self, Run, RunFilter},
    finance::invoices::{self, Invoice, InvoiceFilter},
    http::{
        ApiResult, Cx, FromQuery, ListQuery, Page, PageRequest, Params, PathId, Problem, QueryString,
        Together, Versioned,
    },
    leads::{self, Activity, ActivityFilter, Lead},
    messages::{self, Conversation, ConversationFilter},
    wellness::{self, Metric, MetricFilter},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::custom_fields;

const EXPANSIONS: &[&str] = &["activities", "conversations", "invoices", "metrics", "runs"];

/// A lead with what was asked to be expanded.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeadDetail {
    #[serde(flatten)]
    lead: Lead,
    #[serde(flatten)]
    expanded: Expanded,
}

/// The first page of each expansion that was asked for.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct Expanded {
    /// `expand=activities`
    #[serde(skip_serializing_if = "Option::is_none")]
    activities: Option<Page<Activity>>,
    /// `expand=conversations`
    #[serde(skip_serializing_if = "Option::is_none")]
    conversations: Option<Page<Conversation>>,
    /// `expand=invoices`
    #[serde(skip_serializing_if = "Option::is_none")]
    invoices: Option<Page<Invoice>>,
    /// `expand=metrics`, for those who may read health data.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Page<Metric>>,
    /// `expand=runs`
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<Page<Run>>,
}

/// One lead. The id of a lead that was merged into another one answers 301 with the survivor's address.
#[utoipa::path(get, path = "/api/leads/{id}", operation_id = "get_lead", tag = "leads",
    extensions(("x-role" = json!("viewer"))),
    params(("id" = Uuid, Path),
        ("expand" = Option<Vec<String>>, Query, description = "activities, conversations, invoices, metrics, runs"),
        ("deleted" = Option<bool>, Query, description = "`true` reads from the bin, for administrators")),
    responses((status = 200, body = LeadDetail)))]
pub(crate) async fn get_lead(mut cx: Cx<ReadLeads>, PathId(id): PathId, query: QueryString) -> ApiResult {
    let (expand, deleted) = query.read(cx.zone(), |params| {
        (params.choices("expand", EXPANSIONS), params.flag("deleted") == Some(true))
    })?;
    let own_records_of = cx.actor.own_records_of();
    let found = if deleted {
        cx.actor.require::<ReadAdmin>()?;
        leads::find_archived(&mut cx.tx, id, own_records_of).await?
    } else {
        leads::find(&mut cx.tx, id, own_records_of).await?
    };
    let Some(mut lead) = found else {
        let survivor =
            leads::find_survivor(&mut cx.tx, id, own_records_of).await?.ok_or_else(Problem::not_found)?;
        let location = format!("/api/leads/{survivor}");
        return cx.commit((StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, location)])).await;
    };
    custom_fields::mask(&mut cx, std::slice::from_mut(&mut lead)).await?;
    let mut expanded = Expanded::default();
    for word in &expand {
        expanded.fetch(&mut cx, id, word).await?;
    }
    let version = lead.version;
    let lead = cx.actor.shown(lead);
    let answer = Versioned { version, answer: Json(LeadDetail { lead, expanded }) };
    if expand.is_empty() { cx.commit(answer).await } else { cx.commit(Together(answer)).await }
}

impl Expanded {
    /// Fetches one expansion. The words are distinct and few, so the queries are bounded.
    async fn fetch(&mut self, cx: &mut Cx<ReadLeads>, lead: Uuid, word: &str) -> ApiResult<()> {
        // That the caller may see the lead is known by now.
        let (tx, all) = (&mut cx.tx, None);
        match word {
            "activities" => {
                let query = first(ActivityFilter { lead_id: vec![lead], ..ActivityFilter::default() });
                let page = leads::list_activities(tx, &query, all).await?;
                self.activities = Some(cx.actor.shown(page));
            }
            "conversations" => {
                cx.actor.require::<ReadMessages>()?;
                let query = first(ConversationFilter::of_lead(lead));
                let page = messages::list_conversations(tx, &query, all).await?;
                self.conversations = Some(cx.actor.shown(page));
            }
            "invoices" => {
                cx.actor.require::<ReadFinance>()?;
                let query = first(InvoiceFilter { lead_id: vec![lead], ..InvoiceFilter::default() });
                let page = invoices::list_invoices(tx, &query, all).await?;
                self.invoices = Some(cx.actor.shown(page));
            }
            "metrics" => {
                cx.actor.require::<ReadWellness>()?;
                let unfiltered = MetricFilter::read(&mut Params::parse("", tx.zone()));
                let query = first(MetricFilter { lead_id: vec![lead], ..unfiltered });
                self.metrics = Some(wellness::list_metrics(tx, &query, all).await?);
            }
            _ => {
                cx.actor.require::<ReadAutomations>()?;
                let query = first(RunFilter { lead_id: vec![lead], ..RunFilter::default() });
                let page = automations::list_runs(tx, &query, all).await?;
                self.runs = Some(cx.actor.shown(page));
            }
        }
        Ok(())
    }
}

fn first<F: FromQuery>(filter: F) -> ListQuery<F> {
    ListQuery { filter, page: PageRequest::first::<F>() }
}
