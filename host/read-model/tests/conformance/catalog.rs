//! What the catalog keeps, and what it refuses.

use std::sync::Arc;
use std::time::Duration;

use reel_events::{LogId, Place as EventPlace, Timestamp};
use reel_projector::ports::{CommitError, FailurePolicy};
use reel_projector::{ReadModelError, TableWrites};
use reel_read_model::{
    CatalogError, Component, Condition, Decision, DropScope, GenerationState, IfBehind, NewGeneration, Promotion,
    TargetKind, open,
};
use uuid::Uuid;

use crate::place::Place;
use crate::samples::{
    LOG, all, ask, component, deploy, make_ready, named, new_generation, note, notes, try_deploy, upsert, values,
    write, writes,
};

pub(crate) async fn components_are_kept_once(place: Arc<Place>) {
    let target = place.target.as_ref();
    let bytes: Vec<u8> = (0..2_500_000_u32).map(|number| (number % 251) as u8).collect();
    let digest = blake3::hash(&bytes).to_hex().to_string();
    let kept = Component { digest, manifest: notes().to_string(), bytes };
    target.put_component(&kept).await.unwrap();
    target.put_component(&Component { manifest: "{}".to_owned(), ..kept.clone() }).await.unwrap();
    assert!(target.component(&kept.digest).await.unwrap() == Some(kept));
    assert_eq!(target.component("nothing").await.unwrap(), None);
}

pub(crate) async fn generations_live_on_after_a_restart(place: Arc<Place>) {
    let target = place.target.as_ref();
    let new = NewGeneration {
        settings: "{\"a\":1}".to_owned(),
        on_failure: FailurePolicy::Park,
        promotion: Promotion::Manual,
        ..new_generation(&notes(), 3)
    };
    target.put_component(&component(&notes())).await.unwrap();
    let first = target.create_generation(new).await.unwrap();
    let second = deploy(target, &notes()).await;
    assert_eq!((first.number, second.number, first.state), (1, 2, GenerationState::Build));
    assert_eq!(target.checkpoints(first.id).await.unwrap().len(), 3);
    upsert(target, &second, 0, vec![note(1, "kept")]).await;
    make_ready(target, &second).await;
    target.flip(second.id, IfBehind::Refuse).await.unwrap();

    let again = place.reopen().await.unwrap();
    let generations = again.generations().await.unwrap();
    assert_eq!(generations[0], first);
    let live = again.live("notes").await.unwrap().unwrap();
    assert_eq!((live.id, live.state, &generations[1]), (second.id, GenerationState::Live, &live));
    assert!(live.promoted_at.unwrap() >= live.created_at);
    assert_eq!(ask(again.as_ref(), &live, &all(&live, 0)).await, [note(1, "kept")]);
    assert_eq!(again.live("nobody").await.unwrap(), None);
}

pub(crate) async fn states_and_conditions(place: Arc<Place>) {
    use GenerationState::{Build, Cancelled, CatchUp, Dropped, Live, Ready};
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    target.set_state(generation.id, Build, CatchUp).await.unwrap();
    for (from, to) in [(Build, Ready), (CatchUp, Live), (CatchUp, Dropped)] {
        let error = target.set_state(generation.id, from, to).await.unwrap_err();
        assert!(matches!(error, CatalogError::Conflict { .. }), "{error}");
    }
    target.set_state(generation.id, CatchUp, Cancelled).await.unwrap();
    let halted = Condition::Halted {
        position: EventPlace::in_partition(17, 4),
        stream: Some("post-1".to_owned()),
        code: "rejected".to_owned(),
        message: "no such 'post'".to_owned(),
    };
    for condition in [Condition::Paused, halted, Condition::Running] {
        target.set_condition(generation.id, &condition).await.unwrap();
        assert_eq!(target.generations().await.unwrap()[0].condition, condition);
    }
    let unknown = reel_read_model::GenerationId(99);
    let error = target.set_condition(unknown, &Condition::Paused).await.unwrap_err();
    assert!(matches!(error, CatalogError::NotFound(_)), "{error}");
    let error = target.take(unknown).await.unwrap_err();
    assert!(matches!(error, CatalogError::NotFound(_)), "{error}");
}

pub(crate) async fn two_names_for_one_schema(place: Arc<Place>) {
    let target = place.target.as_ref();
    deploy(target, &named(notes(), "git-tree")).await;
    deploy(target, &named(notes(), "git-tree")).await;
    let new = NewGeneration { projection: "git_tree".to_owned(), ..new_generation(&named(notes(), "git-tree"), 1) };
    let error = target.create_generation(new).await.unwrap_err();
    let CatalogError::NameTaken { schema, owner, .. } = &error else { panic!("{error}") };
    assert_eq!((schema.as_str(), owner.as_str()), ("git_tree", "projection git-tree"));
    assert_eq!(target.generations().await.unwrap().len(), 2);
}

