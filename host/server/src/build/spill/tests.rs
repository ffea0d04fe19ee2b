//! What an attempt left is taken over part by part, or said to be of no use.

use std::collections::HashSet;
use std::ops::Range;

use reel_events::{EventBatch, EventRef, LogId, Place, Timestamp};
use reel_projector::ports::{ApplyError, DeadLetterReason, FailurePolicy, Sink};
use reel_projector::{BulkShard, Cell, Change, Operation, Plugin, Row, RunSettings, Value, ValueRef};
use reel_read_model::{Condition, Generation, GenerationId, GenerationState, Promotion};

use super::super::passes::Beyond;
use super::super::record::{Input, Owner, RECORD};
use super::*;

const MANIFEST: &str = r#"{"manifest": 1, "name": "things", "version": "1", "kinds": ["*"], "tables": [
    {"name": "things", "key": ["id"], "owner": {"column": "id", "holds": "stream-key"}, "columns": [
        {"name": "id", "type": "text", "length": 40}, {"name": "seen", "type": "int64"}]}]}"#;

/// A row for each stream.
struct Things;

impl Plugin for Things {
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, sink: &mut dyn Sink) -> Result<(), ApplyError> {
        for event in range {
            let id = Cell { column: 0, value: ValueRef::Text(batch.get(event).stream_key().as_bytes()) };
            let seen = Cell { column: 1, value: ValueRef::Int(batch.get(event).position as i64) };
            sink.emit(Change { event, table: 0, operation: Operation::Upsert, cells: &[id, seen] })?;
        }
        Ok(())
    }
}

fn manifest() -> Arc<Manifest> {
    Arc::new(Manifest::parse(MANIFEST).unwrap())
}

fn settings() -> RunSettings {
    RunSettings { on_failure: FailurePolicy::Skip, let_go: HashSet::new(), parked: HashSet::new(), most_events: 100 }
}

fn point(position: u64) -> LogPoint {
    LogPoint { position, event: Uuid::from_u128(u128::from(position)) }
}

/// What is folded of one event for each of these streams.
fn folded(streams: &[&str]) -> Vec<FoldedShard> {
    let mut batch = EventBatch::new();
    for (stream, position) in streams.iter().zip(1..) {
        let stream = &*format!("thing-{stream}");
        let (id, kind, payload, metadata) = (point(position).event, "seen", "{}", "{}");
        let (version, schema, recorded_at) = (1, 1, 0);
        batch.push(EventRef { id, stream, version, position, kind, schema, recorded_at, payload, metadata });
    }
    let mut shard = BulkShard::new(manifest(), Box::new(Things), settings(), 1);
    shard.apply(batch, point(streams.len() as u64)).unwrap();
    vec![shard.finish().0]
}

fn generation() -> Generation {
    Generation {
        id: GenerationId(7),
        projection: "things".to_owned(),
        number: 3,
        digest: "d".to_owned(),
        manifest: manifest(),
        settings: "{}".to_owned(),
        on_failure: FailurePolicy::Skip,
        promotion: Promotion::Automatic,
        state: GenerationState::Build,
        condition: Condition::Running,
        log: LogId(Uuid::from_u128(1)),
        shards: 1,
        epoch: 1,
        created_at: Timestamp::from_micros(1_000),
        promoted_at: None,
    }
}

fn wanted(generation: &Generation, settings: &RunSettings, beyond: Beyond) -> Record {
    Record::new(Owner::of("default", generation), Input::of(generation, settings), beyond)
}

fn spill(directory: &Path, wanted: Record) -> Spill {
    Spill::new(directory, wanted, Arc::default())
}

fn part(part: u32) -> Part {
    Part { part, of: 3 }
}

fn letter(position: u64) -> DeadLetter {
    DeadLetter {
        position: Place::global(position).unwrap(),
        event: point(position).event,
        stream: "thing-x".to_owned(),
        kind: "seen".to_owned(),
        reason: DeadLetterReason::Skipped,
        code: "row-missing".to_owned(),
        message: "there is none".to_owned(),
        original: None,
    }
}

/// Two of three parts are put aside.
fn two_of_three(directory: &Path) {
    let mut spill = spill(directory, wanted(&generation(), &settings(), Beyond::Split));
    let done = |number, left, aside| Done { part: part(number), through: point(9), left, aside };
    spill.put(&manifest(), folded(&["b", "d"]), done(0, vec![part(2), part(1)], vec![letter(4)])).unwrap();
    spill.put(&manifest(), folded(&["a"]), done(1, vec![part(2)], Vec::new())).unwrap();
}

