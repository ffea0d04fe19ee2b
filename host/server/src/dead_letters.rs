//! Events that could not be applied, and what an operator decides about them.

use std::sync::Arc;
use std::time::Duration;

use reel_event_log::ReadLimit;
use reel_events::{EventBatch, Place, StreamId, Timestamp};
use reel_projector::ports::{DeadLetter, DeadLetterReason, FailurePolicy};
use reel_projector::{Errand, Failure, Request, Retry};
use reel_read_model::{Condition, Decision, Generation, Target};
use tokio::sync::oneshot;

use crate::error::HostError;
use crate::host::Host;
use crate::operate::title;
use crate::reference::ProjectionRef;

/// Dead letters are read in pages of this many.
const PAGE: u32 = 1000;

/// How often a generation's loop is asked that does not answer, and how long it is left alone in between: a rebalance takes some seconds.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

impl Host {
    /// Dead letters behind `after`, in order, at most `limit`: of the generation named, or of the live (else the newest) one.
    ///
    /// # Errors
    /// Where there is no such generation, or the catalog does not answer.
    pub async fn dead_letters(
        &self,
        wanted: &ProjectionRef,
        target: Option<&str>,
        (after, limit): (Place, u32),
    ) -> Result<(Generation, Vec<DeadLetter>), HostError> {
        let (target, generation) = self.one(wanted, target).await?;
        let letters = target.dead_letters(generation.id, after, limit).await.map_err(reading)?;
        Ok((generation, letters))
    }

    /// Lets one event go: a halted generation passes it, a parked stream goes on behind it; and so does every later generation of the
    /// same component and settings.
    ///
    /// # Errors
    /// [`HostError::Conflict`] where nothing waits at that position.
    pub async fn skip(
        &self,
        wanted: &ProjectionRef,
        target: Option<&str>,
        position: Place,
    ) -> Result<Generation, HostError> {
        let Matter { target, generation, letter } = self.matter(wanted, target, position).await?;
        let halted = matches!(generation.condition, Condition::Halted { position: Some(at), .. } if at == position);
        let parked = letter.as_ref().is_some_and(|letter| letter.reason == DeadLetterReason::Parked);
        if !halted && !parked {
            let message =
                format!("{} does not wait at position {position}: {}", title(&generation), waits_where(&generation));
            return Err(HostError::Conflict(message));
        }
        let decision = Decision {
            log: generation.log,
            digest: generation.digest.clone(),
            settings: generation.settings.clone(),
            position,
            decided_at: now(),
        };
        target.decide(&decision).await.map_err(reading)?;
        match letter {
            Some(letter) if parked => self.unpark(&target, &generation, &letter, LetGo::First).await?,
            _ => {
                self.stop_generation(&target, generation.id).await;
                target.set_condition(generation.id, &Condition::Running).await.map_err(reading)?;
                let running = Generation { condition: Condition::Running, ..generation };
                self.start_generation(&target, &running);
                return Ok(running);
            }
        }
        Ok(generation)
    }

    /// Tries a parked stream again, from the event at fault on.
    ///
    /// # Errors
    /// [`HostError::Conflict`] where that position is not parked, or the event still cannot be applied.
    pub async fn retry(
        &self,
        wanted: &ProjectionRef,
        target: Option<&str>,
        position: Place,
    ) -> Result<Generation, HostError> {
        let Matter { target, generation, letter } = self.matter(wanted, target, position).await?;
        let letter = letter.ok_or_else(|| no_letter(&generation, position))?;
        if generation.on_failure != FailurePolicy::Park {
            let message = format!(
                "under the policy skip the events behind position {position} were applied already, so it cannot be put back in its place: replay {} instead",
                generation.projection
            );
            return Err(HostError::Conflict(message));
        }
        self.unpark(&target, &generation, &letter, LetGo::Nothing).await?;
        Ok(generation)
    }

    /// Takes a dead letter off the list: an event that was skipped, and needs no more attention.
    ///
    /// # Errors
    /// [`HostError::Conflict`] where it is held or parked: its stream waits for it.
    pub async fn discard(
        &self,
        wanted: &ProjectionRef,
        target: Option<&str>,
        position: Place,
    ) -> Result<Generation, HostError> {
        let Matter { target, generation, letter } = self.matter(wanted, target, position).await?;
        match letter.map(|letter| letter.reason) {
            None => Err(no_letter(&generation, position)),
            Some(DeadLetterReason::Skipped) => {
                let nothing = (EventBatch::new(), String::new(), vec![position]);
                self.through_the_loop(&target, &generation, nothing).await?;
                Ok(generation)
            }
            Some(_) => Err(HostError::Conflict(format!(
                "the stream of the event at position {position} waits for it: retry it, or skip it"
            ))),
        }
    }

    /// One dead letter: of the generation named, or of the live (else the newest) one.
    ///
    /// # Errors
    /// [`HostError::NotFound`] where there is none at that position.
    pub async fn dead_letter(
        &self,
        wanted: &ProjectionRef,
        target: Option<&str>,
        position: Place,
    ) -> Result<DeadLetter, HostError> {
        let Matter { generation, letter, .. } = self.matter(wanted, target, position).await?;
        letter.ok_or_else(|| no_letter(&generation, position))
    }

