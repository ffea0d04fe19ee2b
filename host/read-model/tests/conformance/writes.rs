//! What a commit does: its lists in order, whole or not at all, and only for who holds the checkpoint.

use std::sync::Arc;

use reel_events::Place as EventPlace;
use reel_projector::change::RowFilter;
use reel_projector::ports::{Commit, CommitError, DeadLetter, DeadLetterReason};
use reel_projector::{Checkpoint, Row, TableWrites, Value, Writes};
use uuid::Uuid;

use crate::place::Place;
use crate::samples::{LOG, all, ask, commit, deploy, int, note, notes, point, text, upsert, write, writes};

fn by(id: i64, author: Value) -> Row {
    [int(id), text("words"), Value::Null, author].into()
}

pub(crate) async fn lists_apply_in_order(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let before =
        vec![by(1, text("ann")), by(2, text("ann")), by(3, text("bob")), by(4, text("bob")), by(5, text("cy"))];
    upsert(target, &generation, 0, before).await;
    let of_table = TableWrites {
        delete_where: vec![
            RowFilter { equal: [(3, text("ann"))].into() },
            RowFilter { equal: [(3, text("cy")), (0, int(4))].into() },
        ],
        deletes: vec![[int(3)].into(), [int(99)].into()],
        upserts: vec![by(2, text("dee")), by(4, text("eve")), by(6, text("ann"))],
        ..TableWrites::default()
    };
    let model = target.read_model(&generation);
    write(model.as_ref(), 2, &writes(&generation, 0, of_table)).await.unwrap();
    let rows = ask(target, &generation, &all(&generation, 0)).await;
    assert_eq!(rows, [by(2, text("dee")), by(4, text("eve")), by(5, text("cy")), by(6, text("ann"))]);
    assert_eq!(target.checkpoints(generation.id).await.unwrap()[0].point, point(2));
}

pub(crate) async fn a_row_is_replaced_whole(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    upsert(target, &generation, 0, vec![note(1, "first")]).await;
    let bare: Row = [int(1), Value::Null, Value::Null, Value::Null].into();
    upsert(target, &generation, 0, vec![bare.clone()]).await;
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, [bare]);
}

/// More of them than an adapter may find worth a way of their own; some are there all the same.
pub(crate) async fn rows_that_are_taken_for_new_ones(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let model = target.read_model(&generation);
    let mut expected = std::collections::BTreeMap::new();
    let commits = [(0..2_500, 0..0), (2_500..5_000, 17..20), (4_000..6_500, 40..43), (6_500..9_000, 0..1_200)];
    for (at, (new, others)) in (1..).zip(commits) {
        let words = format!("of commit {at}");
        let likely_new = new.clone().count();
        let ids: Vec<i64> = new.chain(others).collect();
        let upserts: Vec<Row> = ids.iter().map(|id| note(*id, &words)).collect();
        expected.extend(ids.into_iter().zip(upserts.clone()));
        let of_table = TableWrites { upserts, likely_new, ..TableWrites::default() };
        write(model.as_ref(), at, &writes(&generation, 0, of_table)).await.unwrap();
        let rows = ask(target, &generation, &all(&generation, 0)).await;
        assert!(rows.into_iter().eq(expected.values().cloned()), "behind commit {at}");
    }
}

pub(crate) async fn tables_of_keys_only(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let pair = |left: &str, right: u128| -> Row { [text(left), Value::Uuid(Uuid::from_u128(right))].into() };
    upsert(target, &generation, 2, vec![pair("a", 1), pair("a", 2)]).await;
    upsert(target, &generation, 2, vec![pair("a", 2), pair("b", 1)]).await;
    let deletes = TableWrites { deletes: vec![pair("a", 1)], ..TableWrites::default() };
    let model = target.read_model(&generation);
    write(model.as_ref(), 3, &writes(&generation, 2, deletes)).await.unwrap();
    assert_eq!(ask(target, &generation, &all(&generation, 2)).await, [pair("a", 2), pair("b", 1)]);
}

pub(crate) async fn deletes_by_null(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    upsert(target, &generation, 0, vec![by(1, Value::Null), by(2, text("ann")), note(3, "x"), note(4, "x")]).await;
    let of_table = TableWrites {
        delete_where: vec![
            RowFilter { equal: [(3, Value::Null), (1, text("words"))].into() },
            RowFilter { equal: [(3, Value::Null), (0, int(4))].into() },
        ],
        ..TableWrites::default()
    };
    let model = target.read_model(&generation);
    write(model.as_ref(), 2, &writes(&generation, 0, of_table)).await.unwrap();
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, [by(2, text("ann")), note(3, "x")]);
    let only_null =
        TableWrites { delete_where: vec![RowFilter { equal: [(3, Value::Null)].into() }], ..TableWrites::default() };
    write(model.as_ref(), 3, &writes(&generation, 0, only_null)).await.unwrap();
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, [by(2, text("ann"))]);
}

