//! Any events become segments and the same events again, whatever is asked for; the bytes are the same whoever writes them, and are read
//! for ever.

use std::{num::NonZeroU32, path::PathBuf, sync::Arc};

use proptest::prelude::*;
use reel_event_log::{
    ReadLimit,
    archive::{SEGMENT_BYTES, SEGMENT_POSITIONS, Segment, SegmentBuilder, SegmentName, range_end},
    history::{Kinds, Sharing, Span, Wanted},
};
use reel_events::{CanonicalJson, Event, EventKind, LogPoint, StreamId, Timestamp, partition_of};
use uuid::Uuid;

use crate::samples::{ALL, LOG, any_events, archived, events, memory, plain, sealed};

/// What a reader may want.
#[derive(Debug, Clone)]
struct Asked {
    after: u64,
    until: Option<u64>,
    portion: ReadLimit,
    prefix: Option<&'static str>,
    sharing: Sharing,
}

fn asked() -> impl Strategy<Value = Asked> {
    let prefix = prop_oneof![Just(None), Just(Some("post-")), Just(Some("z")), Just(Some("nothing"))];
    let sharing = prop_oneof![
        Just(Sharing::Whole),
        (0..3u32).prop_map(|shard| Sharing::One { shard, of: 3 }),
        (1..4u32).prop_map(Sharing::Each),
        (1..4u32, 0..4u32, 1..4u32).prop_map(|(of, part, shards)| Sharing::Part { part: part % of, of, shards }),
    ];
    (0..30u64, proptest::option::of(20..70u64), 1..20usize, 1..400usize, prefix, sharing).prop_map(
        |(after, until, events, bytes, prefix, sharing)| Asked {
            after,
            until,
            portion: ReadLimit { events, bytes },
            prefix,
            sharing,
        },
    )
}

impl Asked {
    fn wanted(&self) -> Wanted {
        let kinds = match self.prefix {
            Some(prefix) => Kinds::Matching(Arc::new(move |kind: &str| kind.starts_with(prefix))),
            None => Kinds::All,
        };
        Wanted { kinds, sharing: self.sharing }
    }

