//! Many events in one piece of memory: fixed-size records, and one heap for all that varies in length. This is the form in
//! which events travel from a source through the host into a plugin; nothing is allocated per event.
//!
//! Out of a foreign topic come messages, too, that are no events. They stand among the events, marked, so that whoever applies the
//! batch decides about them in their order.

use std::{ops::Range, sync::Arc};

use uuid::Uuid;

use crate::{CanonicalJson, Event, EventKind, Place, StreamId, Texts, Timestamp, foreign::Unreadable, stream};

/// `length` bytes of a heap, from `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub offset: u32,
    /// Number of bytes.
    pub length: u32,
}

#[derive(Debug, Clone)]
struct Record {
    position: u64,
    version: u64,
    recorded_at: i64,
    id: Uuid,
    schema: u16,
    stream: Span,
    kind: Span,
    payload: Span,
    metadata: Span,
}

/// Events in the order of their positions.
#[derive(Debug, Clone, Default)]
pub struct EventBatch {
    records: Vec<Record>,
    /// Texts that other batches have too. Offsets of spans count through these first, then through `heap`.
    shared: Option<Arc<Texts>>,
    /// Texts that this batch has for itself.
    heap: String,
    /// Bytes of the shared texts that belong to events of this batch.
    shared_bytes: usize,
    /// Whose positions they are; nothing where they are those of Reel's own log.
    partition: Option<u32>,
    /// What is no event, by its index; in order.
    unreadable: Vec<(usize, Arc<Unreadable>)>,
}

/// One event of a batch, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRef<'a> {
    /// See [`Event::position`].
    pub position: u64,
    /// See [`Event::version`].
    pub version: u64,
    /// See [`Event::id`].
    pub id: Uuid,
    /// The stream's id, as text.
    pub stream: &'a str,
    /// The kind, as text.
    pub kind: &'a str,
    /// See [`Event::schema`].
    pub schema: u16,
    /// Microseconds since the epoch, UTC.
    pub recorded_at: i64,
    /// Canonical JSON; empty where the event was redacted.
    pub payload: &'a str,
    /// A canonical JSON object; empty where there is none.
    pub metadata: &'a str,
}

