//! What comparisons over people's past name: types of measurements with their units, and items of the catalogue. A condition
//! that names none that exist would never hold, and nobody would see why.

use std::collections::HashSet;

use uuid::Uuid;

use super::{
    Condition,
    history::{self, Source},
};
use crate::{
    db::{DbResult, TenantTx},
    wellness::{self, OwnTypes},
};

type Unknown = (String, &'static str, &'static str);

/// For each condition what it names and the business does not know, as (pointer below the condition, word, sentence).
///
/// # Errors
/// When the database refuses.
pub async fn unknown_names(tx: &mut TenantTx, conditions: &[&Condition]) -> DbResult<Vec<Vec<Unknown>>> {
    let comparisons = |condition: &Condition| {
        let asked = condition.comparisons().into_iter();
        let asked = asked.filter(|(_, comparison)| comparison.is_history());
        asked
            .filter_map(|(pointer, comparison)| Some((pointer, history::read(comparison).ok()?)))
            .collect::<Vec<_>>()
    };
    let asked: Vec<_> = conditions.iter().map(|condition| comparisons(condition)).collect();
    let all = || asked.iter().flatten().map(|(_, asked)| asked);
    let types: Vec<String> = all()
        .filter(|asked| asked.source == Source::Metrics)
        .flat_map(|asked| asked.words("type").to_vec())
        .collect();
    let items: Vec<Uuid> =
        all().flat_map(|asked| asked.words("itemId")).filter_map(|word| word.parse().ok()).collect();
    let own =
        if types.is_empty() { OwnTypes::default() } else { wellness::types_of(tx, Some(&types)).await? };
    let known = known_items(tx, &items).await?;
    let problems = |(pointer, asked): &(String, history::Asked)| {
        let mut found = Vec::new();
        let mut refuse =
            |name: &str, code, detail| found.push((format!("{pointer}/where/{name}"), code, detail));
        if let Some(kind) = asked.word("type").filter(|_| asked.source == Source::Metrics) {
            match (own.find(kind), asked.word("unit")) {
                (None, _) => refuse("type", "unknown_type", "There is no such type of measurement."),
                (Some(kind), Some(unit)) if kind.convert(0.0, unit).is_none() => {
                    refuse("unit", "unknown_unit", "This type is not measured in that unit.");
                }
                (Some(_), _) => {}
            }
        }
        let is_item = |word: &String| word.parse().is_ok_and(|id: Uuid| known.contains(&id));
        if !asked.words("itemId").iter().all(is_item) {
            refuse("itemId", "unknown_item", "There is no such item.");
        }
        found
    };
    Ok(asked.iter().map(|asked| asked.iter().flat_map(problems).collect()).collect())
}

async fn known_items(tx: &mut TenantTx, ids: &[Uuid]) -> DbResult<HashSet<Uuid>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let tenant = tx.tenant();
    let known = sqlx::query_scalar!(
        "select id from catalog_items where tenant_id = $1 and id = any($2)",
        tenant,
        ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(known.into_iter().collect())
}
