//! What an archive does is the same in a directory and in an object store.

use reel_event_log::{
    archive::{Archive, ArchiveError},
    history::Wanted,
};
use reel_events::LogId;
use uuid::Uuid;

use crate::samples::{ALL, LOG, archived, events, memory, plain, sealed};

/// An archive, and what must live as long as it.
trait Place {
    fn new() -> Self;
    fn archive(&self) -> Archive;
}

struct Memory(Archive);
struct Directory(tempfile::TempDir);

impl Place for Memory {
    fn new() -> Memory {
        Memory(memory())
    }
    fn archive(&self) -> Archive {
        self.0.clone()
    }
}

impl Place for Directory {
    fn new() -> Directory {
        Directory(tempfile::tempdir().unwrap())
    }
    fn archive(&self) -> Archive {
        Archive::open(self.0.path().join("archive").to_str().unwrap()).unwrap()
    }
}

async fn an_empty_place_holds_nothing<P: Place>() {
    let place = P::new();
    assert_eq!(place.archive().list(LOG).await.unwrap(), []);
    assert_eq!(place.archive().prune(LOG).await.unwrap().removed, Vec::<String>::new());
    assert_eq!(place.archive().set_aside(LOG).await.unwrap(), (0, 0));
}

async fn segments_are_listed_in_order_and_read<P: Place>() {
    let place = P::new();
    let all: Vec<_> = plain(1..=30_000).collect();
    let parts = [&all[..10_000], &all[10_000..10_001], &all[10_001..]];
    for part in parts.iter().rev() {
        place.archive().put(sealed(LOG, *part)).await.unwrap();
    }
    let lasts: Vec<_> = place.archive().segments(LOG).await.unwrap().iter().map(|stored| stored.name.last).collect();
    assert_eq!(lasts, [10_000, 10_001, 30_000]);
    let portions = archived(&place.archive(), ALL, Wanted::default()).await.unwrap();
    assert!(events(&portions, 0) == all);
}

async fn putting_a_segment_again_changes_nothing<P: Place>() {
    let place = P::new();
    let segment = sealed(LOG, &plain(1..=10).collect::<Vec<_>>());
    let first = place.archive().put(segment.clone()).await.unwrap();
    assert_eq!(place.archive().put(segment).await.unwrap(), first);
    assert_eq!(place.archive().list(LOG).await.unwrap(), [first]);
}

async fn logs_do_not_meet<P: Place>() {
    let place = P::new();
    let other = LogId(Uuid::from_u128(9));
    for log in [LOG, other] {
        place.archive().put(sealed(log, &plain(1..=10).collect::<Vec<_>>())).await.unwrap();
    }
    for log in [LOG, other] {
        let listed = place.archive().list(log).await.unwrap();
        assert!(listed.len() == 1 && listed[0].name.log == log);
    }
}

macro_rules! on_every_place {
    ($($case:ident),* $(,)?) => {
        mod in_memory { $(#[tokio::test(flavor = "multi_thread")] async fn $case() { super::$case::<super::Memory>().await; })* }
        mod in_a_directory { $(#[tokio::test(flavor = "multi_thread")] async fn $case() { super::$case::<super::Directory>().await; })* }
    };
}

on_every_place!(
    an_empty_place_holds_nothing,
    segments_are_listed_in_order_and_read,
    putting_a_segment_again_changes_nothing,
    logs_do_not_meet,
);

#[test]
fn a_place_that_is_none_is_refused() {
    for url in ["ftp://x/y", "s3://"] {
        assert!(matches!(Archive::open(url), Err(ArchiveError::Place { .. })), "{url}");
    }
}
