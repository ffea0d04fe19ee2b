//! The sealer: full ranges become segments, missing and damaged ones come again, with the same bytes; a store that was restored does not
//! meet the history that it lost.

use std::{path::Path, sync::Arc, time::Duration};

use reel_event_log::{
    EventStore, Limits, SqliteStore,
    archive::{Archive, SEGMENT_POSITIONS, Sealer, SealerConfig, Stored},
    history::{History, Wanted},
};
use tokio::{task::JoinHandle, time::timeout};

use crate::samples::{ALL, Place, append, events, read, store_of, stored};

const FAST: SealerConfig = SealerConfig { events_per_second: u32::MAX, look_again: Duration::from_millis(20) };

fn archive(place: &Place) -> Archive {
    Archive::open(place.directory.path().join("archive").to_str().unwrap()).unwrap()
}

fn started(store: &Arc<dyn EventStore>, archive: &Archive) -> JoinHandle<()> {
    let sealer = Sealer::new(Arc::clone(store), archive.clone(), FAST);
    tokio::spawn(async move { sealer.run().await })
}

/// Waits until the archive holds `count` segments of the store's log.
async fn segments(archive: &Archive, store: &dyn EventStore, count: usize) -> Vec<Stored> {
    let until = async {
        loop {
            let segments = archive.segments(store.log_id()).await.unwrap();
            if segments.len() == count {
                return segments;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), until).await.expect("the sealer seals what is full")
}

fn file(place: &Path, stored: &Stored) -> std::path::PathBuf {
    place.join("archive").join(stored.name.to_string())
}

async fn assert_history_is_the_store(store: &Arc<dyn EventStore>, archive: &Archive) {
    let history = History::open(Arc::clone(store), Some(archive.clone()), ALL, Wanted::default()).await.unwrap();
    let end = history.end();
    let portions = read(history).await.unwrap();
    assert_eq!((end, portions.last().unwrap().through), (store.head().await.unwrap(), end));
    assert!(events(&portions, 0).iter().map(|event| event.as_ref()).eq(stored(&**store).await.iter()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn full_ranges_are_sealed_as_the_log_grows_and_mended_when_they_break() {
    let place = store_of(SEGMENT_POSITIONS + 1_500).await;
    let (store, archive) = (&place.store, archive(&place));
    let sealer = started(store, &archive);
    let first = segments(&archive, &**store, 1).await;
    assert_eq!((first[0].name.first, first[0].name.last), (1, SEGMENT_POSITIONS));
    assert_history_is_the_store(store, &archive).await;

    append(&**store, SEGMENT_POSITIONS).await;
    let both = segments(&archive, &**store, 2).await;
    assert!(archive.verify(&**store, 0, usize::MAX).await.unwrap().is_sound());
    assert_history_is_the_store(store, &archive).await;
    let bytes = both.clone().map_bytes(place.directory.path());

    // One is removed, then one is damaged where only a reader can see it; each comes again as it was.
    std::fs::remove_file(file(place.directory.path(), &both[0])).unwrap();
    segments(&archive, &**store, 2).await;
    let mut broken = bytes[1].clone();
    *broken.last_mut().unwrap() ^= 1;
    std::fs::write(file(place.directory.path(), &both[1]), broken).unwrap();
    let verified = archive.verify(&**store, 0, usize::MAX).await.unwrap();
    assert!(!verified.is_sound() && verified.segments[0].outcome.is_ok());
    assert_history_is_the_store(store, &archive).await;
    assert_eq!(archive.set_aside(store.log_id()).await.unwrap(), (1, both[1].bytes));
    let mended = segments(&archive, &**store, 2).await;
    assert_eq!((&mended, mended.clone().map_bytes(place.directory.path())), (&both, bytes));
    assert!(archive.verify(&**store, 0, usize::MAX).await.unwrap().is_sound());
    sealer.abort();
}

trait MapBytes {
    fn map_bytes(self, place: &Path) -> Vec<Vec<u8>>;
}

impl MapBytes for Vec<Stored> {
    fn map_bytes(self, place: &Path) -> Vec<Vec<u8>> {
        self.iter().map(|stored| std::fs::read(file(place, stored)).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restored_store_is_read_as_it_is_and_its_lost_history_is_put_aside() {
    let place = store_of(1_000).await;
    let path = place.directory.path().to_owned();
    // The database as it was, all of it in its one file.
    drop(place.store);
    let copy = path.join("copy");
    std::fs::copy(path.join("log"), &copy).unwrap();
    let open = |path: &Path| -> Arc<dyn EventStore> { Arc::new(SqliteStore::open(path, Limits::default()).unwrap()) };

    let (store, archive) = (open(&path.join("log")), Archive::open(path.join("archive").to_str().unwrap()).unwrap());
    append(&*store, SEGMENT_POSITIONS).await;
    let sealer = started(&store, &archive);
    let lost = segments(&archive, &*store, 1).await;
    sealer.abort();

    let restored = open(&copy);
    assert_eq!(restored.log_id(), store.log_id());
    assert_history_is_the_store(&restored, &archive).await;
    append(&*restored, SEGMENT_POSITIONS).await;
    assert_history_is_the_store(&restored, &archive).await;
    let sealer = started(&restored, &archive);
    let sealed = async {
        while archive.set_aside(restored.log_id()).await.unwrap() != (1, lost[0].bytes)
            || !archive.verify(&*restored, 0, usize::MAX).await.unwrap().is_sound()
            || archive.segments(restored.log_id()).await.unwrap().is_empty()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), sealed).await.expect("the sealer puts aside what the store lost, and seals anew");
    sealer.abort();
    assert_history_is_the_store(&restored, &archive).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn only_who_leads_seals() {
    let place = store_of(SEGMENT_POSITIONS).await;
    let archive = archive(&place);
    let sealer = Sealer::new(Arc::clone(&place.store), archive.clone(), FAST);
    let (lead, watched) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(async move { sealer.run_while(watched, |leads| *leads).await });
    // Ten looks of a sealer that is at work.
    tokio::time::sleep(10 * FAST.look_again).await;
    assert_eq!(archive.segments(place.store.log_id()).await.unwrap(), []);
    lead.send_replace(true);
    segments(&archive, &*place.store, 1).await;
    drop(lead);
    timeout(Duration::from_secs(60), running).await.expect("it ends with whoever tells it").unwrap();
}
