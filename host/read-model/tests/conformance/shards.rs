//! Shards that change hands, layouts, and leases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reel_projector::Writes;
use reel_projector::ports::{Commit, CommitError};
use reel_read_model::{CatalogError, DropScope, Generation, GenerationId, Target};
use uuid::Uuid;

use crate::place::Place;
use crate::samples::{component, deploy, new_generation, notes, point};

const LONG: Duration = Duration::from_secs(600);
const HERE: Uuid = Uuid::from_u128(1);
const THERE: Uuid = Uuid::from_u128(2);

async fn sharded(target: &dyn Target, shards: u32) -> Generation {
    target.put_component(&component(&notes())).await.unwrap();
    target.create_generation(new_generation(&notes(), shards)).await.unwrap()
}

/// Moves the checkpoint of a shard to `position`, from where it stands.
async fn advance(target: &dyn Target, generation: &Generation, shard: u32, position: u64) {
    let model = target.read_model(generation);
    let from = model.checkpoint(shard).await.unwrap().unwrap();
    let writes = Writes::default();
    let commit = Commit { shard, from, to: point(position), writes: &writes, dead_letters: &[], settled: &[] };
    model.commit(commit).await.unwrap();
}

pub(crate) async fn one_shard_changes_hands(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = sharded(target, 2).await;
    advance(target, &generation, 1, 7).await;
    let before = target.checkpoints(generation.id).await.unwrap();
    let taken = target.take_shard(generation.id, 1).await.unwrap();
    assert_eq!((taken.point, taken.epoch), (point(7), before[1].epoch + 1));
    assert_eq!(target.checkpoints(generation.id).await.unwrap(), [before[0], taken]);

    let model = target.read_model(&generation);
    let writes = Writes::default();
    let late = Commit { shard: 1, from: before[1], to: point(8), writes: &writes, dead_letters: &[], settled: &[] };
    let error = model.commit(late).await.unwrap_err();
    assert!(matches!(error, CommitError::Superseded { found: Some(found), .. } if found == taken), "{error}");
    advance(target, &generation, 0, 3).await;
    for (id, shard) in [(generation.id, 2), (GenerationId(99), 0)] {
        let error = target.take_shard(id, shard).await.unwrap_err();
        assert!(matches!(error, CatalogError::NotFound(_)), "{error}");
    }
}

pub(crate) async fn a_new_layout_in_one_step(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = sharded(target, 2).await;
    target.take_shard(generation.id, 1).await.unwrap();
    for shard in 0..2 {
        advance(target, &generation, shard, 9).await;
    }
    let old = target.checkpoints(generation.id).await.unwrap();
    let new = target.relayout(generation.id, &old, 10, 4).await.unwrap();
    assert_eq!(new.len(), 4);
    for checkpoint in &new {
        assert_eq!((checkpoint.log, checkpoint.point, checkpoint.layout), (old[0].log, point(9), 10));
        assert!(old.iter().all(|old| checkpoint.epoch > old.epoch));
    }
    assert_eq!(target.checkpoints(generation.id).await.unwrap(), new);
    assert_eq!(target.generations().await.unwrap()[0].shards, 4);
    advance(target, &generation, 3, 12).await;
    let error = target.relayout(generation.id, &old, 10, 4).await.unwrap_err();
    assert!(matches!(error, CatalogError::Conflict { .. }), "{error}");
}

pub(crate) async fn a_layout_that_cannot_change(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = sharded(target, 2).await;
    advance(target, &generation, 0, 5).await;
    let apart = target.checkpoints(generation.id).await.unwrap();
    let error = target.relayout(generation.id, &apart, 6, 4).await.unwrap_err();
    assert!(matches!(error, CatalogError::Conflict { .. }), "{error}");
    advance(target, &generation, 1, 5).await;
    let together = target.checkpoints(generation.id).await.unwrap();
    for wrong in [apart, together[..1].to_vec(), Vec::new()] {
        let error = target.relayout(generation.id, &wrong, 6, 4).await.unwrap_err();
        assert!(matches!(error, CatalogError::Conflict { .. }), "{error}");
    }
    assert_eq!(target.checkpoints(generation.id).await.unwrap(), together);
    target.drop_generation(generation.id, DropScope::Generation).await.unwrap();
    let error = target.relayout(generation.id, &together, 6, 4).await.unwrap_err();
    assert!(matches!(error, CatalogError::NotFound(_)), "{error}");
}

pub(crate) async fn leases_exclude_and_run_out(place: Arc<Place>) {
    let target = place.target.as_ref();
    let (generation, other) = (deploy(target, &notes()).await, deploy(target, &notes()).await);
    assert!(target.lease(generation.id, HERE, LONG).await.unwrap());
    assert!(target.lease(generation.id, HERE, LONG).await.unwrap(), "kept");
    assert!(!target.lease(generation.id, THERE, LONG).await.unwrap());
    assert!(target.lease(other.id, THERE, LONG).await.unwrap(), "each generation has its own");
    target.release(generation.id, THERE).await.unwrap();
    assert!(!target.lease(generation.id, THERE, LONG).await.unwrap(), "only the holder gives it back");
    target.release(generation.id, HERE).await.unwrap();
    assert!(target.lease(generation.id, THERE, Duration::from_millis(50)).await.unwrap());

    let deadline = Instant::now() + Duration::from_secs(10);
    while !target.lease(generation.id, HERE, LONG).await.unwrap() {
        assert!(Instant::now() < deadline, "the lease never ran out");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!target.lease(generation.id, THERE, LONG).await.unwrap());
    target.drop_generation(generation.id, DropScope::Generation).await.unwrap();
    let error = target.lease(generation.id, HERE, LONG).await.unwrap_err();
    assert!(matches!(error, CatalogError::NotFound(_)), "{error}");
    target.release(generation.id, HERE).await.unwrap();
}

pub(crate) async fn holds_exclude_and_move(place: Arc<Place>) {
    let target = place.target.as_ref();
    let (generation, other) = (deploy(target, &notes()).await, deploy(target, &notes()).await);
    assert_eq!(target.holds().await.unwrap(), []);
    assert!(target.hold(generation.id, HERE, 7).await.unwrap());
    assert!(!target.hold(generation.id, THERE, 9).await.unwrap());
    assert!(target.hold(other.id, THERE, 9).await.unwrap(), "each generation has its own");
    let first = target.holds().await.unwrap().into_iter().find(|hold| hold.generation == generation.id).unwrap();
    assert_eq!((first.holder, first.through), (HERE, 7));
    for through in [7, 12] {
        let before = target.holds().await.unwrap().into_iter().find(|hold| hold.generation == generation.id).unwrap();
        assert!(target.hold(generation.id, HERE, through).await.unwrap());
        let now = target.holds().await.unwrap().into_iter().find(|hold| hold.generation == generation.id).unwrap();
        assert_eq!((now.holder, now.through), (HERE, through));
        assert_ne!(now.stamp, before.stamp, "it was said again");
    }
    target.end_hold(generation.id, THERE).await.unwrap();
    assert_eq!(target.holds().await.unwrap().len(), 2, "only the holder takes it back");
    target.end_hold(generation.id, HERE).await.unwrap();
    assert!(target.hold(generation.id, THERE, 1).await.unwrap());
    target.drop_generation(generation.id, DropScope::Generation).await.unwrap();
    let left: Vec<_> = target.holds().await.unwrap().iter().map(|hold| hold.generation).collect();
    assert_eq!(left, [other.id], "it goes with its generation");
    let error = target.hold(generation.id, HERE, 1).await.unwrap_err();
    assert!(matches!(error, CatalogError::NotFound(_)), "{error}");
}
