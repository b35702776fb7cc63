//! Scores and the rules behind them.

use axum::Json;
use shared::{
    auth::{ManageLeads, ReadLeads},
    http::{ApiResult, Cx, IfMatch, PathId, Problem, Valid, Versioned},
    ids::new_id,
    scoring::{self, NewRule, Rule, Score, Scoring, ScoringChange},
};

use crate::{change::concurrent_change, segments::read};

/// The score of a lead as it is now, with its reasons. The parts add up to it.
#[utoipa::path(get, path = "/api/leads/{id}/score", operation_id = "get_lead_score", tag = "leads",
    extensions(("x-role" = json!("viewer"))), params(("id" = Uuid, Path)), responses((status = 200, body = Score)))]
pub(crate) async fn get_lead_score(mut cx: Cx<ReadLeads>, PathId(id): PathId) -> ApiResult {
    let (now, own_records_of) = (cx.now(), cx.actor.own_records_of());
    let score =
        scoring::score_of(&mut cx.tx, now, id, own_records_of).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Json(score)).await
}

/// The rules that scores are made by: the business's own, or the product's.
#[utoipa::path(get, path = "/api/scoring", operation_id = "get_scoring", tag = "leads",
    extensions(("x-role" = json!("viewer"))), responses((status = 200, body = Scoring)))]
pub(crate) async fn get_scoring(mut cx: Cx<ReadLeads>) -> ApiResult {
    let scoring = scoring::find_scoring(&mut cx.tx).await?;
    cx.commit(Versioned { version: scoring.version, answer: Json(scoring) }).await
}

/// Replaces the rules. Everybody gets a new score within minutes; no event is told of it.
#[utoipa::path(put, path = "/api/scoring", operation_id = "set_scoring", tag = "leads",
    extensions(("x-role" = json!("manager"))), params(("If-Match" = Option<String>, Header)),
    request_body = ScoringChange, responses((status = 200, body = Scoring)))]
pub(crate) async fn set_scoring(
    mut cx: Cx<ManageLeads>,
    seen: IfMatch,
    Valid(change): Valid<ScoringChange>,
) -> ApiResult {
    let found = scoring::find_scoring(&mut cx.tx).await?;
    seen.require(found.version)?;
    let rules = match change.rules {
        Some(given) => Some(rules(&mut cx, given, &found).await?),
        None => None,
    };
    let now = cx.now();
    if !scoring::set_scoring(&mut cx.tx, now, found.version, rules.as_deref()).await? {
        return Err(concurrent_change());
    }
    let scoring = scoring::find_scoring(&mut cx.tx).await?;
    cx.commit(Versioned { version: scoring.version, answer: Json(scoring) }).await
}

async fn rules(cx: &mut Cx<ManageLeads>, given: Vec<NewRule>, found: &Scoring) -> ApiResult<Vec<Rule>> {
    let mut rules = Vec::with_capacity(given.len());
    for (index, rule) in given.into_iter().enumerate() {
        read(cx, &rule.condition, &format!("/rules/{index}/condition")).await?;
        if rule.id.is_some() && !found.rules.iter().any(|known| known.id == rule.id) {
            let pointer = format!("/rules/{index}/id");
            return Err(Problem::invalid(&pointer, "unknown_rule", "There is no such rule; leave the id out."));
        }
        rules.push(Rule {
            id: Some(rule.id.unwrap_or_else(new_id)),
            reason: rule.reason.into_string(),
            condition: rule.condition,
            points: rule.points,
            decay: rule.decay,
        });
    }
    Ok(rules)
}