impl EventBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> EventBatch {
        EventBatch::default()
    }

    /// An empty batch with room for so many events with so many bytes of text.
    #[must_use]
    pub fn with_capacity(events: usize, bytes: usize) -> EventBatch {
        EventBatch { records: Vec::with_capacity(events), heap: String::with_capacity(bytes), ..EventBatch::default() }
    }

    /// An empty batch of events of one partition of a foreign topic, whose positions are those of that partition only.
    #[must_use]
    pub fn of_partition(partition: u32) -> EventBatch {
        EventBatch { partition: Some(partition), ..EventBatch::default() }
    }

    /// An empty batch for events whose texts are parts of `texts`: those are not copied.
    #[must_use]
    pub fn over(texts: Arc<Texts>) -> EventBatch {
        EventBatch { shared: Some(texts), ..EventBatch::default() }
    }

    /// An empty batch of events from where these are.
    #[must_use]
    pub fn like(&self) -> EventBatch {
        EventBatch { partition: self.partition, ..EventBatch::default() }
    }

    /// Makes room for so many events more.
    pub fn reserve(&mut self, events: usize) {
        self.records.reserve(events);
    }

    /// How many events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of the events' texts: what bounds a batch in memory.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.heap.len() + self.shared_bytes
    }

    /// Adds an event behind the last.
    pub fn push(&mut self, event: EventRef<'_>) {
        let record = Record {
            position: event.position,
            version: event.version,
            recorded_at: event.recorded_at,
            id: event.id,
            schema: event.schema,
            stream: self.store(event.stream),
            kind: self.store(event.kind),
            payload: self.store(event.payload),
            metadata: self.store(event.metadata),
        };
        self.records.push(record);
    }

    /// Adds a message behind the last that is no event: `event` says what is known of it all the same.
    pub fn push_unreadable(&mut self, event: EventRef<'_>, why: Unreadable) {
        self.unreadable.push((self.records.len(), Arc::new(why)));
        self.push(event);
    }

    /// What is wrong with the message at `index`; nothing where it is an event.
    #[must_use]
    pub fn unreadable(&self, index: usize) -> Option<&Unreadable> {
        let found = self.unreadable.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(&self.unreadable[found].1)
    }

    /// The first messages in `range` that are no events, in order.
    pub fn all_unreadable(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &Unreadable)> {
        let first = self.unreadable.partition_point(|(index, _)| *index < range.start);
        let behind = self.unreadable[first..].iter();
        behind.take_while(move |(index, _)| *index < range.end).map(|(index, why)| (*index, &**why))
    }

    /// Where the event at `index` stands among all that the host reads.
    ///
    /// # Panics
    /// Where `index` is not below [`EventBatch::len`].
    #[must_use]
    pub fn place(&self, index: usize) -> Place {
        let position = self.records[index].position;
        let place = match self.partition {
            Some(partition) => Place::in_partition(partition, position),
            None => Place::global(position),
        };
        place.expect("a log is shorter, and whoever reads a topic looks at its partitions")
    }

    /// Adds the events of `other` in `range` behind the last; texts that it has for itself are copied in one piece.
    ///
    /// # Panics
    /// Where `range` reaches beyond the end of `other`.
    pub fn append(&mut self, other: &EventBatch, range: Range<usize>) {
        let (from, to) = (range.start, self.records.len());
        let unreadable = other.unreadable.iter().filter(|(index, _)| range.contains(index));
        self.unreadable.extend(unreadable.map(|(index, why)| (index - from + to, Arc::clone(why))));
        if other.shared.is_some() {
            range.for_each(|index| self.push(other.get(index)));
            return;
        }
        let records = &other.records[range];
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return };
        let (start, end) = (first.stream.offset, last.metadata.offset + last.metadata.length);
        let moved = self.heap_end();
        self.heap.push_str(&other.heap[start as usize..end as usize]);
        let here = |span: Span| Span { offset: span.offset - start + moved, length: span.length };
        self.records.extend(records.iter().map(|record| Record {
            stream: here(record.stream),
            kind: here(record.kind),
            payload: here(record.payload),
            metadata: here(record.metadata),
            ..*record
        }));
    }

    /// The event at `index`.
    ///
    /// # Panics
    /// Where `index` is not below [`EventBatch::len`].
    #[must_use]
    pub fn get(&self, index: usize) -> EventRef<'_> {
        let record = &self.records[index];
        EventRef {
            position: record.position,
            version: record.version,
            id: record.id,
            stream: self.text(record.stream),
            kind: self.text(record.kind),
            schema: record.schema,
            recorded_at: record.recorded_at,
            payload: self.text(record.payload),
            metadata: self.text(record.metadata),
        }
    }

    /// The stream of the event at `index`: what [`EventBatch::get`] says of it, without the rest.
    ///
    /// # Panics
    /// Where `index` is not below [`EventBatch::len`].
    #[must_use]
    pub fn stream(&self, index: usize) -> &str {
        self.text(self.records[index].stream)
    }

    /// All events, first to last.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = EventRef<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    fn store(&mut self, text: &str) -> Span {
        let length = text.len() as u32;
        if let Some(offset) = self.shared.as_ref().and_then(|shared| shared.offset_of(text)) {
            self.shared_bytes += text.len();
            return Span { offset: bounded(offset), length };
        }
        let offset = self.heap_end();
        self.heap.push_str(text);
        Span { offset, length }
    }

    fn text(&self, span: Span) -> &str {
        let (offset, length) = (span.offset as usize, span.length as usize);
        match offset.checked_sub(self.shared().len()) {
            Some(offset) => &self.heap[offset..][..length],
            None => &self.shared()[offset..][..length],
        }
    }

    fn shared(&self) -> &str {
        self.shared.as_ref().map_or("", |shared| shared.as_str())
    }

    /// The offset that the next text in `heap` gets.
    fn heap_end(&self) -> u32 {
        bounded(self.shared().len() + self.heap.len())
    }
}

fn bounded(offset: usize) -> u32 {
    u32::try_from(offset).expect("a batch is bounded far below 4 GiB by whoever reads it")
}

impl<'a> EventRef<'a> {
    /// The key part of the stream's id.
    #[must_use]
    pub fn stream_key(&self) -> &'a str {
        stream::key_part(self.stream)
    }

    /// The same event, owned.
    ///
    /// # Panics
    /// Where stream or kind are not of the form that the log accepts; a batch read from a log holds no such event.
    #[must_use]
    pub fn to_event(&self) -> Event {
        Event {
            position: self.position,
            version: self.version,
            id: self.id,
            stream: StreamId::new(self.stream).expect("checked at append"),
            kind: EventKind::new(self.kind).expect("checked at append"),
            schema: self.schema,
            recorded_at: Timestamp::from_micros(self.recorded_at),
            payload: CanonicalJson::trusted(self.payload),
            metadata: CanonicalJson::trusted(self.metadata),
        }
    }
}

impl Event {
    /// The same event, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> EventRef<'_> {
        EventRef {
            position: self.position,
            version: self.version,
            id: self.id,
            stream: self.stream.as_str(),
            kind: self.kind.as_str(),
            schema: self.schema,
            recorded_at: self.recorded_at.micros(),
            payload: self.payload.as_str(),
            metadata: self.metadata.as_str(),
        }
    }
}

impl<'a> Extend<EventRef<'a>> for EventBatch {
    fn extend<I: IntoIterator<Item = EventRef<'a>>>(&mut self, events: I) {
        for event in events {
            self.push(event);
        }
    }
}

