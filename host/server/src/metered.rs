//! What is seen of a generation's loop from outside: how long its commits take, and which traces they bring into the rows. The loop and
//! its ports know nothing of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use reel_projector::{
    Checkpoint, KeyValues, ReadModel, ReadModelError, Row, Source, SourceError,
    ports::{Commit, CommitError, Delivery},
};
use serde::Deserialize;

/// Traces of events on their way that are remembered at most.
const MOST_TRACES: usize = 100_000;

/// Events that were delivered and are not in the rows yet, with their traces. Kept only while somebody looks: `REEL_LOG=trace=debug`.
#[derive(Clone)]
pub(crate) struct Traces {
    projection: Arc<str>,
    under_way: Arc<Mutex<VecDeque<Traced>>>,
}

struct Traced {
    position: u64,
    trace: String,
}

/// A source whose events' traces are remembered.
pub(crate) struct TracedSource {
    inner: Box<dyn Source>,
    traces: Traces,
}

/// A read model whose commits are timed, and told of by their traces.
pub(crate) struct MeteredReadModel {
    inner: Arc<dyn ReadModel>,
    seconds: metrics::Histogram,
    traces: Traces,
}

#[derive(Deserialize)]
struct Metadata {
    traceparent: Option<String>,
}

/// Puts the looking glass around a loop's source and read model.
pub(crate) fn metered(
    (target, projection): (&str, &str),
    source: Box<dyn Source>,
    read_model: Arc<dyn ReadModel>,
) -> (Box<dyn Source>, Arc<dyn ReadModel>) {
    let traces = Traces { projection: projection.into(), under_way: Arc::default() };
    let (target, projection) = (target.to_owned(), projection.to_owned());
    let seconds = metrics::histogram!("reel_commit_seconds", "target" => target, "projection" => projection);
    let source = TracedSource { inner: source, traces: traces.clone() };
    (Box::new(source), Arc::new(MeteredReadModel { inner: read_model, seconds, traces }))
}

fn somebody_looks() -> bool {
    tracing::enabled!(target: "trace", tracing::Level::DEBUG)
}

impl Traces {
    fn remember(&self, delivery: &Delivery) {
        let mut traces = self.under_way.lock().expect("nobody panics while holding it");
        for event in delivery.events.iter() {
            let metadata = serde_json::from_str::<Metadata>(event.metadata).ok();
            let Some(traceparent) = metadata.and_then(|metadata| metadata.traceparent) else { continue };
            let trace = traceparent.split('-').nth(1).unwrap_or(&traceparent).to_owned();
            traces.push_back(Traced { position: event.position, trace });
        }
        let beyond = traces.len().saturating_sub(MOST_TRACES);
        traces.drain(..beyond);
    }

    /// Tells of all up to `position`.
    fn applied(&self, position: u64) {
        let mut traces = self.under_way.lock().expect("nobody panics while holding it");
        while traces.front().is_some_and(|traced| traced.position <= position) {
            if let Some(Traced { position, trace }) = traces.pop_front() {
                tracing::debug!(target: "trace", trace, position, projection = &*self.projection, "applied");
            }
        }
    }
}

#[async_trait]
impl Source for TracedSource {
    async fn next(&mut self, most: usize) -> Result<Delivery, SourceError> {
        let delivery = self.inner.next(most).await?;
        if somebody_looks() {
            self.traces.remember(&delivery);
        }
        Ok(delivery)
    }
}

#[async_trait]
impl ReadModel for MeteredReadModel {
    async fn checkpoint(&self, shard: u32) -> Result<Option<Checkpoint>, ReadModelError> {
        self.inner.checkpoint(shard).await
    }

    async fn read(&self, table: u16, keys: &[KeyValues]) -> Result<Vec<Option<Row>>, ReadModelError> {
        self.inner.read(table, keys).await
    }

    async fn commit(&self, commit: Commit<'_>) -> Result<(), CommitError> {
        let began = Instant::now();
        self.inner.commit(commit).await?;
        self.seconds.record(began.elapsed());
        if somebody_looks() {
            self.traces.applied(commit.to.position);
        }
        Ok(())
    }
}