    /// Which of these events belong into batch `batch`, read through `end`.
    fn expected(&self, all: &[Event], batch: usize, end: u64) -> Vec<Event> {
        let here = |event: &&Event| match self.sharing {
            Sharing::Whole => true,
            Sharing::One { shard, of } => partition_of(event.stream.as_str(), of) == shard,
            Sharing::Each(shards) => partition_of(event.stream.as_str(), shards) as usize == batch,
            Sharing::Part { part, of, shards } => {
                partition_of(event.stream.as_str(), of * shards) == part + of * batch as u32
            }
        };
        let wanted = |event: &&Event| self.prefix.is_none_or(|prefix| event.kind.as_str().starts_with(prefix));
        let within = |event: &&Event| event.position > self.after && event.position <= end;
        all.iter().filter(within).filter(wanted).filter(here).cloned().collect()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_events_are_read_as_they_were_sealed(
        all in any_events(1, 1..80),
        cuts in proptest::collection::vec(1..80usize, 0..4),
        asked in asked(),
    ) {
        runtime().block_on(async {
            let archive = memory();
            let mut ends = Vec::new();
            let mut segment: Vec<&Event> = Vec::new();
            for (nth, event) in all.iter().enumerate() {
                segment.push(event);
                if cuts.contains(&nth) || nth + 1 == all.len() {
                    ends.push(event.position);
                    archive.put(sealed(LOG, std::mem::take(&mut segment))).await.unwrap();
                }
            }
            let span = Span { after: asked.after, until: asked.until, portion: asked.portion };
            let portions = archived(&archive, span, asked.wanted()).await.unwrap();
            // An archive alone is read in whole segments.
            let end = ends.into_iter().rfind(|end| asked.until.is_none_or(|until| *end <= until)).unwrap_or(0);
            for batch in 0..asked.sharing.batches() {
                assert_eq!(events(&portions, batch), asked.expected(&all, batch, end));
            }
            for portion in &portions {
                assert!(portion.events() <= asked.portion.events);
            }
            if end > asked.after {
                let last = &all[end as usize - 1];
                let through = portions.last().unwrap().through;
                assert_eq!(through, LogPoint { position: last.position, event: last.id });
            }
        });
    }

    #[test]
    fn the_same_events_give_the_same_bytes(all in any_events(65_000, 1..60)) {
        prop_assert_eq!(sealed(LOG, &all), sealed(LOG, &all));
    }
}

#[test]
fn a_segment_ends_at_a_multiple_of_its_positions_or_where_it_is_large() {
    assert_eq!([1, 65_536, 65_537].map(range_end), [65_536, 65_536, 131_072]);
    let mut builder = SegmentBuilder::new(LOG, SEGMENT_POSITIONS - 1);
    plain(SEGMENT_POSITIONS - 1..=SEGMENT_POSITIONS).for_each(|event| {
        assert!(!builder.is_full());
        builder.push(event.as_ref());
    });
    assert!(builder.is_full());

    let mut builder = SegmentBuilder::new(LOG, 1);
    let payload = CanonicalJson::trusted(&format!("\"{}\"", "x".repeat(SEGMENT_BYTES / 4)));
    let count = plain(1..=100)
        .take_while(|event| {
            let room = !builder.is_full();
            if room {
                builder.push(Event { payload: payload.clone(), ..event.clone() }.as_ref());
            }
            room
        })
        .count();
    assert_eq!(count, 4);
}

#[tokio::test]
async fn more_kinds_than_fit_the_first_fetch_are_read() {
    let archive = memory();
    let kind = |position: u64| EventKind::new(&format!("kind-{position}-{}", "k".repeat(100))).unwrap();
    let all: Vec<_> = plain(1..=2_000).map(|event| Event { kind: kind(event.position), ..event }).collect();
    archive.put(sealed(LOG, &all)).await.unwrap();
    let portions = archived(&archive, ALL, Wanted::default()).await.unwrap();
    assert_eq!(events(&portions, 0), all);
}

/// One event of each sort, over two kinds: plain, with metadata, imported, redacted.
fn golden_events() -> Vec<Event> {
    let event = |nth: u64, payload: &str, metadata: &str| Event {
        position: 40 + nth,
        version: 5 + nth,
        id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + u128::from(nth)),
        stream: StreamId::new(["post-straße/1", "file:a-b"][nth as usize / 2]).unwrap(),
        kind: EventKind::new(["post-created", "com.example/Post:v1_x"][nth as usize % 2]).unwrap(),
        schema: nth as u16 * 300 + 1,
        recorded_at: Timestamp::from_micros(if nth == 2 { -1 } else { 1_700_000_000_123_456 + nth as i64 }),
        payload: CanonicalJson::trusted(payload),
        metadata: CanonicalJson::trusted(metadata),
    };
    vec![
        event(0, r#"{"message":"héllo \"you\"\n","n":[1,1.5,-9223372036854775808,1e300,null,true]}"#, ""),
        event(1, r#""text""#, r#"{"source":"git/restate","attempt":3}"#),
        event(2, "null", r#"{"actor":{"id":7}}"#),
        event(3, "", r#"{"redacted":"2024-01-01T00:00:00Z"}"#),
    ]
}

fn golden_segment() -> Segment {
    let mut builder = SegmentBuilder::new(LOG, 40);
    golden_events().iter().for_each(|event| builder.push(event.as_ref()));
    builder.seal(NonZeroU32::new(3).unwrap())
}

fn golden_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/segment-1.reelseg")
}

#[test]
#[ignore = "writes the golden file of a new format; that of a released one never changes"]
fn write_golden_file() {
    std::fs::write(golden_path(), golden_segment().bytes).unwrap();
}

#[tokio::test]
async fn the_golden_segment_is_read() {
    let name = SegmentName { log: LOG, first: 40, last: 43, revision: 3 };
    let archive = memory();
    archive.put(Segment { name, bytes: std::fs::read(golden_path()).unwrap() }).await.unwrap();
    let portions = archived(&archive, Span { after: 39, ..ALL }, Wanted::default()).await.unwrap();
    assert_eq!(events(&portions, 0), golden_events());
    assert_eq!(portions.last().unwrap().through, LogPoint { position: 43, event: golden_events()[3].id });
}