    async fn unpark(
        &self,
        target: &Arc<dyn Target>,
        generation: &Generation,
        letter: &DeadLetter,
        go: LetGo,
    ) -> Result<(), HostError> {
        let mut held = self.all_letters(target, generation).await?;
        held.retain(|held| held.stream == letter.stream && held.reason != DeadLetterReason::Skipped);
        let positions: Vec<Place> = held.iter().map(|letter| letter.position).collect();
        let applied: Vec<Place> = if go == LetGo::First {
            positions.iter().copied().filter(|p| *p != letter.position).collect()
        } else {
            positions.clone()
        };
        let events = match self.foreign() {
            Some(topic) => self.messages(topic, &applied).await?,
            None => self.events_of(&letter.stream, &applied).await?,
        };
        self.through_the_loop(target, generation, (events, letter.stream.clone(), positions)).await
    }

    /// Has the generation's own loop apply events and end dead letters, in one commit. A loop that this host is about to start, or whose
    /// shard changes hands, does not answer: then it is asked again, unless the dead letters have ended.
    async fn through_the_loop(
        &self,
        target: &Arc<dyn Target>,
        generation: &Generation,
        (events, stream, positions): (EventBatch, String, Vec<Place>),
    ) -> Result<(), HostError> {
        let not_running = || HostError::Conflict(format!("{} does not run: resume it first", title(generation)));
        if generation.condition != Condition::Running {
            return Err(not_running());
        }
        for _ in 0..TRIES {
            let (reply, answer) = oneshot::channel();
            let retry = Retry { events: events.clone(), stream: stream.clone(), positions: positions.clone() };
            self.hand_over(target, generation, Request { errand: Errand::Retry(retry), reply }).await;
            if let Ok(answer) = answer.await {
                return answer
                    .map(drop)
                    .map_err(|failure: Failure| HostError::Conflict(format!("the stream stays parked: {failure}")));
            }
            tokio::time::sleep(PAUSE).await;
            if self.letter(target, generation, positions[0]).await?.is_none() {
                return Ok(());
            }
        }
        Err(not_running())
    }

    /// The events of a stream at the positions named.
    async fn events_of(&self, stream: &str, positions: &[Place]) -> Result<EventBatch, HostError> {
        let unavailable = |error: reel_event_log::StoreError| HostError::Unavailable {
            action: "reading the stream",
            source: error.into(),
        };
        let stream = StreamId::new(stream).map_err(|error| HostError::Refused(error.to_string()))?;
        let (mut events, mut version) = (EventBatch::new(), 0);
        loop {
            let page =
                self.inner.store.read_stream(&stream, version, ReadLimit::events(1000)).await.map_err(unavailable)?;
            if page.is_empty() {
                return Ok(events);
            }
            version = page.get(page.len() - 1).version;
            let wanted =
                |position| Place::global(position).is_some_and(|place| positions.binary_search(&place).is_ok());
            events.extend(page.iter().filter(|event| wanted(event.position)));
        }
    }

    async fn letter(
        &self,
        target: &Arc<dyn Target>,
        generation: &Generation,
        position: Place,
    ) -> Result<Option<DeadLetter>, HostError> {
        let behind = target.dead_letters(generation.id, position.before(), 1).await.map_err(reading)?;
        Ok(behind.into_iter().find(|letter| letter.position == position))
    }

    async fn all_letters(
        &self,
        target: &Arc<dyn Target>,
        generation: &Generation,
    ) -> Result<Vec<DeadLetter>, HostError> {
        let mut all: Vec<DeadLetter> = Vec::new();
        loop {
            let after = all.last().map_or(Place::START, |letter| letter.position);
            let page = target.dead_letters(generation.id, after, PAGE).await.map_err(reading)?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    async fn matter(&self, wanted: &ProjectionRef, target: Option<&str>, position: Place) -> Result<Matter, HostError> {
        let (target, generation) = self.one(wanted, target).await?;
        let letter = self.letter(&target, &generation, position).await?;
        Ok(Matter { target, generation, letter })
    }

    /// The generation that is meant: the one named, or the live one, or the newest.
    async fn one(
        &self,
        wanted: &ProjectionRef,
        target: Option<&str>,
    ) -> Result<(Arc<dyn Target>, Generation), HostError> {
        let target = Arc::clone(self.inner.targets.get(target)?);
        let named = self.named(&target, wanted).await?;
        let live = named.iter().find(|generation| generation.state == reel_read_model::GenerationState::Live);
        let generation = live.or(named.last()).expect("named finds at least one").clone();
        Ok((target, generation))
    }
}

/// What a decision about a position is about: the generation that is meant, and what it put aside there, if anything.
struct Matter {
    target: Arc<dyn Target>,
    generation: Generation,
    letter: Option<DeadLetter>,
}

/// Which of a parked stream's events is not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LetGo {
    Nothing,
    First,
}

fn no_letter(generation: &Generation, position: Place) -> HostError {
    HostError::NotFound(format!("{} has no dead letter at position {position}", title(generation)))
}

fn waits_where(generation: &Generation) -> String {
    match &generation.condition {
        Condition::Halted { position: Some(at), .. } => format!("it halted in front of position {at}"),
        _ => "no event is parked there".into(),
    }
}

fn reading(error: reel_read_model::CatalogError) -> HostError {
    HostError::catalog("reading dead letters", error)
}

pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
