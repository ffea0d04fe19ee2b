//! Feeds one shard out of its partition, from its checkpoint on: what the topic must still hold there is held against the checkpoint first.

use reel_events::foreign::Format;
use reel_events::{EventBatch, LogPoint};
use uuid::Uuid;

use super::reader::{self, Piece, Reading};
use super::{ForeignError, ForeignTopic, PartitionEnds};
use crate::topic::kafka::TopicUrl;
use crate::topic::shard::Fed;

const REMEDY: &str = "Replay the projection: it will hold what the topic holds now";

/// Feeds one shard of a projection over a foreign topic.
pub struct ForeignFeed {
    topic: ForeignTopic,
    partition: u32,
    at: LogPoint,
    reading: Option<Reading>,
    current: Piece,
    /// Events of `current` that were handed over.
    taken: usize,
}

impl ForeignFeed {
    /// Goes on behind `at`. Nothing is read before [`ForeignFeed::next`].
    #[must_use]
    pub fn new(topic: ForeignTopic, partition: u32, at: LogPoint) -> ForeignFeed {
        ForeignFeed { topic, partition, at, reading: None, current: Piece::default(), taken: 0 }
    }

    /// The next events, at most `most`; waits until the shard moves. A call that is dropped before it returned has taken nothing.
    ///
    /// # Errors
    /// Where the topic does not answer, then the next call goes on from the same place; or where it is not what the checkpoint was
    /// made from, then every call says so.
    pub async fn next(&mut self, most: usize) -> Result<Fed, ForeignError> {
        loop {
            if let Some(fed) = self.hand_over(most) {
                return Ok(fed);
            }
            let reading = match &mut self.reading {
                Some(reading) => reading,
                none => none.insert(begin(&self.topic, self.partition, self.at).await?),
            };
            match reading.pieces.recv().await {
                Some(Ok(piece)) => self.take(piece)?,
                Some(Err(fault)) => {
                    self.reading = None;
                    return Err(fault.into());
                }
                // Its thread has ended badly, and said so: another one begins.
                None => self.reading = None,
            }
        }
    }

    /// Takes a piece; of what the shard has seen, the event at the checkpoint must be the one that it has seen.
    fn take(&mut self, piece: Piece) -> Result<(), ForeignError> {
        let seen = piece.events.iter().take_while(|event| event.position <= self.at.position).count();
        if let Some(last) = seen.checked_sub(1) {
            let found = piece.events.get(last);
            if found.position == self.at.position && !self.at.event.is_nil() && found.id != self.at.event {
                self.reading = None;
                return Err(self.other_event(found.id));
            }
        }
        (self.current, self.taken) = (piece, seen);
        Ok(())
    }

    fn hand_over(&mut self, most: usize) -> Option<Fed> {
        let Piece { events, through, head } = &self.current;
        if *through <= self.at.position {
            return None;
        }
        let end = events.len().min(self.taken.saturating_add(most.max(1)));
        let last = end.checked_sub(1).filter(|last| *last >= self.taken).map(|last| events.get(last));
        let last = last.map(|event| LogPoint { position: event.position, event: event.id });
        self.at = match last {
            Some(last) if end < events.len() || last.position == *through => last,
            // Nothing but places without a message lies behind the last event.
            _ => LogPoint { position: *through, event: Uuid::nil() },
        };
        let mut part = EventBatch::of_partition(self.partition);
        part.append(events, self.taken..end);
        self.taken = end;
        Some(Fed { events: part, through: self.at, head: (*head).max(self.at.position) })
    }

    fn other_event(&self, found: Uuid) -> ForeignError {
        let LogPoint { position, event } = self.at;
        let (url, partition, offset) = (self.topic.url(), self.partition, position - 1);
        ForeignError::Changed(format!(
            "at offset {offset} of partition {partition} of {url} stands another message ({found}) than the projection has read \
             there ({event}): the topic was made anew, or its messages are read in another way than before. {REMEDY}"
        ))
    }
}

/// Begins to read where the checkpoint is, if the partition still reaches from there on.
async fn begin(topic: &ForeignTopic, partition: u32, at: LogPoint) -> Result<Reading, ForeignError> {
    let ends = topic.ends().await?;
    let Some(ends) = ends.get(partition as usize).copied() else {
        let (url, partitions) = (topic.url(), ends.len());
        return Err(ForeignError::Changed(format!(
            "{url} has {partitions} partitions, and the projection has read partition {partition}: the topic was made anew. {REMEDY}"
        )));
    };
    let offset = start(topic.url(), partition, at, ends)?;
    let (url, format): (&TopicUrl, &Format) = (&topic.url, &topic.format);
    Ok(reader::begin(url, format, partition, offset))
}

