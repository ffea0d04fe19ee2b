//! How changes travel: collected, sent in few calls, and before anything is read.

use reel_sdk::{
    Event, Events, Reject, Rows, Table,
    abi::{ChangeBatch, Operation, RowBatch, Value, bytes},
    projection,
    rows::Host,
};

#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "notes", owner = id, index(author))]
struct Note {
    #[key(length = 36)]
    id: String,
    #[length(64)]
    author: String,
    text: String,
    pinned: Option<i64>,
}

#[derive(Events)]
enum NoteEvent {
    #[kind("note-*")]
    Any,
}

/// Declares the table; what is tested is what lies below.
#[projection(name = "notes", version = "1.0.0", tables(Note))]
fn notes(event: Event<NoteEvent>, _rows: &mut Rows) -> Result<(), Reject> {
    let NoteEvent::Any = event.payload;
    Ok(())
}

/// Writes down what it is told; knows one row, if any.
#[derive(Default)]
struct Recorder {
    calls: Vec<String>,
    cells: usize,
    row: Option<Note>,
}

impl Host for Recorder {
    fn emit(&mut self, batch: &ChangeBatch) {
        let cells: usize = batch.changes.iter().map(|change| usize::from(change.cells)).sum();
        assert_eq!(cells, batch.cells.len(), "every cell belongs to a change");
        self.cells += cells;
        self.calls.push(format!("emit {}", batch.changes.len()));
    }

    fn get(&mut self, event: u32, table: u16, key: &[Value], heap: &[u8]) -> RowBatch {
        let [Value::Text(id)] = key else { panic!("the key is one text: {key:?}") };
        self.calls
            .push(format!("get {} for event {event} of table {table}", String::from_utf8_lossy(bytes(heap, *id))));
        let mut batch = RowBatch { found: vec![self.row.is_some()], ..RowBatch::default() };
        if let Some(Note { id, author, text, pinned }) = &self.row {
            let mut store = |text: &str| Value::Text(reel_sdk::abi::store(&mut batch.heap, text.as_bytes()));
            batch.values = vec![store(id), store(author), store(text), pinned.map_or(Value::Null, Value::Int)];
        }
        batch
    }
}

fn note() -> Note {
    Note { id: "1".into(), author: "ann".into(), text: "x".into(), pinned: None }
}

#[test]
fn changes_of_many_events_are_one_call() {
    let mut host = Recorder::default();
    let mut rows = Rows::new(&mut host);
    for event in 0..100 {
        rows.begin_event(event);
        rows.upsert(note());
        rows.patch(Note::key("1"), (Note::TEXT.set("y"), Note::PINNED.set(3)));
        rows.delete_where((Note::AUTHOR.eq("eve"), Note::ID.eq("1")));
    }
    rows.flush();
    rows.flush();
    assert_eq!((host.calls, host.cells), (vec!["emit 300".to_owned()], 100 * (4 + 3 + 2)));
}

#[test]
fn a_batch_is_sent_when_it_is_big() {
    let mut host = Recorder::default();
    let mut rows = Rows::new(&mut host);
    for _ in 0..1_200 {
        rows.delete(Note::key("1"));
    }
    rows.upsert(Note { text: "x".repeat(1 << 20), ..note() });
    rows.delete(Note::key("1"));
    rows.flush();
    assert_eq!(host.calls, ["emit 500", "emit 500", "emit 201", "emit 1"]);
}

#[test]
fn what_was_changed_is_sent_before_a_row_is_read() {
    let mut host = Recorder { row: Some(Note { pinned: Some(7), ..note() }), ..Recorder::default() };
    let mut rows = Rows::new(&mut host);
    rows.begin_event(4);
    rows.upsert(note());
    assert_eq!(rows.get(Note::key("1")), Some(Note { pinned: Some(7), ..note() }));
    rows.delete(Note::key("1"));
    rows.flush();
    assert_eq!(host.calls, ["emit 1", "get 1 for event 4 of table 0", "emit 1"]);
}

#[test]
fn a_row_that_is_not_there_is_nothing() {
    let mut host = Recorder::default();
    assert_eq!(Rows::new(&mut host).get(Note::key("1")), None);
}

#[test]
fn a_change_names_its_key_and_then_its_columns() {
    struct Look;
    impl Host for Look {
        fn emit(&mut self, batch: &ChangeBatch) {
            let columns: Vec<u16> = batch.cells.iter().map(|cell| cell.column).collect();
            assert_eq!(columns, [0, 3, 2]);
            assert_eq!(batch.cells[1].value, Value::Null);
            assert_eq!(batch.changes[0].operation, Operation::PatchIfPresent);
        }

        fn get(&mut self, _: u32, _: u16, _: &[Value], _: &[u8]) -> RowBatch {
            unreachable!("nothing is read")
        }
    }
    let mut host = Look;
    let mut rows = Rows::new(&mut host);
    rows.patch_if_present(Note::key("1"), (Note::PINNED.null(), Note::TEXT.set(&String::from("z"))));
    rows.flush();
}
