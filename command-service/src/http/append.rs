//! `POST /streams/{stream}`: events that were decided on elsewhere. The rules of posts and todos are not asked; who may do
//! this is up to the roles of the listener.

use std::collections::HashMap;

use axum::extract::State;
use reel_event_log::IdOrigin;
use reel_events::{CanonicalError, CanonicalJson, EventKind, NewEvent, StreamId};
use reel_problem::{Json, Path, Problem};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    Service,
    answer::{Answer, invalid, refusal},
    caller::Caller,
};
use crate::{
    domain::text::Invalid,
    mediator::{self, Content},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Append {
    #[serde(rename = "expectedVersion")]
    expected_version: Option<u64>,
    events: Vec<GivenEvent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenEvent {
    id: Option<Uuid>,
    #[serde(rename = "type")]
    kind: String,
    schema: Option<u16>,
    data: Box<RawValue>,
    metadata: Option<Box<RawValue>>,
}

/// `POST /streams/{stream}`.
pub(super) async fn append(
    State(service): State<Service>,
    Path(stream): Path<String>,
    caller: Caller,
    Json(body): Json<Append>,
) -> Result<Answer, Problem> {
    let stream = StreamId::new(&stream).map_err(|error| Problem::bad_request(error.to_string()))?;
    let actor = caller.actor(None).map_err(|error| invalid(&[error]))?;
    let mut terms = caller.terms(actor.as_ref());
    terms.expected = agreed(terms.expected, body.expected_version).map_err(|error| invalid(&[error]))?;
    let given_ids: Vec<Option<Uuid>> = body.events.iter().map(|event| event.id).collect();
    let own: Vec<NewEvent> = read(body.events).map_err(|errors| invalid(&errors))?;
    let digest = mediator::digest(&stream, terms.expected, &summary(&given_ids, &own));
    let events =
        own.into_iter().map(|event| NewEvent { metadata: joined(&event.metadata, &terms.metadata), ..event }).collect();
    let ids = if given_ids.iter().any(Option::is_some) { IdOrigin::Given } else { IdOrigin::Fresh };
    let appended = service.mediator.append(stream, &terms, Content { digest, ids, events }).await;
    appended.map(Answer::done).map_err(|error| refusal(&error))
}

fn agreed(header: Option<u64>, body: Option<u64>) -> Result<Option<u64>, Invalid> {
    match (header, body) {
        (Some(header), Some(body)) if header != body => Err(Invalid::new(
            "expectedVersion",
            format!("is {body}, but the header If-Match says {header}; give one of them"),
        )),
        (header, body) => Ok(header.or(body)),
    }
}

fn read(given: Vec<GivenEvent>) -> Result<Vec<NewEvent>, Vec<Invalid>> {
    let mut errors = Vec::new();
    let mut events = Vec::with_capacity(given.len());
    for (index, event) in given.into_iter().enumerate() {
        match event.read() {
            Ok(event) => events.push(event),
            Err(error) => errors.push(Invalid::new(format!("events[{index}].{}", error.field), error.detail)),
        }
    }
    if errors.is_empty() { Ok(events) } else { Err(errors) }
}

impl GivenEvent {
    fn read(self) -> Result<NewEvent, Invalid> {
        let schema = self.schema.unwrap_or(1);
        if schema == 0 {
            return Err(Invalid::new("schema", "must be at least 1"));
        }
        if self.id.is_some_and(|id| id.is_nil()) {
            return Err(Invalid::new("id", "must not be the nil UUID, which stands for no event"));
        }
        let metadata = self.metadata.map(|text| CanonicalJson::parse_object(text.get())).transpose();
        Ok(NewEvent {
            id: self.id.unwrap_or_else(Uuid::now_v7),
            kind: EventKind::new(&self.kind).map_err(|error| Invalid::new("type", error.to_string()))?,
            schema,
            recorded_at: None,
            payload: CanonicalJson::parse(self.data.get()).map_err(|error| at("data", &error))?,
            metadata: metadata.map_err(|error| at("metadata", &error))?.unwrap_or_default(),
        })
    }
}

/// The place within the member, as far as it is known.
fn at(member: &'static str, error: &CanonicalError) -> Invalid {
    let joint = if error.path.is_empty() || error.path.starts_with('[') { "" } else { "." };
    Invalid::new(format!("{member}{joint}{}", error.path), error.problem.clone())
}

/// What makes a request the same one: not the ids that were made here, nor where it came from.
fn summary<'a>(ids: &'a [Option<Uuid>], events: &'a [NewEvent]) -> Vec<(Option<Uuid>, &'a str, u16, &'a str, &'a str)> {
    let parts = |(id, event): (&Option<Uuid>, &'a NewEvent)| {
        (*id, event.kind.as_str(), event.schema, event.payload.as_str(), event.metadata.as_str())
    };
    ids.iter().zip(events).map(parts).collect()
}

/// The event's own metadata, and behind it what came with the request and is not in there.
fn joined(own: &CanonicalJson, request: &CanonicalJson) -> CanonicalJson {
    if own.is_empty() || own.as_str() == "{}" || request.is_empty() {
        return if own.as_str().len() > 2 { own.clone() } else { request.clone() };
    }
    let names: HashMap<String, IgnoredAny> = serde_json::from_str(own.as_str()).expect("canonical objects are objects");
    let added: Vec<(String, Box<RawValue>)> = members(request.as_str());
    let mut text = own.as_str().strip_suffix('}').expect("an object").to_owned();
    for (name, value) in added.iter().filter(|(name, _)| !names.contains_key(name)) {
        text.push_str(&format!(",\"{name}\":{value}"));
    }
    text.push('}');
    CanonicalJson::trusted(&text)
}

/// The members of what came with the request; their names are plain.
fn members(object: &str) -> Vec<(String, Box<RawValue>)> {
    let members: std::collections::BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(object).expect("canonical objects are objects");
    members.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_own_metadata_win() {
        let request = CanonicalJson::trusted(r#"{"actor":"Ada","traceparent":"t"}"#);
        let cases = [
            ("", r#"{"actor":"Ada","traceparent":"t"}"#),
            ("{}", r#"{"actor":"Ada","traceparent":"t"}"#),
            (r#"{"z":1.5,"actor":"Bob"}"#, r#"{"z":1.5,"actor":"Bob","traceparent":"t"}"#),
        ];
        for (own, expected) in cases {
            let joined = joined(&CanonicalJson::trusted(own), &request);
            assert_eq!(joined.as_str(), expected);
            assert_eq!(CanonicalJson::parse(joined.as_str()).unwrap(), joined);
        }
        let own = CanonicalJson::trusted(r#"{"z":1}"#);
        assert_eq!(joined(&own, &CanonicalJson::default()), own);
        assert!(joined(&CanonicalJson::default(), &CanonicalJson::default()).is_empty());
    }
}
