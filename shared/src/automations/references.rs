//! The conditions of a graph, and the rows that its steps and conditions name: templates, stages, colleagues, items. A definition that names none that exist would fail with its first run.

use uuid::Uuid;

use super::{action::Action, graph::Graph, validate::GraphProblem};
use crate::{
    conditions::{Condition, unknown_names},
    db::{DbResult, TenantTx},
};

struct Reference<'a> {
    kind: &'static str,
    id: Uuid,
    place: usize,
    field: &'static str,
    step: &'a str,
}

impl Graph {
    /// Every condition of a run: the goal and those of the branches.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let branches = self.steps.iter().filter_map(|step| match &step.action {
            Action::Branch(branch) => Some(&branch.conditions),
            _ => None,
        });
        self.goal.iter().chain(branches)
    }
}

/// The problems of a condition, placed below a pointer.
pub(super) fn condition_problems(
    condition: &Condition,
    pointer: &str,
    step: Option<&str>,
) -> Vec<GraphProblem> {
    let found = condition.problems().into_iter();
    let place = |(below, code, detail): (String, &'static str, &'static str)| GraphProblem {
        step_id: step.map(str::to_owned),
        ..GraphProblem::at(format!("{pointer}{below}"), code, detail)
    };
    found.map(place).collect()
}

/// One problem for each row that a step names and that is not there.
///
/// # Errors
/// When the database refuses.
pub async fn missing_references(tx: &mut TenantTx, graph: &Graph) -> DbResult<Vec<GraphProblem>> {
    let mut missing = unknown_in_conditions(tx, graph).await?;
    let references = collect(graph);
    if references.is_empty() {
        return Ok(missing);
    }
    let kinds: Vec<&str> = references.iter().map(|reference| reference.kind).collect();
    let ids: Vec<Uuid> = references.iter().map(|reference| reference.id).collect();
    let found = sqlx::query!(
        r#"select case r.kind
                      when 'template' then exists (select from templates t where t.tenant_id = $1 and t.id = r.id and t.archived_at is null)
                      when 'stage' then exists (select from pipeline_stages s where s.tenant_id = $1 and s.id = r.id)
                      when 'policy' then exists (select from assignment_policies p where p.tenant_id = $1 and p.id = r.id)
                      else u.id is not null
                  end as "known!",
                  coalesce(u.status = 'disabled', false) as "disabled!"
             from unnest($2::text[], $3::uuid[]) with ordinality as r (kind, id, place)
             left join users u on u.tenant_id = $1 and u.id = r.id and r.kind = 'user'
            order by r.place"#,
        tx.tenant(),
        &kinds as &[&str],
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    for (reference, row) in references.iter().zip(found) {
        if !row.known {
            missing.push(problem(reference));
        } else if row.disabled {
            missing.push(place(reference, "disabled_user", "This colleague is disabled."));
        }
    }
    Ok(missing)
}

/// What the conditions name.
async fn unknown_in_conditions(tx: &mut TenantTx, graph: &Graph) -> DbResult<Vec<GraphProblem>> {
    let mut places: Vec<(String, Option<&str>)> = Vec::new();
    let mut conditions: Vec<&Condition> = Vec::new();
    for (pointer, condition) in [("/trigger/filter", &graph.trigger.filter), ("/goal", &graph.goal)] {
        places.extend(condition.iter().map(|_| (pointer.to_owned(), None)));
        conditions.extend(condition);
    }
    for (place, step) in graph.steps.iter().enumerate() {
        if let Action::Branch(branch) = &step.action {
            places.push((format!("/steps/{place}/conditions"), Some(&step.id)));
            conditions.push(&branch.conditions);
        }
    }
    let unknown = unknown_names(tx, &conditions).await?;
    let problems = places.into_iter().zip(unknown).flat_map(|((pointer, step), unknown)| {
        let place = move |(below, code, detail): (String, &'static str, &'static str)| GraphProblem {
            step_id: step.map(str::to_owned),
            ..GraphProblem::at(format!("{pointer}{below}"), code, detail)
        };
        unknown.into_iter().map(place)
    });
    Ok(problems.collect())
}

fn problem(reference: &Reference<'_>) -> GraphProblem {
    let (code, detail) = match reference.kind {
        "template" => ("unknown_template", "There is no such template."),
        "stage" => ("unknown_stage", "There is no such stage."),
        "policy" => ("unknown_policy", "There is no such policy."),
        _ => ("unknown_user", "There is no such colleague."),
    };
    place(reference, code, detail)
}

fn place(reference: &Reference<'_>, code: &'static str, detail: &'static str) -> GraphProblem {
    let pointer = format!("/steps/{}/{}", reference.place, reference.field);
    GraphProblem { step_id: Some(reference.step.to_owned()), ..GraphProblem::at(pointer, code, detail) }
}

fn collect(graph: &Graph) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    for (place, step) in graph.steps.iter().enumerate() {
        let mut add = |kind, field, id: Option<Uuid>| {
            found.extend(id.map(|id| Reference { kind, id, place, field, step: &step.id }));
        };
        match &step.action {
            Action::SendMessage(send) => add("template", "templateId", send.template_id),
            Action::MoveStage(stage) => add("stage", "stageId", Some(stage.stage_id)),
            Action::AssignOwner(assign) => {
                add("user", "userId", assign.user_id);
                add("policy", "policyId", assign.policy_id);
                assign.round_robin.iter().for_each(|id| add("user", "roundRobin", Some(*id)));
            }
            Action::CreateActivity(activity) => add("user", "assigneeId", activity.assignee_id),
            Action::Notify(notify) => add("user", "userId", notify.user_id),
            _ => {}
        }
    }
    found
}