/// The offset to begin with: that of the checkpoint's own message where it is there still, to be held against it. A new shard begins
/// with what there is.
fn start(url: &TopicUrl, partition: u32, at: LogPoint, ends: PartitionEnds) -> Result<u64, ForeignError> {
    let PartitionEnds { start, end } = ends;
    if at.position == 0 {
        if start > 0 {
            tracing::warn!(%url, partition, start, "the partition's first messages were deleted: the projection begins behind them");
        }
        return Ok(start);
    }
    if at.position > end {
        let message = format!(
            "partition {partition} of {url} ends before offset {end}, and the projection has read it up to offset {}: the topic was \
             made anew. {REMEDY}",
            at.position - 1
        );
        return Err(ForeignError::Changed(message));
    }
    if at.position < start {
        let message = format!(
            "partition {partition} of {url} begins with offset {start} now, and the projection has read it up to offset {} only: what \
             lies between was deleted before it could be read. {REMEDY}",
            at.position - 1
        );
        return Err(ForeignError::Changed(message));
    }
    Ok(if at.event.is_nil() { at.position } else { (at.position - 1).max(start) })
}

#[cfg(test)]
mod tests {
    use reel_events::EventRef;

    use super::*;

    fn url() -> TopicUrl {
        "kafka://a:1/orders?foreign=cloudevents".parse().unwrap()
    }

    fn feed(at: LogPoint) -> ForeignFeed {
        ForeignFeed::new(ForeignTopic::new(&url()).unwrap(), 2, at)
    }

    fn piece(positions: &[u64], through: u64) -> Piece {
        let mut events = EventBatch::of_partition(2);
        for position in positions {
            let id = Uuid::from_u128(u128::from(*position));
            let (stream, kind, payload, metadata) = ("orders-1", "k", "{}", "");
            let position = *position;
            events.push(EventRef {
                position,
                version: 0,
                id,
                stream,
                kind,
                schema: 1,
                recorded_at: 0,
                payload,
                metadata,
            });
        }
        Piece { events, through, head: through }
    }

    fn at(position: u64, event: u128) -> LogPoint {
        LogPoint { position, event: Uuid::from_u128(event) }
    }

    /// What is handed over, `most` events at a time: positions, and where the shard stands behind them.
    fn all(feed: &mut ForeignFeed, most: usize) -> Vec<(Vec<u64>, LogPoint)> {
        let fed = std::iter::from_fn(|| feed.hand_over(most));
        fed.map(|fed| (fed.events.iter().map(|event| event.position).collect(), fed.through)).collect()
    }

    #[test]
    fn a_piece_is_handed_over_in_parts_and_what_was_seen_is_not() {
        let mut feed = feed(at(3, 3));
        feed.take(piece(&[3, 5, 6, 9], 9)).unwrap();
        assert_eq!(all(&mut feed, 2), [(vec![5, 6], at(6, 6)), (vec![9], at(9, 9))]);
        feed.take(piece(&[10], 10)).unwrap();
        assert_eq!(all(&mut feed, 9), [(vec![10], at(10, 10))]);
    }

    #[test]
    fn places_without_a_message_are_passed() {
        let mut feed = feed(LogPoint::START);
        feed.take(piece(&[1, 2], 4)).unwrap();
        assert_eq!(all(&mut feed, 1), [(vec![1], at(1, 1)), (vec![2], at(4, 0))]);
        feed.take(piece(&[], 7)).unwrap();
        assert_eq!(all(&mut feed, 1), [(vec![], at(7, 0))]);
    }

    #[test]
    fn another_message_at_the_checkpoint_is_named() {
        let mut feed = feed(at(3, 77));
        let error = feed.take(piece(&[3, 4], 4)).unwrap_err().to_string();
        assert!(error.contains("at offset 2 of partition 2 of kafka://a:1/orders stands another message"), "{error}");
        feed.at = at(3, 0);
        feed.take(piece(&[3, 4], 4)).unwrap();
    }

    #[test]
    fn a_shard_begins_where_its_checkpoint_is_or_says_why_not() {
        let start =
            |at, start_, end| start(&url(), 2, at, PartitionEnds { start: start_, end }).map_err(|e| e.to_string());
        assert_eq!(start(LogPoint::START, 0, 0), Ok(0));
        assert_eq!(start(LogPoint::START, 7, 9), Ok(7));
        assert_eq!(start(at(5, 5), 0, 9), Ok(4));
        assert_eq!(start(at(5, 0), 0, 9), Ok(5));
        assert_eq!(start(at(5, 5), 5, 9), Ok(5));
        assert!(
            start(at(5, 5), 6, 9)
                .unwrap_err()
                .contains("begins with offset 6 now, and the projection has read it up to offset 4")
        );
        assert!(start(at(5, 5), 0, 4).unwrap_err().contains("ends before offset 4"));
    }
}