fn taken_over(directory: &Path, wanted: Record) -> Result<(Spill, Vec<DeadLetter>), Unfit> {
    let mut spill = spill(directory, wanted);
    let aside = spill.take_over()?;
    Ok((spill, aside))
}

fn rows(spill: Spill, at_hand: Vec<FoldedShard>) -> Vec<Row> {
    let mut tables = merge(&manifest(), at_hand);
    spill.give_back(&mut tables);
    tables[0].next(100).unwrap()
}

fn row(id: &str, seen: i64) -> Row {
    Row::from(vec![Value::Text(id.into()), Value::Int(seen)])
}

/// The files beside the record, by their endings.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

#[test]
fn what_is_put_aside_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("one");
    two_of_three(&directory);
    // Half a file of an attempt that was killed while it wrote.
    fs::write(directory.join("half.rows"), "half").unwrap();
    let (spill, aside) = taken_over(&directory, wanted(&generation(), &settings(), Beyond::Split)).unwrap();
    assert_eq!(spill.stands(), Some((&[part(2)][..], 2, point(9))));
    assert_eq!(aside, [letter(4)]);
    assert_eq!(files(&directory, "rows").len(), 2, "what no record names is let go of");
    assert_eq!(rows(spill, folded(&["c"])), [row("a", 1), row("b", 1), row("c", 1), row("d", 2)]);
}

#[test]
fn the_last_part_is_kept_and_stays_at_hand() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("one");
    two_of_three(&directory);
    let (mut spill, _) = taken_over(&directory, wanted(&generation(), &settings(), Beyond::Split)).unwrap();
    let last = folded(&["c"]);
    let done = Done { part: part(2), through: point(9), left: Vec::new(), aside: vec![letter(6)] };
    spill.keep(&last, done).unwrap();
    let all = [row("a", 1), row("b", 1), row("c", 1), row("d", 2)];
    assert_eq!(rows(spill, last), all, "each row comes once");
    let (spill, aside) = taken_over(&directory, wanted(&generation(), &settings(), Beyond::Split)).unwrap();
    assert_eq!(spill.stands(), Some((&[][..], 3, point(9))));
    assert_eq!(aside, [letter(4), letter(6)]);
    assert_eq!(rows(spill, Vec::new()), all);
}

#[test]
fn a_kill_at_any_moment_of_writing_leaves_the_parts_before() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("one");
    two_of_three(&directory);
    // The third part's file is whole, its record is torn in the place where it was written, and has not got its name.
    fs::write(directory.join("third.rows"), "rows").unwrap();
    fs::write(directory.join("build.json.next"), "0123").unwrap();
    let (spill, _) = taken_over(&directory, wanted(&generation(), &settings(), Beyond::Split)).unwrap();
    assert_eq!(spill.stands(), Some((&[part(2)][..], 2, point(9))));
    // A directory with nothing in it is a build that was killed before its first record.
    let empty = folder.path().join("two");
    fs::create_dir(&empty).unwrap();
    let (spill, _) = taken_over(&empty, wanted(&generation(), &settings(), Beyond::Split)).unwrap();
    assert_eq!(spill.stands(), None);
}

