//! The rules behind scores.

use axum::Json;
use shared::{
    auth::{ManageAutomations, ReadAutomations},
    conditions::read_asked,
    http::{ApiResult, Cx, IfMatch, Problem, Valid, Versioned},
    ids::new_id,
    scoring::{self, NewRule, Rule, Scoring, ScoringChange},
};

/// The rules that scores are made by: the business's own, or the product's.
#[utoipa::path(get, path = "/api/scoring", operation_id = "get_scoring", tag = "automations",
    extensions(("x-role" = json!("viewer"))), responses((status = 200, body = Scoring)))]
pub(crate) async fn get_scoring(mut cx: Cx<ReadAutomations>) -> ApiResult {
    let scoring = scoring::find_scoring(&mut cx.tx).await?;
    cx.commit(Versioned { version: scoring.version, answer: Json(scoring) }).await
}

/// Replaces the rules. Everybody gets a new score within minutes; no event is told of it.
#[utoipa::path(put, path = "/api/scoring", operation_id = "set_scoring", tag = "automations",
    extensions(("x-role" = json!("manager")), ("x-record-scope" = json!("all"))), params(("If-Match" = Option<String>, Header)),
    request_body = ScoringChange, responses((status = 200, body = Scoring)))]
pub(crate) async fn set_scoring(
    mut cx: Cx<ManageAutomations>,
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
        return Err(Problem::concurrent_change());
    }
    let scoring = scoring::find_scoring(&mut cx.tx).await?;
    let tenant = cx.tx.tenant();
    cx.note_change("scoring.updated", ("tenant", tenant), (&found, &scoring)).await?;
    cx.commit(Versioned { version: scoring.version, answer: Json(scoring) }).await
}

async fn rules(cx: &mut Cx<ManageAutomations>, given: Vec<NewRule>, found: &Scoring) -> ApiResult<Vec<Rule>> {
    let mut rules = Vec::with_capacity(given.len());
    for (index, rule) in given.into_iter().enumerate() {
        let pointer = format!("/rules/{index}/condition");
        if read_asked(cx, &rule.condition, &pointer).await?.asks_about("score") {
            let detail = "A score cannot depend on itself.";
            return Err(Problem::invalid(pointer, "unsupported_field", detail));
        }
        if rule.id.is_some() && !found.rules.iter().any(|known| known.id == rule.id) {
            let pointer = format!("/rules/{index}/id");
            return Err(Problem::invalid(
                pointer,
                "unknown_rule",
                "There is no such rule; leave the id out.",
            ));
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
