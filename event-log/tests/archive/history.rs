//! History over archive and store: the seam does not show, whatever is asked for and whatever the archive lacks.

use std::{path::Path, sync::Arc};

use reel_event_log::{
    ReadLimit,
    archive::Archive,
    history::{History, Kinds, Sharing, Span, Wanted},
};
use reel_events::{Event, partition_of};

use crate::samples::{ALL, Place, events, memory, read, sealed, store_of, stored};

/// A store of 3,000 events; the archive has 1 to 500, 501 to 1,200 and 2,000 to 2,400 of it.
async fn partly_archived() -> (Place, Archive, Vec<Event>) {
    let place = store_of(3_000).await;
    let all: Vec<_> = stored(&*place.store).await.iter().map(|event| event.to_event()).collect();
    let archive = memory();
    for range in [0..500, 500..1_200, 1_999..2_400] {
        archive.put(sealed(place.store.log_id(), &all[range])).await.unwrap();
    }
    (place, archive, all)
}

async fn open(place: &Place, archive: &Archive, span: Span, wanted: Wanted) -> History {
    History::open(Arc::clone(&place.store), Some(archive.clone()), span, wanted).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_span_is_read_whole() {
    let (place, archive, all) = partly_archived().await;
    for after in [0, 1, 499, 500, 501, 1_199, 1_200, 1_999, 2_000, 2_399, 2_400, 2_999, 3_000] {
        for until in [None, Some(1), Some(500), Some(777), Some(1_500), Some(2_100), Some(2_400), Some(9_999)] {
            let span = Span { after, until, portion: ReadLimit { events: 300, bytes: 1 << 20 } };
            let history = open(&place, &archive, span, Wanted::default()).await;
            let last = until.unwrap_or(u64::MAX).min(3_000);
            assert_eq!(history.end().event, all[last as usize - 1].id);
            let end = history.end();
            let portions = read(history).await.unwrap();
            let expected = all.get(after as usize..last as usize).unwrap_or_default();
            assert!(events(&portions, 0) == expected, "{after} to {until:?}");
            assert!(portions.last().is_none_or(|portion| portion.through == end));
            assert!(portions.windows(2).all(|two| two[0].through.position < two[1].through.position));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_and_shards_are_filtered_alike_on_both_sides_of_the_seam() {
    let (place, archive, all) = partly_archived().await;
    let kinds = Kinds::Matching(Arc::new(|kind: &str| kind == "post-created"));
    let wanted = Wanted { kinds, sharing: Sharing::Each(3) };
    let portions = read(open(&place, &archive, ALL, wanted).await).await.unwrap();
    for shard in 0..3 {
        let mine =
            |event: &&Event| event.kind.as_str() == "post-created" && partition_of(event.stream.as_str(), 3) == shard;
        let expected: Vec<_> = all.iter().filter(mine).cloned().collect();
        assert_eq!(events(&portions, shard as usize), expected);
    }
    for part in 0..2 {
        let wanted = Wanted { sharing: Sharing::Part { part, of: 2, shards: 2 }, ..Wanted::default() };
        let portions = read(open(&place, &archive, ALL, wanted).await).await.unwrap();
        for shard in 0..2 {
            // Of four shards, those that leave the part when they are divided by two.
            let mine = |event: &&Event| partition_of(event.stream.as_str(), 4) == 2 * shard + part;
            let expected: Vec<_> = all.iter().filter(mine).cloned().collect();
            assert_eq!(events(&portions, shard as usize), expected);
        }
    }
    let wanted = Wanted { sharing: Sharing::One { shard: 1, of: 3 }, ..Wanted::default() };
    let portions = read(open(&place, &archive, ALL, wanted).await).await.unwrap();
    assert!(events(&portions, 0).iter().all(|event| event.stream.partition(3) == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_archive_the_store_is_read() {
    let (place, _, all) = partly_archived().await;
    let history = History::open(Arc::clone(&place.store), None, ALL, Wanted::default()).await.unwrap();
    assert!(events(&read(history).await.unwrap(), 0) == all);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_gone_while_it_is_read_is_done_without() {
    let (place, _, all) = partly_archived().await;
    let path = place.directory.path().join("archive");
    let archive = Archive::open(path.to_str().unwrap()).unwrap();
    archive.put(sealed(place.store.log_id(), &all[..1_000])).await.unwrap();
    archive.put(sealed(place.store.log_id(), &all[1_000..2_000])).await.unwrap();
    cut_short(&path);
    let history = open(&place, &archive, ALL, Wanted::default()).await;
    std::fs::remove_dir_all(&path).unwrap();
    assert!(events(&read(history).await.unwrap(), 0) == all);
}

/// Cuts the last byte off every segment below a directory.
fn cut_short(path: &Path) {
    for log in std::fs::read_dir(path).unwrap() {
        for segment in std::fs::read_dir(log.unwrap().path()).unwrap() {
            let path = segment.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        }
    }
}
