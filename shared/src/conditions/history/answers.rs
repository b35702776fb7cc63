//! What the database says of a few people's past, for an evaluation in memory.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{read, sql};
use crate::{
    conditions::{Comparison, Condition, sql::Scope},
    db::{DbResult, TenantTx},
};

/// What was asked about the past of some people, answered.
#[derive(Clone, Debug, Default)]
pub struct History(HashMap<Uuid, Past>);

/// What was asked about the past of one person, answered. The default is somebody who did nothing, which is also what is
/// said of nobody.
#[derive(Clone, Debug, Default)]
pub struct Past(HashMap<String, bool>);

impl History {
    /// Has every comparison over what people did, in all the conditions, answered for the people, as of `now`. One
    /// statement, and none when there is nothing to be asked.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn ask<'c>(
        tx: &mut TenantTx,
        now: DateTime<Utc>,
        people: &[Uuid],
        conditions: impl IntoIterator<Item = &'c Condition> + Send,
    ) -> DbResult<Self> {
        let asked: HashMap<String, &Comparison> = conditions
            .into_iter()
            .flat_map(Condition::comparisons)
            .filter(|(_, comparison)| comparison.is_history())
            .map(|(_, comparison)| (name(comparison), comparison))
            .collect();
        if asked.is_empty() || people.is_empty() {
            return Ok(Self::default());
        }
        let (names, comparisons): (Vec<String>, Vec<&Comparison>) = asked.into_iter().unzip();
        let scope = Scope::of(tx.tenant(), now, people);
        let mut query: QueryBuilder<'_, Postgres> = QueryBuilder::new("select l.id, array[");
        for (index, comparison) in comparisons.into_iter().enumerate() {
            if index > 0 {
                query.push(", ");
            }
            sql::push(&mut query, comparison, scope);
        }
        query.push("] from leads l where l.tenant_id = ").push_bind(tx.tenant());
        query.push(" and l.id = any (").push_bind(people.to_vec()).push(")");
        let rows: Vec<(Uuid, Vec<bool>)> = query.build_query_as().fetch_all(tx.conn()).await?;
        let past = |answers: Vec<bool>| Past(names.iter().cloned().zip(answers).collect());
        Ok(Self(rows.into_iter().map(|(lead, answers)| (lead, past(answers))).collect()))
    }

    /// One person's.
    #[must_use]
    pub fn of(&self, lead: Uuid) -> Past {
        self.0.get(&lead).cloned().unwrap_or_default()
    }

    /// Adds what was asked besides.
    pub fn extend(&mut self, other: Self) {
        for (lead, past) in other.0 {
            self.0.entry(lead).or_default().0.extend(past.0);
        }
    }
}

impl Past {
    /// Whether a comparison holds.
    pub(in crate::conditions) fn holds(&self, comparison: &Comparison) -> bool {
        let known = self.0.get(&name(comparison)).copied();
        known.unwrap_or_else(|| read(comparison).is_ok_and(|asked| asked.holds_for_nothing()))
    }
}

/// What a comparison is known by: equal ones are asked once.
fn name(comparison: &Comparison) -> String {
    serde_json::to_string(comparison).unwrap_or_default()
}