pub(crate) async fn names_that_are_somebody_elses(place: Arc<Place>) {
    let target = place.target.as_ref();
    let (make, look) = match place.kind() {
        TargetKind::Sqlite => ("CREATE TABLE Mine__Notes (x INTEGER)", "SELECT count(*) FROM Mine__Notes"),
        TargetKind::MySql => ("CREATE TABLE mine__notes (x integer)", "SELECT count(*) FROM mine__notes"),
        TargetKind::SqlServer => {
            ("CREATE SCHEMA mine; CREATE TABLE mine.notes (x integer)", "SELECT count(*) FROM mine.notes")
        }
        TargetKind::Postgres => {
            ("CREATE SCHEMA mine CREATE TABLE notes (x integer)", "SELECT count(*)::text FROM mine.notes")
        }
    };
    let reserved = match place.kind() {
        TargetKind::Sqlite => "sqlite",
        TargetKind::Postgres => "pg-mine",
        TargetKind::MySql => "mine",
        TargetKind::SqlServer => "dbo",
    };
    place.sql(make).await.unwrap();
    for name in ["mine", reserved] {
        let error = try_deploy(target, &named(notes(), name)).await.unwrap_err();
        assert!(matches!(error, CatalogError::NameTaken { .. }), "{error}");
    }
    assert_eq!(place.sql(look).await.unwrap(), [Some("0".to_owned())]);
    assert_eq!(target.generations().await.unwrap(), []);
    deploy(target, &named(notes(), "reel-data-mine")).await;
}

pub(crate) async fn decisions_are_kept(place: Arc<Place>) {
    let target = place.target.as_ref();
    let decision = |position, settings: &str| Decision {
        log: LOG,
        digest: "d".to_owned(),
        settings: settings.to_owned(),
        position: EventPlace::from_number(position),
        decided_at: Timestamp::from_micros(5),
    };
    let long = "x".repeat(10_000);
    for position in [9, 3, 9] {
        target.decide(&decision(position, &long)).await.unwrap();
    }
    target.decide(&decision(4, "{}")).await.unwrap();
    assert_eq!(target.decisions(LOG, "d", &long).await.unwrap(), [3, 9].map(EventPlace::from_number));
    assert_eq!(target.decisions(LOG, "e", &long).await.unwrap(), []);
    assert_eq!(target.decisions(LogId(Uuid::nil()), "d", "{}").await.unwrap(), []);
}

pub(crate) async fn a_newer_catalog_is_refused(place: Arc<Place>) {
    place.reopen().await.unwrap();
    place.sql(&format!("UPDATE {} SET version = 99", place.catalog("catalog"))).await.unwrap();
    let error = place.reopen().await.err().unwrap().to_string();
    assert!(error.contains("version 99") && error.contains("newer Reel"), "{error}");
}

pub(crate) async fn an_older_catalog_is_brought_up_to_date(place: Arc<Place>) {
    let generation = deploy(place.target.as_ref(), &notes()).await;
    let [catalog, lease, letters, hold] = ["catalog", "lease", "dead_letter", "hold"].map(|table| place.catalog(table));
    place.sql(&format!("DROP TABLE {lease}")).await.unwrap();
    place.sql(&format!("DROP TABLE {hold}")).await.unwrap();
    place.sql(&format!("ALTER TABLE {letters} DROP COLUMN original")).await.unwrap();
    place.sql(&format!("UPDATE {catalog} SET version = 1")).await.unwrap();
    let again = place.reopen().await.unwrap();
    assert_eq!(again.generations().await.unwrap(), std::slice::from_ref(&generation));
    assert!(again.lease(generation.id, Uuid::from_u128(1), Duration::from_secs(60)).await.unwrap());
    assert_eq!(again.dead_letters(generation.id, EventPlace::START, 1).await.unwrap(), []);
    assert_eq!(again.holds().await.unwrap(), []);
    place.reopen().await.unwrap();
    place.sql(&format!("UPDATE {catalog} SET version = 0")).await.unwrap();
    let error = place.reopen().await.err().unwrap().to_string();
    assert!(error.contains("impossible version 0"), "{error}");
}

pub(crate) async fn several_open_at_once(place: Arc<Place>) {
    let catalog = match place.kind() {
        TargetKind::Sqlite => format!("{}.new", place.url),
        TargetKind::Postgres => {
            place.sql("DROP SCHEMA reel CASCADE; DROP SCHEMA reel_data CASCADE").await.unwrap();
            place.url.clone()
        }
        TargetKind::MySql => {
            let name = place.database();
            place.sql(&format!("DROP DATABASE {name}; CREATE DATABASE {name}")).await.unwrap();
            place.url.clone()
        }
        TargetKind::SqlServer => {
            let tables = ["catalog", "component", "component_chunk", "projection", "generation", "checkpoint"];
            for table in tables.into_iter().chain(["dead_letter", "decision", "view", "lease", "hold"]) {
                place.sql(&format!("DROP TABLE {}", place.catalog(table))).await.unwrap();
            }
            place.sql("DROP SCHEMA reel; DROP SCHEMA reel_data").await.unwrap();
            place.url.clone()
        }
    };
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let url = catalog.clone();
            tokio::spawn(async move { open("many", &url).await.map(drop) })
        })
        .collect();
    for opened in opening {
        opened.await.unwrap().unwrap();
    }
}

