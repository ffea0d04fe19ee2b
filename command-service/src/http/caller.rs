//! What comes with every command, beside what it asks: who acts, the idempotency key, the version the sender has seen, and
//! where the command came from.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, header::IF_MATCH, request::Parts},
};
use reel_events::CanonicalJson;
use reel_problem::{Problem, Query};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::observed::is_traceparent;
use crate::{
    domain::text::{Invalid, Name},
    mediator::{Key, Terms},
};

/// Turns keys that are no UUIDs into UUIDs. Never to be changed: keys would lose their meaning.
const KEYS: Uuid = Uuid::from_u128(0x1f7c_9a52_60de_4b0c_8d1b_27e4_4b93_50f6);
/// The longest text that is taken from a header, in bytes.
const HEADER_BYTES: usize = 256;

/// Who sent a command, and on which terms.
pub(super) struct Caller {
    header_actor: Option<String>,
    query_actor: Option<String>,
    /// The idempotency key.
    pub(super) key: Key,
    /// From `If-Match`.
    pub(super) expected: Option<u64>,
    origin: Origin,
}

/// Where a command came from; kept in the events' metadata.
#[derive(Debug, Default, Clone, Serialize)]
struct Origin {
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    actor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Caller, Problem> {
        let Query(Parameters { actor }) = Query::from_request_parts(parts, state).await?;
        let headers = &parts.headers;
        let origin = Origin {
            actor: None,
            correlation: text(headers, "reel-correlation")?,
            causation: text(headers, "reel-causation")?,
            // `observed` has seen to it that every command has one.
            traceparent: text(headers, "traceparent").ok().flatten().filter(|value| is_traceparent(value)),
        };
        Ok(Caller {
            header_actor: text(headers, "reel-actor")?,
            query_actor: actor,
            key: key(headers)?,
            expected: expected(headers)?,
            origin,
        })
    }
}

impl Caller {
    /// Who acts, if anybody said so; `in_body` is what the body says.
    ///
    /// # Errors
    /// Where it is said twice and differently, or is no name.
    pub(super) fn actor(&self, in_body: Option<&str>) -> Result<Option<Name>, Invalid> {
        let said = [in_body, self.header_actor.as_deref(), self.query_actor.as_deref()];
        let mut said = said.into_iter().flatten().map(str::trim);
        let Some(first) = said.next() else { return Ok(None) };
        if said.any(|other| other != first) {
            return Err(Invalid::new(
                "actor",
                "is given twice, and not the same: in body, header and query it must agree",
            ));
        }
        Name::new("actor", first).map(Some)
    }

    /// Who acts, where somebody must.
    ///
    /// # Errors
    /// As [`Caller::actor`], and where nobody said so.
    pub(super) fn required_actor(&self, in_body: Option<&str>) -> Result<Name, Invalid> {
        let missing =
            "is missing: say who acts in the body's member actor, the header Reel-Actor or the parameter actor";
        self.actor(in_body)?.ok_or_else(|| Invalid::new("actor", missing))
    }

    /// An id for something new: the same one when the same command comes again under its key.
    pub(super) fn new_id(&self) -> Uuid {
        match self.key {
            Key::Given(key) => Uuid::new_v5(&key, b"new"),
            Key::Fresh(_) => Uuid::now_v7(),
        }
    }

    /// The terms of the command, as `actor` acts.
    pub(super) fn terms(self, actor: Option<&Name>) -> Terms {
        let actor = actor.map(|name| name.as_str().to_owned());
        Terms { key: self.key, expected: self.expected, metadata: metadata(&Origin { actor, ..self.origin }) }
    }
}

fn metadata(origin: &Origin) -> CanonicalJson {
    let written = CanonicalJson::from_serialize(origin).expect("headers hold no NUL, and names were checked");
    if written.as_str() == "{}" { CanonicalJson::default() } else { written }
}

fn key(headers: &HeaderMap) -> Result<Key, Problem> {
    let Some(given) = text(headers, "idempotency-key")? else {
        return Ok(Key::Fresh(Uuid::now_v7()));
    };
    // The header's draft standard has it in quotes; most people write it without.
    let bare = given.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&given);
    if bare.is_empty() {
        return Err(Problem::bad_request(
            "the header Idempotency-Key is empty; send a UUID or any other text, or leave it out",
        ));
    }
    let uuid = Uuid::try_parse(bare).ok().filter(|uuid| !uuid.is_nil());
    Ok(Key::Given(uuid.unwrap_or_else(|| Uuid::new_v5(&KEYS, bare.as_bytes()))))
}

