//! Builds that are killed: the next one folds what was not put aside, and nothing else, and what it comes to is the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reel_host::{BuildConfig, BuildError, Built, Host, HostConfig, Keeping, Targets};
use reel_plugin::{Engine, EngineConfig};
use reel_projector::ports::FailurePolicy;
use reel_read_model::target::DropScope;
use reel_read_model::{Condition, Generation, Target};
use tokio::sync::watch;

use crate::bed::{Bed, Noted};

/// Events of sixty streams, of which few fail.
const LOG: (u64, u64, u64) = (4_000, 60, 97);
/// Rows of all of them take several times as much.
const MEMORY: usize = 80_000;
/// So that a pass has some length.
const THROTTLE: u64 = 20_000;

/// Keeps rows whatever that takes.
const ALWAYS: Keeping = Keeping { at_least: Duration::ZERO, bytes_a_second: u64::MAX };

fn config(spill_dir: PathBuf, memory_bytes: usize) -> BuildConfig {
    BuildConfig { memory_bytes, workers: 2, batch: 40, spill_dir, ..BuildConfig::for_this_machine() }
}

/// Builds until two parts are put aside, and is killed then.
async fn killed(bed: &Bed, target: &Arc<dyn Target>, generation: &Generation, config: BuildConfig) {
    let checkpoint = target.take(generation.id).await.unwrap()[0];
    let config = BuildConfig { throttle: Some(THROTTLE), ..config };
    let noted = Arc::default();
    let build = bed.build((target, generation, checkpoint), (generation.on_failure, config), &noted);
    let progress = Arc::clone(&build.progress);
    let mut moved = progress.watch();
    let (_go_on, mut stop) = watch::channel(false);
    tokio::select! {
        built = build.run(&mut stop) => panic!("it ended before it was killed: {built:?}"),
        third = moved.wait_for(|_| progress.now().pass >= 3) => drop(third.unwrap()),
    }
}

/// Builds; how many parts it took over, what it applied, and how it ended.
async fn built(
    bed: &Bed,
    target: &Arc<dyn Target>,
    generation: &Generation,
    config: BuildConfig,
) -> (u32, Arc<Noted>, Result<Built, BuildError>) {
    let checkpoint = target.take(generation.id).await.unwrap()[0];
    let noted = Arc::default();
    let build = bed.build((target, generation, checkpoint), (generation.on_failure, config), &noted);
    let progress = Arc::clone(&build.progress);
    let (_go_on, mut stop) = watch::channel(false);
    let built = build.run(&mut stop).await;
    (progress.now().taken_over, noted, built)
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_was_killed_folds_only_what_is_not_put_aside() {
    for policy in [FailurePolicy::Skip, FailurePolicy::Park] {
        let bed = Bed::new(21, LOG).await;
        let (target, expected) = (bed.sqlite().await, bed.expected(policy).await);
        assert!(!expected.dead.is_empty(), "dead letters must be taken over, too");
        let generation = bed.generation(&target, policy).await;
        let (spill_dir, memory) = (bed.folder.path().join("builds"), MEMORY);
        killed(&bed, &target, &generation, config(spill_dir.clone(), memory)).await;
        let (taken_over, noted, ended) = built(&bed, &target, &generation, config(spill_dir.clone(), memory)).await;
        assert_eq!(ended.unwrap(), Built::Whole);
        assert!(taken_over >= 2, "{taken_over} parts");
        let applied = noted.applied.lock().unwrap().clone();
        let again: BTreeSet<&String> = applied.values().collect();
        assert!(!again.is_empty() && again.len() < LOG.1 as usize, "{} streams were folded again", again.len());
        // What is held back behind an event at fault is applied by nobody.
        let dead = |position: &u64| expected.dead.iter().any(|place| place.position() == *position);
        for position in (1..=LOG.0).filter(|position| !applied.contains_key(position) && !dead(position)) {
            let stream = stream_at(&bed, position).await;
            assert!(!again.contains(&stream), "{stream} was folded again, but not its event at {position}");
        }
        let (outcome, through) = bed.outcome(&target, &generation, policy).await;
        assert_eq!((outcome, through), (expected, LOG.0), "{policy:?}");
        assert_eq!(files(&spill_dir), Vec::<PathBuf>::new(), "nothing stays");
    }
}

async fn stream_at(bed: &Bed, position: u64) -> String {
    let batch = bed.store.read(position - 1, reel_event_log::ReadLimit::events(1)).await.unwrap();
    batch.stream(0).to_owned()
}

/// The files of rows that are put aside.
fn put_aside(directory: &Path) -> Vec<PathBuf> {
    let is_rows = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "rows");
    files(directory).into_iter().filter(|path| is_rows(path) && fs::metadata(path).unwrap().len() > 0).collect()
}

