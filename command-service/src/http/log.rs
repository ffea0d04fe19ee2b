//! The log as it stands: its head, and its events as CloudEvents JSON Lines.

use std::{io, sync::Arc};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use futures::stream;
use reel_event_log::{EventStore, ReadLimit};
use reel_events::{EventBatch, LogId, cloud_events::json};
use reel_problem::{Problem, Query};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Service, answer::store_failure};

/// How much is written at once.
const PAGE: ReadLimit = ReadLimit { events: 2_000, bytes: 1 << 20 };

#[derive(Serialize)]
pub(super) struct Head {
    log: Uuid,
    position: u64,
    event: Uuid,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    after: Option<u64>,
    until: Option<u64>,
}

/// `GET /head`: the log's id, and its last event.
pub(super) async fn head(State(service): State<Service>) -> Result<Json<Head>, Problem> {
    let head = service.store.head().await.map_err(|error| store_failure(&error))?;
    Ok(Json(Head { log: service.store.log_id().0, position: head.position, event: head.event }))
}

/// `GET /export`: events behind `after`, up to and with `until` or where the log ends now.
pub(super) async fn export(State(service): State<Service>, Query(range): Query<Range>) -> Result<Response, Problem> {
    let head = service.store.head().await.map_err(|error| store_failure(&error))?;
    let export = Export {
        store: service.store,
        after: range.after.unwrap_or(0),
        until: range.until.unwrap_or(u64::MAX).min(head.position),
    };
    let body = Body::from_stream(stream::try_unfold(export, Export::next));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

struct Export {
    store: Arc<dyn EventStore>,
    after: u64,
    until: u64,
}

impl Export {
    /// The next lines. An error cuts the answer off, so that nobody takes half of it for the whole.
    async fn next(mut self) -> io::Result<Option<(Bytes, Export)>> {
        if self.after >= self.until {
            return Ok(None);
        }
        let page = self.store.read(self.after, PAGE).await.map_err(|error| {
            store_failure(&error);
            io::Error::other(error)
        })?;
        let Some(last) = page.len().checked_sub(1).map(|last| page.get(last).position) else {
            return Err(io::Error::other(format!("the log ends at {} although its head was further", self.after)));
        };
        self.after = last;
        let lines = lines(&page, self.store.log_id(), self.until);
        Ok(Some((lines.into(), self)))
    }
}

fn lines(page: &EventBatch, log: LogId, until: u64) -> String {
    let mut out = String::with_capacity(page.heap_bytes() + page.len() * 300);
    for event in page.iter().take_while(|event| event.position <= until) {
        json::write(event, log, &mut out);
        out.push('\n');
    }
    out
}
