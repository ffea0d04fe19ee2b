//! Events on their way into a guest: those that the manifest names, with one heap that holds only what they need.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;
use reel_events::EventRef;
use reel_projector::manifest::KindPattern;
use reel_projector::{ApplyError, Manifest};

use crate::bindings::reel::projection::types::{self, Span};
use crate::lift;
use crate::lower::store;
use crate::safe_integers::IntegerRule;
use crate::trap::Stop;
use crate::wire::{EventBatch, PackedEvent};

/// How many kinds are remembered; a log with more is looked up by the manifest again.
const KINDS_REMEMBERED: usize = 4_096;

const NOTHING: Span = Span { offset: 0, length: 0 };

/// Picks and packs events. Its memory is kept from batch to batch.
#[derive(Debug)]
pub(crate) struct Delivery {
    manifest: Arc<Manifest>,
    rule: IntegerRule,
    /// For each entry of the manifest whether events carry their kind's name.
    named: Box<[bool]>,
    /// The entry that a kind matched; nothing = not delivered.
    kinds: HashMap<Box<str>, Option<u16>>,
    /// The last batch, as the guest gets it.
    pub(crate) batch: EventBatch,
}

impl Delivery {
    pub(crate) fn new(manifest: Arc<Manifest>) -> Delivery {
        let named = manifest.kinds.iter().map(|pattern| !matches!(pattern, KindPattern::Exactly(_))).collect();
        let (rule, kinds, batch) = (IntegerRule::of(&manifest), HashMap::new(), EventBatch::default());
        Delivery { manifest, rule, named, kinds, batch }
    }

    /// Packs `range` of `events`; `host_indices` takes the index of each event that is delivered.
    ///
    /// # Errors
    /// Where an event's integers break the manifest's rule, or the heap would pass 4 GiB.
    pub(crate) fn fill(
        &mut self,
        events: &reel_events::EventBatch,
        range: Range<usize>,
        host_indices: &mut Vec<usize>,
    ) -> Result<(), ApplyError> {
        self.batch.events.clear();
        self.batch.heap.clear();
        for index in range {
            let event = events.get(index);
            let Some(kind) = self.kind(event.kind) else { continue };
            self.rule.check_event(&event).map_err(|broken| lift::refused(index, &broken))?;
            let packed = self.pack(&event, kind)?;
            self.batch.events.push(packed);
            host_indices.push(index);
        }
        Ok(())
    }

    fn kind(&mut self, kind: &str) -> Option<u16> {
        if let Some(index) = self.kinds.get(kind) {
            return *index;
        }
        if self.kinds.len() == KINDS_REMEMBERED {
            self.kinds.clear();
        }
        let index = self.manifest.kind_index(kind);
        self.kinds.insert(kind.into(), index);
        index
    }

    fn pack(&mut self, event: &EventRef<'_>, kind: u16) -> Result<PackedEvent, Stop> {
        let heap = &mut self.batch.heap;
        let kind_name = if self.named[usize::from(kind)] { store(event.kind.as_bytes(), heap)? } else { NOTHING };
        let metadata = if self.manifest.metadata { store(event.metadata.as_bytes(), heap)? } else { NOTHING };
        Ok(PackedEvent::new(&types::Event {
            position: event.position,
            version: event.version,
            recorded_at: event.recorded_at,
            kind,
            schema: event.schema,
            kind_name,
            id: store(event.id.as_bytes(), heap)?,
            stream_id: store(event.stream.as_bytes(), heap)?,
            payload: store(event.payload.as_bytes(), heap)?,
            metadata,
        }))
    }
}