pub(crate) async fn a_generation_needs_its_component(place: Arc<Place>) {
    let error = place.target.create_generation(new_generation(&notes(), 1)).await.unwrap_err();
    assert!(matches!(error, CatalogError::NotFound(_)), "{error}");
    place.target.put_component(&component(&notes())).await.unwrap();
    let error = place.target.create_generation(new_generation(&notes(), 0)).await.unwrap_err();
    assert!(matches!(error, CatalogError::Conflict { .. }), "{error}");
}

pub(crate) async fn what_is_dropped_is_gone(place: Arc<Place>) {
    let target = place.target.as_ref();
    let first = deploy(target, &notes()).await;
    let second = deploy(target, &notes()).await;
    make_ready(target, &first).await;
    target.flip(first.id, IfBehind::Refuse).await.unwrap();
    let error = target.drop_generation(first.id, DropScope::Generation).await.unwrap_err();
    assert!(matches!(error, CatalogError::Conflict { .. }), "{error}");
    let error = target.drop_generation(second.id, DropScope::Projection).await.unwrap_err();
    assert!(matches!(error, CatalogError::Conflict { .. }), "{error}");

    let model = target.read_model(&second);
    let from = model.checkpoint(0).await.unwrap().unwrap();
    target.drop_generation(second.id, DropScope::Generation).await.unwrap();
    target.drop_generation(second.id, DropScope::Generation).await.unwrap();
    assert_eq!(target.generations().await.unwrap().len(), 1);
    assert_eq!(target.checkpoints(second.id).await.unwrap(), []);
    let upserts = TableWrites { upserts: vec![note(1, "late")], ..TableWrites::default() };
    let late = writes(&second, 0, upserts);
    let error = model.commit(crate::samples::commit(from, 1, &late)).await.unwrap_err();
    assert!(matches!(error, CommitError::Superseded { found: None, .. }), "{error}");
    let error = model.read(0, &[[crate::samples::int(1)].into()]).await.unwrap_err();
    assert!(matches!(error, ReadModelError::Refused { .. }), "{error}");
    let third = deploy(target, &notes()).await;
    assert!((third.number, third.id.0 > second.id.0) == (3, true));
}

pub(crate) async fn a_projection_goes_whole(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    make_ready(target, &generation).await;
    target.flip(generation.id, IfBehind::Refuse).await.unwrap();
    let look = format!("SELECT 1 FROM {}", place.view("notes", "notes"));
    place.sql(&look).await.unwrap();
    target.drop_generation(generation.id, DropScope::Projection).await.unwrap();
    place.sql(&look).await.unwrap_err();
    assert_eq!(target.live("notes").await.unwrap(), None);
    let again = deploy(target, &named(values(), "notes")).await;
    assert_eq!(again.number, 2);
    let model = target.read_model(&again);
    write(model.as_ref(), 1, &reel_projector::Writes::default()).await.unwrap();
}

pub(crate) async fn a_database_that_is_not_there(place: Arc<Place>) {
    if place.kind() == TargetKind::Sqlite {
        return; // A file is made where there is none.
    }
    let error = open("test", &place.url_of_database(&format!("{}_not", place.database()))).await.err().unwrap();
    let CatalogError::Unusable { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("CREATE DATABASE"), "{reason}");
    let role = place.role();
    let mut user = role.clone();
    let (make, gone) = match place.kind() {
        TargetKind::SqlServer => {
            user.push_str(":A-long-1-word");
            let make =
                format!("CREATE LOGIN {role} WITH PASSWORD = 'A-long-1-word'; CREATE USER {role} FOR LOGIN {role}");
            (make, format!("DROP USER {role}; DROP LOGIN {role}"))
        }
        TargetKind::MySql => {
            (format!("CREATE USER {role}@localhost, {role}@'%'"), format!("DROP USER {role}@localhost, {role}@'%'"))
        }
        _ => (format!("CREATE ROLE {role} LOGIN"), format!("DROP ROLE {role}")),
    };
    place.sql(&make).await.unwrap();
    let error = open("test", &place.url_of(&user)).await.err().unwrap();
    place.sql(&gone).await.unwrap();
    let CatalogError::Unusable { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("right") && reason.contains("GRANT"), "{reason}");
}