/// Flips a bit.
fn spoil(rows: &Path) {
    let mut bytes = fs::read(rows).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(rows, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_is_spoiled_is_folded_again_alone() {
    let bed = Bed::new(22, LOG).await;
    let (policy, target) = (FailurePolicy::Skip, bed.sqlite().await);
    let expected = bed.expected(policy).await;
    let generation = bed.generation(&target, policy).await;
    let config = config(bed.folder.path().join("builds"), MEMORY);
    killed(&bed, &target, &generation, config.clone()).await;
    spoil(&put_aside(&config.spill_dir)[0]);
    let (taken_over, noted, ended) = built(&bed, &target, &generation, config.clone()).await;
    assert_eq!((taken_over, ended.unwrap()), (1, Built::Whole), "the other of two is taken over");
    let applied = noted.applied.lock().unwrap().len() as u64;
    assert!(applied > 0 && applied < LOG.0, "{applied} events are folded again");
    assert_eq!(bed.outcome(&target, &generation, policy).await.0, expected);
    assert_eq!(files(&config.spill_dir), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_aside_and_spoiled_is_folded_again() {
    let bed = Bed::new(22, LOG).await;
    let (policy, target) = (FailurePolicy::Skip, bed.sqlite().await);
    let expected = bed.expected(policy).await;
    let generation = bed.generation(&target, policy).await;
    let config = config(bed.folder.path().join("builds"), MEMORY);
    killed(&bed, &target, &generation, config.clone()).await;
    put_aside(&config.spill_dir).iter().for_each(|rows| spoil(rows));
    let (taken_over, noted, ended) = built(&bed, &target, &generation, config.clone()).await;
    assert_eq!((taken_over, ended.unwrap()), (0, Built::Whole));
    assert_eq!(noted.applied.lock().unwrap().len() as u64, LOG.0, "all events are folded again");
    assert_eq!(bed.outcome(&target, &generation, policy).await.0, expected);
    assert_eq!(files(&config.spill_dir), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_took_long_are_kept_until_they_are_loaded() {
    let bed = Bed::new(23, LOG).await;
    let (policy, target) = (FailurePolicy::Skip, bed.sqlite().await);
    let expected = bed.expected(policy).await;
    for memory in [1 << 30, MEMORY] {
        let generation = bed.generation(&target, policy).await;
        let config = BuildConfig { keeping: ALWAYS, ..config(bed.folder.path().join("builds"), memory) };
        // Another host takes over while it folds: it cannot load any more.
        let stale = target.take(generation.id).await.unwrap()[0];
        target.take(generation.id).await.unwrap();
        let noted = Arc::default();
        let build = bed.build((&target, &generation, stale), (policy, config.clone()), &noted);
        let (_go_on, mut stop) = watch::channel(false);
        assert!(matches!(build.run(&mut stop).await, Err(BuildError::Passing(_))));
        assert_eq!(noted.applied.lock().unwrap().len() as u64, LOG.0);
        let (taken_over, noted, ended) = built(&bed, &target, &generation, config.clone()).await;
        assert_eq!(ended.unwrap(), Built::Whole);
        assert!(taken_over > 0 && noted.applied.lock().unwrap().is_empty(), "nothing is folded again");
        assert_eq!(bed.outcome(&target, &generation, policy).await.0, expected, "{memory} bytes");
        assert_eq!(files(&config.spill_dir), Vec::<PathBuf>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_nothing_is_in_the_way_only_where_rows_must_be_put_aside() {
    let bed = Bed::new(24, LOG).await;
    let (policy, target) = (FailurePolicy::Skip, bed.sqlite().await);
    let file = bed.folder.path().join("file");
    fs::write(&file, "no directory").unwrap();
    let generation = bed.generation(&target, policy).await;
    let (_, _, ended) = built(&bed, &target, &generation, config(file.join("builds"), MEMORY)).await;
    let Err(BuildError::Passing(why)) = ended else { panic!("{ended:?}") };
    assert!(why.contains("cannot be put aside in") && why.contains("--memory"), "{why}");
    let config = BuildConfig { keeping: ALWAYS, ..config(file.join("builds"), 1 << 30) };
    let (_, _, ended) = built(&bed, &target, &generation, config).await;
    assert_eq!(ended.unwrap(), Built::Whole);
    assert_eq!(bed.outcome(&target, &generation, policy).await.0, bed.expected(policy).await);
}

/// A host that starts, and does not run anything.
async fn started(bed: &Bed, target: &Arc<dyn Target>, spill_dir: &Path) {
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let build = BuildConfig { spill_dir: spill_dir.to_owned(), ..BuildConfig::for_this_machine() };
    let config = HostConfig { build, ..HostConfig::new(|_| Ok(())) };
    let host = Host::new(Arc::clone(&bed.store), Targets::new(vec![Arc::clone(target)]), engine, config);
    host.start().await.unwrap();
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_goes_on_from_goes_when_the_catalog_says_so() {
    let bed = Bed::new(25, LOG).await;
    let target = bed.sqlite().await;
    let spill_dir = bed.folder.path().join("builds");
    let generation = bed.generation(&target, FailurePolicy::Skip).await;
    killed(&bed, &target, &generation, config(spill_dir.clone(), MEMORY)).await;
    let own = fs::read_dir(&spill_dir).unwrap().next().unwrap().unwrap().path();
    // Somebody's own files: one directory is a copy of ours, one only looks like it.
    let (copy, other) = (spill_dir.join("copy"), spill_dir.join("0123456789abcdef0123456789abcdef"));
    for directory in [&copy, &other] {
        fs::create_dir(directory).unwrap();
    }
    fs::copy(own.join("build.json"), copy.join("build.json")).unwrap();
    fs::write(other.join("build.json"), "mine").unwrap();
    let strangers = [copy.join("build.json"), other.join("build.json")];

    target.set_condition(generation.id, &Condition::Paused).await.unwrap();
    started(&bed, &target, &spill_dir).await;
    assert!(own.exists(), "it may be resumed");
    // The same number in another database that has the same name is another generation.
    let elsewhere = bed.sqlite().await;
    let namesake = bed.generation(&elsewhere, FailurePolicy::Skip).await;
    assert_eq!(namesake.id, generation.id);
    elsewhere.drop_generation(namesake.id, DropScope::Projection).await.unwrap();
    started(&bed, &elsewhere, &spill_dir).await;
    assert!(own.exists(), "it is not known there");

    // Another host drops it.
    target.drop_generation(generation.id, DropScope::Projection).await.unwrap();
    started(&bed, &target, &spill_dir).await;
    assert!(!own.exists());
    let mut left = files(&spill_dir);
    left.sort();
    let mut strangers = strangers.to_vec();
    strangers.sort();
    assert_eq!(left, strangers, "what the catalog does not know stays");
}