fn expected(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(given) = text(headers, IF_MATCH.as_str())? else {
        return Ok(None);
    };
    let tag = given.strip_prefix("W/").unwrap_or(&given);
    let bare = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(tag);
    let digits = bare.bytes().all(|byte| byte.is_ascii_digit());
    let version = bare.parse().ok().filter(|_| digits);
    let wrong =
        || Problem::bad_request(format!("the header If-Match takes one version in quotes, such as \"3\", not {given}"));
    version.map(Some).ok_or_else(wrong)
}

/// A header as text; nothing where it is not there.
fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let name = HeaderName::try_from(name).expect("the names above are names");
    let mut values = headers.get_all(&name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::bad_request(format!("the header {name} is there twice; it takes one value")));
    }
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Problem::bad_request(format!("the header {name} is not UTF-8")))?;
    if text.len() > HEADER_BYTES {
        let detail = format!("the header {name} has {} bytes; at most {HEADER_BYTES} are taken", text.len());
        return Err(Problem::bad_request(detail));
    }
    Ok(Some(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn caller(uri: &str, headers: &[(&str, &str)]) -> Result<Caller, Problem> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        Caller::from_request_parts(&mut parts, &()).await
    }

    async fn refused(headers: &[(&str, &str)]) -> String {
        caller("/", headers).await.err().unwrap().to_json()["detail"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn who_acts_is_said_in_one_of_three_places() {
        for (uri, header, body) in
            [("/?actor=%C3%89va", None, None), ("/", Some("Éva"), None), ("/", None, Some(" Éva "))]
        {
            let headers: Vec<_> = header.map(|value| ("reel-actor", value)).into_iter().collect();
            let caller = caller(uri, &headers).await.unwrap();
            assert_eq!(caller.required_actor(body).unwrap().as_str(), "Éva");
        }
        let caller = caller("/?actor=Ada", &[("reel-actor", "Ada")]).await.unwrap();
        assert!(caller.actor(Some("Ada")).is_ok());
        assert!(caller.actor(Some("ada")).unwrap_err().to_string().starts_with("actor is given twice"));
    }

    async fn key(value: &str) -> Key {
        caller("/", &[("idempotency-key", value)]).await.unwrap().key
    }

    #[tokio::test]
    async fn keys_are_uuids_or_texts() {
        let uuid = "0660cb1f-a14a-5491-b879-0a9eb721fbfa";
        assert_eq!(key(uuid).await, Key::Given(uuid.parse().unwrap()));
        assert_eq!(key(&format!("\"{uuid}\"")).await, Key::Given(uuid.parse().unwrap()));
        assert_eq!(key("order 7").await, Key::Given("ad4f0ac2-e083-573d-959e-b230689b8fd2".parse().unwrap()));
        assert!(refused(&[("idempotency-key", "")]).await.contains("is empty"));
        assert!(refused(&[("idempotency-key", &"k".repeat(257))]).await.contains("at most 256"));
        assert!(matches!(caller("/", &[]).await.unwrap().key, Key::Fresh(_)));
    }

    #[tokio::test]
    async fn a_version_stands_in_if_match() {
        for value in ["\"3\"", "3", "W/\"3\""] {
            assert_eq!(caller("/", &[("if-match", value)]).await.unwrap().expected, Some(3));
        }
        for value in ["*", "\"three\"", "\"1\", \"2\"", "+3", "\"99999999999999999999\""] {
            assert!(refused(&[("if-match", value)]).await.contains("one version in quotes"), "{value}");
        }
    }

    #[tokio::test]
    async fn the_origin_becomes_metadata() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers = [("traceparent", trace), ("reel-correlation", "c"), ("reel-causation", "d")];
        let terms = caller("/", &headers).await.unwrap().terms(Some(&Name::new("actor", "Ada").unwrap()));
        let expected = format!(r#"{{"actor":"Ada","correlation":"c","causation":"d","traceparent":"{trace}"}}"#);
        assert_eq!(terms.metadata.as_str(), expected);
        let ignored = caller("/", &[("traceparent", "nonsense")]).await.unwrap().terms(None);
        assert!(ignored.metadata.is_empty());
    }
}
