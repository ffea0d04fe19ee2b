//! A command service on a store of its own, and how to ask it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request},
};
use reel_command_service::{Config, router};
use reel_event_log::{EventStore, Limits, ReadLimit, store::sqlite::SqliteStore};
use reel_events::Event;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

/// The service, and the directory that its store lives in.
pub(crate) struct Service {
    router: Router,
    pub(crate) store: Arc<dyn EventStore>,
    directory: Arc<TempDir>,
}

/// What a request was answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// The member `name` of the answer, as text.
    pub(crate) fn text_of(&self, name: &str) -> String {
        match &self.json()[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// "409 version-conflict", checked to be a problem as RFC 9457 has it.
    pub(crate) fn problem(&self) -> String {
        let problem = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{self:?}");
        let kind = problem["type"].as_str().unwrap().strip_prefix("urn:reel:problem:").unwrap();
        format!("{} {kind}", self.status)
    }

    pub(crate) fn detail(&self) -> String {
        self.text_of("detail")
    }
}

impl Service {
    pub(crate) fn new() -> Service {
        Service::with(Config::default(), Limits::default())
    }

    pub(crate) fn with(config: Config, limits: Limits) -> Service {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("events.db"), limits).unwrap();
        let store: Arc<dyn EventStore> = Arc::new(store);
        Service { router: router(Arc::clone(&store), config), store, directory: Arc::new(directory) }
    }

    /// Another service on the same store.
    pub(crate) fn beside(&self) -> Service {
        let (store, directory) = (Arc::clone(&self.store), Arc::clone(&self.directory));
        Service { router: router(Arc::clone(&store), Config::default()), store, directory }
    }

    /// Asks with a JSON body (none where it is empty) and further headers.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/commands/v1{path}"));
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, body, &[]).await
    }

    pub(crate) async fn import(&self, query: &str, body: impl Into<Body>) -> Answer {
        self.send(Request::post(format!("/commands/v1/import{query}")).body(body.into()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// Everything in the log.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| event.position);
            let page = self.store.read(after, ReadLimit::events(10_000)).await.unwrap();
            if page.is_empty() {
                return events;
            }
            events.extend(page.iter().map(|event| event.to_event()));
        }
    }

    /// `kind payload` of every event in the log.
    pub(crate) async fn told(&self) -> Vec<String> {
        self.events().await.iter().map(|event| format!("{} {}", event.kind, event.payload)).collect()
    }
}