/// What is spoiled, and how.
type Spoiler = (&'static str, fn(&Path));

#[test]
fn a_record_that_is_torn_or_flipped_is_of_no_use() {
    for spoil in [cut, flip] {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("one");
        two_of_three(&directory);
        spoil(&directory.join(RECORD));
        let unfit = taken_over(&directory, wanted(&generation(), &settings(), Beyond::Split)).err();
        assert!(unfit.as_ref().is_some_and(|unfit| unfit.0.contains("record is not as it was written")), "{unfit:?}");
    }
}

/// The names of the first part's file of rows, or of dead letters.
fn first_part(directory: &Path, file: fn(&Kept) -> &Sealed) -> PathBuf {
    let record = Record::read(directory).unwrap().unwrap();
    directory.join(&file(&record.parts[0]).name)
}

#[test]
fn a_part_that_is_torn_or_flipped_or_gone_is_folded_again_and_the_others_are_kept() {
    let spoilers: [Spoiler; 4] = [
        ("rows that end early", |at| cut(&first_part(at, |kept| &kept.runs[0].file))),
        ("a bit of the rows", |at| flip(&first_part(at, |kept| &kept.runs[0].file))),
        ("a bit of the dead letters", |at| flip(&first_part(at, |kept| &kept.letters))),
        ("rows that are gone", |at| fs::remove_file(first_part(at, |kept| &kept.runs[0].file)).unwrap()),
    ];
    for (what, spoil) in spoilers {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("one");
        two_of_three(&directory);
        spoil(&directory);
        let (mut spill, aside) = taken_over(&directory, wanted(&generation(), &settings(), Beyond::Split)).unwrap();
        assert_eq!(spill.stands(), Some((&[part(2), part(0)][..], 1, point(9))), "{what}");
        assert_eq!(aside, [], "{what}: its dead letters come again");
        assert_eq!(files(&directory, "rows").len(), 1, "{what}");
        let done = Done { part: part(0), through: point(9), left: vec![part(2)], aside: vec![letter(4)] };
        spill.put(&manifest(), folded(&["b", "d"]), done).unwrap();
        let (spill, aside) = taken_over(&directory, wanted(&generation(), &settings(), Beyond::Split)).unwrap();
        assert_eq!((spill.stands(), aside), (Some((&[part(2)][..], 2, point(9))), vec![letter(4)]), "{what}");
        assert_eq!(rows(spill, folded(&["c"])), [row("a", 1), row("b", 1), row("c", 1), row("d", 2)], "{what}");
    }
}

#[test]
fn where_no_part_is_whole_history_is_folded_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("one");
    two_of_three(&directory);
    files(&directory, "rows").iter().for_each(|file| cut(file));
    let (spill, aside) = taken_over(&directory, wanted(&generation(), &settings(), Beyond::Split)).unwrap();
    assert_eq!((spill.stands(), aside), (None, Vec::new()));
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_does_not_fit_is_of_no_use() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("one");
    two_of_three(&directory);
    let of = |change: fn(&mut Generation)| {
        let mut generation = generation();
        change(&mut generation);
        wanted(&generation, &settings(), Beyond::Split)
    };
    let let_go = RunSettings { let_go: HashSet::from([Place::global(4).unwrap()]), ..settings() };
    let halting = RunSettings { on_failure: FailurePolicy::Halt, ..settings() };
    let cases = [
        (of(|generation| generation.id = GenerationId(8)), "another generation"),
        (of(|generation| generation.created_at = Timestamp::from_micros(2_000)), "another generation"),
        (of(|generation| generation.log = LogId(Uuid::from_u128(2))), "another log"),
        (of(|generation| generation.digest = "e".to_owned()), "the component"),
        (of(|generation| generation.settings = r#"{"a":1}"#.to_owned()), "its settings"),
        (wanted(&generation(), &let_go, Beyond::Split), "the policy"),
        (wanted(&generation(), &halting, Beyond::Split), "the policy"),
        (wanted(&generation(), &settings(), Beyond::End), "shared out"),
    ];
    for (wanted, why) in cases {
        let unfit = taken_over(&directory, wanted.clone()).err();
        assert!(unfit.as_ref().is_some_and(|unfit| unfit.0.contains(why)), "{wanted:?}: {unfit:?}");
    }
}

#[test]
fn what_one_worker_folded_of_all_streams_is_good_for_several() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("one");
    let mut alone = spill(&directory, wanted(&generation(), &settings(), Beyond::End));
    let done = Done { part: Part { part: 0, of: 1 }, through: point(5), left: Vec::new(), aside: Vec::new() };
    alone.keep(&folded(&["a"]), done).unwrap();
    let (spill, _) = taken_over(&directory, wanted(&generation(), &settings(), Beyond::Split)).unwrap();
    assert_eq!(spill.stands(), Some((&[][..], 1, point(5))));
}

#[test]
fn who_is_given_up_writes_no_more_and_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("one");
    two_of_three(&directory);
    let (mut spill, _) = taken_over(&directory, wanted(&generation(), &settings(), Beyond::Split)).unwrap();
    spill.given_up.store(true, Ordering::Relaxed);
    let done = Done { part: part(2), through: point(9), left: Vec::new(), aside: Vec::new() };
    assert!(spill.keep(&folded(&["c"]), done).is_err());
    assert_eq!(files(&directory, "rows").len(), 2);
    assert!(spill.take_over().is_err());
    assert_eq!(files(&directory, "rows").len(), 2);
    let (spill, _) = taken_over(&directory, wanted(&generation(), &settings(), Beyond::Split)).unwrap();
    assert_eq!(spill.stands(), Some((&[part(2)][..], 2, point(9))));
}