impl<'a> FromIterator<EventRef<'a>> for EventBatch {
    fn from_iter<I: IntoIterator<Item = EventRef<'a>>>(events: I) -> EventBatch {
        let mut batch = EventBatch::new();
        batch.extend(events);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TextPool;

    #[test]
    fn what_goes_in_comes_out() {
        let event = EventRef {
            position: 7,
            version: 3,
            id: Uuid::from_u128(42),
            stream: "file:straße",
            kind: "file-added",
            schema: 2,
            recorded_at: -5,
            payload: r#"{"a":"é"}"#,
            metadata: "",
        };
        let batch: EventBatch = [event, EventRef { position: 8, version: 4, ..event }].into_iter().collect();
        assert_eq!(batch.len(), 2);
        assert_eq!(batch.get(0), event);
        assert_eq!(batch.iter().map(|event| event.version).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(batch.heap_bytes(), 2 * ("file:straße".len() + "file-added".len() + event.payload.len()));
        assert_eq!(batch.get(1).stream_key(), "straße");
        assert_eq!(event.to_event().as_ref(), event);
    }

    #[test]
    fn a_part_is_appended() {
        let event = |position| EventRef {
            position,
            version: 1,
            id: Uuid::from_u128(u128::from(position)),
            stream: ["post-é", "post-22", "todo:3", "x-4"][position as usize % 4],
            kind: "made",
            schema: 1,
            recorded_at: 0,
            payload: ["", "{}", "{\"a\":1}"][position as usize % 3],
            metadata: ["", "{\"b\":2}"][position as usize % 2],
        };
        let other: EventBatch = (1..=9).map(event).collect();
        let mut batch: EventBatch = [event(1)].into_iter().collect();
        batch.append(&other, 3..7);
        batch.append(&other, 9..9);
        batch.append(&other, 8..9);
        let expected: Vec<_> = [1, 4, 5, 6, 7, 9].into_iter().map(event).collect();
        assert_eq!(batch.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn shared_texts_are_not_copied() {
        let texts = Arc::new(TextPool::default()).share("post-1made{}post-é".to_owned());
        let part = |range: Range<usize>| &texts.as_str()[range];
        let event = EventRef {
            position: 1,
            version: 1,
            id: Uuid::from_u128(1),
            stream: part(0..6),
            kind: part(6..10),
            schema: 1,
            recorded_at: 0,
            payload: part(10..12),
            metadata: "",
        };
        let own = "todo-own".to_owned();
        let events = [event, EventRef { stream: &own, ..event }, EventRef { stream: part(12..19), ..event }];
        let mut batch = EventBatch::over(Arc::clone(&texts));
        batch.extend(events);
        assert_eq!(batch.iter().collect::<Vec<_>>(), events);
        assert_eq!(batch.get(2).stream.as_ptr(), part(12..19).as_ptr());
        assert_eq!(batch.heap_bytes(), EventBatch::from_iter(events).heap_bytes());
        for mut longer in [EventBatch::new(), EventBatch::over(Arc::clone(&texts)), batch.clone()] {
            let before = longer.len();
            longer.append(&batch, 1..3);
            longer.append(&EventBatch::from_iter(events), 0..2);
            let appended: Vec<_> = longer.iter().skip(before).collect();
            assert_eq!(appended, [events[1], events[2], events[0], events[1]]);
        }
    }

    #[test]
    fn what_is_no_event_stands_among_the_events() {
        let event = EventRef {
            position: 1,
            version: 0,
            id: Uuid::from_u128(1),
            stream: "orders-1",
            kind: "",
            schema: 1,
            recorded_at: 0,
            payload: "",
            metadata: "",
        };
        let why = |code| Unreadable { code, reason: String::new(), original: String::new() };
        let mut batch = EventBatch::of_partition(3);
        batch.push(event);
        batch.push_unreadable(EventRef { position: 2, ..event }, why("a"));
        batch.push(EventRef { position: 5, ..event });
        batch.push_unreadable(EventRef { position: 7, ..event }, why("b"));
        let mut part = batch.like();
        part.push(event);
        part.append(&batch, 2..4);
        let codes = |batch: &EventBatch, range| {
            batch.all_unreadable(range).map(|(index, why)| (index, why.code)).collect::<Vec<_>>()
        };
        assert_eq!(codes(&batch, 0..4), [(1, "a"), (3, "b")]);
        assert_eq!(codes(&batch, 2..4), [(3, "b")]);
        assert_eq!(codes(&part, 0..3), [(2, "b")]);
        assert!(batch.unreadable(1).is_some() && batch.unreadable(2).is_none());
        assert_eq!(
            (part.place(2).to_string(), EventBatch::from_iter([event]).place(0).to_string()),
            ("3:7".into(), "1".into())
        );
    }
}
