//! Segments that are not as they should be are refused by name, wherever the damage is.

use std::num::NonZeroU32;

use proptest::prelude::*;
use reel_event_log::{
    archive::{Archive, Segment, SegmentName},
    history::{History, Wanted},
};
use reel_events::{Event, LogId};
use uuid::Uuid;

use crate::samples::{ALL, LOG, events, memory, plain, read, sealed};

/// What is read of a segment with these bytes under this name, or why nothing is.
async fn outcome(name: SegmentName, bytes: Vec<u8>) -> Result<Vec<Event>, String> {
    let archive = memory();
    archive.put(Segment { name, bytes }).await.unwrap();
    let history = History::of_archive(archive.clone(), name.log, ALL, Wanted::default()).await;
    let portions = read(history.map_err(|error| error.to_string())?).await.map_err(|error| error.to_string())?;
    Ok(events(&portions, 0))
}

/// Why nothing is read of it.
async fn said(name: SegmentName, bytes: Vec<u8>) -> Option<String> {
    outcome(name, bytes).await.err()
}

fn segment() -> (Vec<Event>, Segment) {
    let all: Vec<_> = plain(1..=300).collect();
    let segment = sealed(LOG, &all);
    (all, segment)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_flipped_bit_anywhere_is_found(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let (all, Segment { name, mut bytes }) = segment();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        match run(outcome(name, bytes)) {
            Err(said) => prop_assert!(said.contains(&name.to_string()), "{}", said),
            // A frame of zstd has bits that no reader looks at: the digests are over what is inside.
            Ok(read) => prop_assert!(read == all, "bit {} of byte {} was missed", bit, at),
        }
    }

    #[test]
    fn a_segment_that_was_cut_is_found(at in any::<prop::sample::Index>()) {
        let (_, Segment { name, mut bytes }) = segment();
        bytes.truncate(at.index(bytes.len()));
        prop_assert!(run(said(name, bytes)).unwrap().contains(&name.to_string()));
    }

    #[test]
    fn bytes_of_anything_are_no_segment(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (_, Segment { name, .. }) = segment();
        prop_assert!(run(said(name, bytes)).is_some());
    }
}

#[tokio::test]
async fn a_segment_under_a_wrong_name_is_refused() {
    let (_, Segment { name, bytes }) = segment();
    assert_eq!(said(name, bytes.clone()).await, None);
    let other_log = SegmentName { log: LogId(Uuid::from_u128(9)), ..name };
    for wrong in [other_log, SegmentName { last: 299, ..name }, SegmentName { revision: 2, ..name }] {
        let said = said(wrong, bytes.clone()).await.unwrap();
        assert!(said.contains(&wrong.to_string()) && said.contains(&name.to_string()), "{said}");
    }
}

#[tokio::test]
async fn a_format_of_a_newer_version_is_said_to_be_one() {
    let (_, Segment { name, mut bytes }) = segment();
    bytes[8] = 2;
    let said = said(name, bytes).await.unwrap();
    assert!(said.contains("format 2"), "{said}");
}

#[tokio::test]
async fn of_two_revisions_the_newer_one_counts_and_prune_removes_the_other() {
    let archive: Archive = memory();
    let (all, old) = segment();
    archive.put(old.clone()).await.unwrap();
    let redacted: Vec<_> = all
        .iter()
        .map(|event| match event.position {
            7 => Event { payload: Default::default(), ..event.clone() },
            _ => event.clone(),
        })
        .collect();
    let mut builder = reel_event_log::archive::SegmentBuilder::new(LOG, 1);
    redacted.iter().for_each(|event| builder.push(event.as_ref()));
    let new = builder.seal(NonZeroU32::new(2).unwrap());
    archive.put(new.clone()).await.unwrap();
    let portions = crate::samples::archived(&archive, ALL, Wanted::default()).await.unwrap();
    assert_eq!(events(&portions, 0), redacted);
    let pruned = archive.prune(LOG).await.unwrap();
    assert_eq!((pruned.removed.len(), pruned.bytes), (1, old.bytes.len() as u64));
    let left: Vec<_> = archive.list(LOG).await.unwrap().iter().map(|stored| stored.name).collect();
    assert_eq!(left, [new.name]);
}
