//! Which views stand under which names, and how they get there: in one statement, at one moment.
//!
//! A view stands under the readers' name while its generation is live, under its own while it is not. Not here: when that changes
//! (`generations`), what a view shows (the dialect).

use std::collections::HashSet;

use reel_projector::Table;
use sqlx::{MySqlConnection, query_scalar, raw_sql};

use super::dialect::{catalog as sql, tables};
use super::error::Outcome;
use crate::catalog::schema_name;
use crate::target::{Generation, GenerationId};

/// What is to be done to the views of a projection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Views that are missing: generation and table, by their places. They are made under their own names.
    make: Vec<(usize, usize)>,
    /// From which name to which, in order.
    rename: Vec<(String, String)>,
}

/// The names of all views there are.
pub(super) async fn all(connection: &mut MySqlConnection) -> Outcome<HashSet<String>> {
    let views: Vec<String> = query_scalar(sql::ALL_VIEWS).fetch_all(connection).await?;
    Ok(views.into_iter().collect())
}

/// Lets the views of a projection's generations stand where they belong, if `live` is the live one and `views` are there.
pub(super) async fn arrange(
    connection: &mut MySqlConnection,
    views: &HashSet<String>,
    (generations, live): (&[&Generation], Option<GenerationId>),
) -> Outcome<()> {
    let plan = plan(generations, live, views);
    for (generation, table) in plan.make {
        let (id, table) = (generations[generation].id, &generations[generation].manifest.tables[table]);
        let view = tables::create_view(&tables::stand_by_name(id, table), id, table);
        raw_sql(view).execute(&mut *connection).await?;
    }
    if !plan.rename.is_empty() {
        raw_sql(tables::rename(&plan.rename)).execute(&mut *connection).await?;
    }
    Ok(())
}

fn plan(generations: &[&Generation], live: Option<GenerationId>, views: &HashSet<String>) -> Plan {
    let mut plan = Plan::default();
    let mut into = Vec::new();
    // The live one first: where it cannot be told whose a view is, it is that one's.
    let mut order: Vec<usize> = (0..generations.len()).collect();
    order.sort_by_key(|place| Some(generations[*place].id) != live);
    let mut held = HashSet::new();
    for place in order {
        let generation = generations[place];
        for (number, table) in generation.manifest.tables.iter().enumerate() {
            let (own, public) = names(generation, table);
            let stands_by = views.contains(&own);
            let is_public = !stands_by && views.contains(&public) && held.insert(public.clone());
            if !stands_by && !is_public {
                plan.make.push((place, number));
            }
            match (Some(generation.id) == live, is_public) {
                (true, false) => into.push((own, public)),
                (false, true) => plan.rename.push((public, own)),
                _ => {}
            }
        }
    }
    plan.rename.extend(into);
    plan
}

/// The names of a view while its generation is not live, and while it is.
fn names(generation: &Generation, table: &Table) -> (String, String) {
    let schema = schema_name(&generation.projection);
    (tables::stand_by_name(generation.id, table), tables::view_name(&schema, table))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reel_events::{LogId, Timestamp};
    use reel_projector::ports::FailurePolicy;
    use uuid::Uuid;

    use super::*;
    use crate::target::{Condition, GenerationState, Promotion};

    fn generation(id: i64) -> Generation {
        Generation {
            id: GenerationId(id),
            projection: "shop".to_owned(),
            number: id as u32,
            digest: String::new(),
            manifest: Arc::new(crate::statements::manifest()),
            settings: "{}".to_owned(),
            on_failure: FailurePolicy::Halt,
            promotion: Promotion::Manual,
            state: GenerationState::Ready,
            condition: Condition::Running,
            log: LogId(Uuid::nil()),
            shards: 1,
            epoch: 1,
            created_at: Timestamp::from_micros(0),
            promoted_at: None,
        }
    }

    /// The plan for generations 1 and 2 where these views are there.
    fn planned(live: Option<i64>, views: &[&str]) -> (Vec<(usize, usize)>, Vec<String>) {
        let (first, second) = (generation(1), generation(2));
        let views = views.iter().map(|view| (*view).to_owned()).collect();
        let plan = plan(&[&first, &second], live.map(GenerationId), &views);
        (plan.make, plan.rename.into_iter().map(|(from, to)| format!("{from} → {to}")).collect())
    }

    const FIRST_LIVE: [&str; 4] = ["shop__order", "shop__pairs", "_v2_order", "_v2_pairs"];

    #[test]
    fn views_that_stand_where_they_belong_stay() {
        assert_eq!(planned(Some(1), &FIRST_LIVE), (vec![], vec![]));
        assert_eq!(planned(None, &["_v1_order", "_v1_pairs", "_v2_order", "_v2_pairs"]), (vec![], vec![]));
    }

    #[test]
    fn a_flip_gives_names_back_before_it_takes_them() {
        let flip = [
            "shop__order → _v1_order",
            "shop__pairs → _v1_pairs",
            "_v2_order → shop__order",
            "_v2_pairs → shop__pairs",
        ];
        assert_eq!(planned(Some(2), &FIRST_LIVE), (vec![], flip.map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_first_flip_that_was_not_committed_is_taken_back() {
        let back = ["shop__order → _v1_order", "shop__pairs → _v1_pairs"];
        assert_eq!(planned(None, &FIRST_LIVE), (vec![], back.map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_view_that_somebody_dropped_is_made_again() {
        let (make, rename) = planned(Some(1), &["shop__pairs", "_v2_order"]);
        assert_eq!(make, [(0, 0), (1, 1)]);
        assert_eq!(rename, ["_v1_order → shop__order"]);
    }
}
