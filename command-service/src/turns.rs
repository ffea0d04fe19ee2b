//! Turns: commands on one stream are decided one after the other, each on what the one before it left in memory.
//!
//! What is remembered of a stream is true up to a version, but others may have written it since. So it proves nothing by itself:
//! an append names that version and is refused where it is not the last one, and whatever else is concluded must be
//! concluded again after the rest was read. That is the mediator's part; here is only the memory.

use std::{any::Any, sync::Arc};

use reel_event_log::Appended;
use reel_events::StreamId;
use tokio::sync::{Mutex, MutexGuard};

use crate::domain::Aggregate;

/// Streams share this many queues; each remembers the streams that it served last.
const QUEUES: u32 = 8_192;
/// What one queue remembers, in bytes: so all of them take 256 MiB at most.
const MOST_BYTES: usize = 32 << 10;
/// What a stream takes beside its state: its name, and where it is kept.
const FRAME: usize = 256;

/// An aggregate's state, and how far it is folded.
#[derive(Debug, Default)]
pub(crate) struct Folded<A> {
    pub(crate) state: A,
    pub(crate) version: u64,
    pub(crate) position: u64,
}

impl<A: Aggregate> Folded<A> {
    /// The state after events that were decided in it, and appended.
    pub(crate) fn after(self, events: Vec<A::Event>, appended: &Appended) -> Folded<A> {
        let state = events.into_iter().fold(self.state, A::evolve);
        Folded { state, version: appended.last_version(), position: appended.last_position() }
    }
}

/// The queues of one process. Clones share them.
#[derive(Clone)]
pub(crate) struct Turns(Arc<[Mutex<Memory>]>);

/// What one queue remembers: with one stream alone, two in use that share a queue would be read from the store in turns, again and again.
#[derive(Default)]
struct Memory {
    /// The one that was served last at the end.
    streams: Vec<Remembered>,
    bytes: usize,
}

/// A stream, and the [`Folded`] state of whatever it is.
struct Remembered {
    stream: StreamId,
    folded: Box<dyn Any + Send>,
    bytes: usize,
}

impl Memory {
    fn take(&mut self, stream: &StreamId) -> Option<Remembered> {
        let place = self.streams.iter().position(|remembered| remembered.stream == *stream)?;
        let taken = self.streams.remove(place);
        self.bytes -= taken.bytes;
        Some(taken)
    }

    /// Keeps a stream, and lets go of those that were not served for the longest time.
    fn keep(&mut self, remembered: Remembered) {
        self.take(&remembered.stream);
        self.bytes += remembered.bytes;
        self.streams.push(remembered);
        while self.bytes > MOST_BYTES {
            self.bytes -= self.streams.remove(0).bytes;
        }
    }
}

/// The turn of one command; the next one on its stream waits until it is dropped.
pub(crate) struct Turn<'t> {
    stream: &'t StreamId,
    memory: MutexGuard<'t, Memory>,
}

impl Turns {
    pub(crate) fn new() -> Turns {
        Turns((0..QUEUES).map(|_| Mutex::default()).collect())
    }

    /// Waits for a turn on `stream`.
    pub(crate) async fn of<'t>(&'t self, stream: &'t StreamId) -> Turn<'t> {
        let memory = self.0[stream.partition(QUEUES) as usize].lock().await;
        Turn { stream, memory }
    }
}

impl Turn<'_> {
    /// Takes what is remembered of the stream; the state of an empty one where nothing is. A turn that ends badly leaves nothing
    /// behind.
    pub(crate) fn recall<A: Aggregate>(&mut self) -> Folded<A> {
        let of_it = self.memory.take(self.stream);
        of_it.and_then(|remembered| remembered.folded.downcast().ok()).map_or_else(Folded::default, |folded| *folded)
    }

    /// Leaves the state to the next turn.
    pub(crate) fn remember<A: Aggregate>(&mut self, folded: Folded<A>) {
        let bytes = folded.state.bytes() + FRAME;
        if folded.version > 0 && bytes <= MOST_BYTES {
            self.memory.keep(Remembered { stream: self.stream.clone(), folded: Box::new(folded), bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        posts::{CommentAdded, Created, Post, PostEvent},
        todos::Todo,
    };

    fn post(comments: u128) -> Post {
        let created = PostEvent::Created(Created { author: "Ann".to_owned(), message: "Hello".to_owned() });
        let added = |nth| {
            let comment = Uuid::from_u128(nth);
            PostEvent::CommentAdded(CommentAdded { comment, author: "Bob".to_owned(), text: "Nice".to_owned() })
        };
        (0..comments).map(added).fold(Post::default().evolve(created), Post::evolve)
    }

    #[tokio::test]
    async fn a_turn_finds_what_the_one_before_it_left() {
        let (turns, stream) = (Turns::new(), StreamId::new("post-1").unwrap());
        let left = Folded { state: post(2), version: 3, position: 7 };
        turns.of(&stream).await.remember(left);
        let found = turns.of(&stream).await.recall::<Post>();
        assert_eq!((found.state, found.version, found.position), (post(2), 3, 7));
        assert_eq!(turns.of(&stream).await.recall::<Post>().version, 0, "it was taken");
    }

    #[tokio::test]
    async fn streams_that_share_a_queue_are_remembered_together_until_they_take_too_much() {
        let (turns, state) = (Turns::new(), post(80));
        let fit = MOST_BYTES / (state.bytes() + FRAME);
        assert!(fit > 1, "{} bytes", state.bytes());
        let streams = sharing(fit + 1);
        for (version, stream) in (1..).zip(&streams[..fit]) {
            turns.of(stream).await.remember(Folded { state: state.clone(), version, position: version });
        }
        for (version, stream) in (1..).zip(&streams[..fit]) {
            let mut turn = turns.of(stream).await;
            let found = turn.recall::<Post>();
            assert_eq!((&found.state, found.version), (&state, version), "{stream}");
            turn.remember(found);
        }
        // One more needs the place of the first.
        turns.of(&streams[fit]).await.remember(Folded { state, version: 9, position: 9 });
        assert_eq!(turns.of(&streams[fit]).await.recall::<Post>().version, 9);
        assert_eq!(turns.of(&streams[0]).await.recall::<Post>().version, 0);
        assert_eq!(turns.of(&streams[1]).await.recall::<Post>().version, 2);
    }

    /// Streams of one queue.
    fn sharing(count: usize) -> Vec<StreamId> {
        let queue = StreamId::new("post-1").unwrap().partition(QUEUES);
        let streams = (1..).map(|nth| StreamId::new(&format!("post-{nth}")).unwrap());
        streams.filter(|stream| stream.partition(QUEUES) == queue).take(count).collect()
    }

    #[tokio::test]
    async fn nothing_is_found_of_another_stream_or_kind_nor_of_a_large_state() {
        let (turns, streams) = (Turns::new(), sharing(2));
        let [stream, other] = [&streams[0], &streams[1]].map(Clone::clone);
        let left = |comments| Folded { state: post(comments), version: 1, position: 1 };
        turns.of(&stream).await.remember(left(0));
        assert_eq!(turns.of(&other).await.recall::<Post>().version, 0);
        turns.of(&stream).await.remember(left(0));
        assert_eq!(turns.of(&stream).await.recall::<Todo>().version, 0);
        turns.of(&stream).await.remember(left(2_000));
        assert_eq!(turns.of(&stream).await.recall::<Post>().version, 0);
    }
}