pub(crate) async fn a_wrong_checkpoint_writes_nothing(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    upsert(target, &generation, 0, vec![note(1, "first")]).await;
    let model = target.read_model(&generation);
    let right = model.checkpoint(0).await.unwrap().unwrap();
    assert_eq!(right, Checkpoint { log: LOG, point: point(1), layout: 0, epoch: 1 });
    let wrong = [
        Checkpoint { point: point(0), ..right },
        Checkpoint { point: point(2), ..right },
        Checkpoint { point: reel_events::LogPoint { event: Uuid::from_u128(9), ..right.point }, ..right },
        Checkpoint { log: reel_events::LogId(Uuid::from_u128(8)), ..right },
        Checkpoint { layout: 1, ..right },
        Checkpoint { epoch: 2, ..right },
    ];
    let of_table = TableWrites { upserts: vec![note(2, "second")], ..TableWrites::default() };
    let writes = writes(&generation, 0, of_table);
    for from in wrong {
        let error = model.commit(commit(from, 2, &writes)).await.unwrap_err();
        let CommitError::Superseded { shard: 0, expected, found } = error else { panic!("{error}") };
        assert_eq!((expected, found), (from.point.position, Some(right)));
    }
    let nobody = Commit { shard: 1, ..commit(right, 2, &writes) };
    let error = model.commit(nobody).await.unwrap_err();
    assert!(matches!(error, CommitError::Superseded { shard: 1, found: None, .. }), "{error}");
    assert_eq!(model.checkpoint(1).await.unwrap(), None);
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, [note(1, "first")]);
    model.commit(commit(right, 2, &writes)).await.unwrap();
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await.len(), 2);
}

pub(crate) async fn an_older_epoch_writes_nothing(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let model = target.read_model(&generation);
    let first = target.take(generation.id).await.unwrap();
    let second = place.reopen().await.unwrap().take(generation.id).await.unwrap();
    assert_eq!((first[0].epoch, second[0].epoch), (2, 3));
    let nothing = Writes::default();
    let error = model.commit(commit(first[0], 1, &nothing)).await.unwrap_err();
    assert!(matches!(error, CommitError::Superseded { .. }), "{error}");
    model.commit(commit(second[0], 1, &nothing)).await.unwrap();
    assert_eq!(target.generations().await.unwrap()[0].epoch, 3);
}

/// A place in the middle partition of some.
fn at(position: u64) -> EventPlace {
    EventPlace::in_partition(1, position).unwrap()
}

fn letter(position: u64, reason: DeadLetterReason) -> DeadLetter {
    DeadLetter {
        position: at(position),
        event: Uuid::from_u128(u128::from(position)),
        stream: format!("post-{}", position % 2),
        kind: "post-created".to_owned(),
        reason,
        code: "rejected".to_owned(),
        message: "it said 'no' 😀".to_owned(),
        original: (position == 3).then(|| "{\"value\":\"\\u0000 😀\"}".to_owned()),
    }
}

pub(crate) async fn dead_letters_come_and_go(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let model = target.read_model(&generation);
    let letters: Vec<DeadLetter> = [DeadLetterReason::Skipped, DeadLetterReason::Parked, DeadLetterReason::Held]
        .into_iter()
        .zip(3..)
        .map(|(reason, position)| letter(position, reason))
        .collect();
    let nothing = Writes::default();
    let start = model.checkpoint(0).await.unwrap().unwrap();
    model.commit(Commit { dead_letters: &letters, ..commit(start, 5, &nothing) }).await.unwrap();
    assert_eq!(target.dead_letters(generation.id, EventPlace::START, 10).await.unwrap(), letters);
    assert_eq!(target.dead_letters(generation.id, at(3), 1).await.unwrap(), letters[1..2]);

    let again = DeadLetter { message: "twice".to_owned(), ..letters[0].clone() };
    let five = Checkpoint { point: point(5), ..start };
    let put =
        Commit { dead_letters: std::slice::from_ref(&again), settled: &[at(4), at(5)], ..commit(five, 6, &nothing) };
    model.commit(put).await.unwrap();
    assert_eq!(target.dead_letters(generation.id, EventPlace::START, 10).await.unwrap(), [again]);

    let six = Checkpoint { point: point(6), ..start };
    let done_before = Commit { settled: &[at(4)], ..commit(six, 6, &nothing) };
    assert!(matches!(model.commit(done_before).await, Err(CommitError::Superseded { .. })));

    let stale = Commit { settled: &[at(3)], ..commit(five, 6, &nothing) };
    model.commit(stale).await.unwrap_err();
    assert_eq!(target.dead_letters(generation.id, EventPlace::START, 10).await.unwrap().len(), 1);
}

pub(crate) async fn many_rows_in_one_commit(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let rows: Vec<Row> = (0..25_000).map(|id| note(id, "many")).collect();
    upsert(target, &generation, 0, rows.clone()).await;
    let keys: Vec<Box<[Value]>> = (0..25_000).map(|id| [int(id * 2)].into()).collect();
    let found = target.read_model(&generation).read(0, &keys).await.unwrap();
    assert!(found[..12_500].iter().all(Option::is_some) && found[12_500..].iter().all(Option::is_none));
    let deletes = TableWrites { deletes: keys, ..TableWrites::default() };
    let model = target.read_model(&generation);
    write(model.as_ref(), 2, &writes(&generation, 0, deletes)).await.unwrap();
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await.len(), 12_500);
}
