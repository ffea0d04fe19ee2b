//! A message that is a CloudEvent: its attributes in `ce_` headers (binary mode), or all of it in one JSON object (structured mode).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Draft, Message, TOMBSTONE, Wrong, members::Members, stream_of};
use crate::{
    CanonicalJson, Timestamp,
    canonical::push_string,
    cloud_events::{derived_id, is_json, uuid_of},
};

/// What every header of an attribute begins with.
const PREFIX: &str = "ce_";
/// The media types of structured mode begin with it.
const STRUCTURED: &str = "application/cloudevents";

pub(super) fn read(message: &Message<'_>, stream: Option<&str>, draft: &mut Draft) -> Result<(), Wrong> {
    let is_binary = message.headers.iter().any(|(name, _)| name.starts_with(PREFIX));
    let (attributes, payload) = match message.value {
        _ if is_binary => (binary(message)?, Payload::Bytes(message.value)),
        Some(value) => structured(message, value)?,
        None => {
            draft.payload = CanonicalJson::trusted("null");
            return draft.set_kind(TOMBSTONE);
        }
    };
    if attributes.required("specversion")? != "1.0" {
        return Err(wrong(format!("specversion must be \"1.0\", found {:?}", attributes.required("specversion")?)));
    }
    draft.set_kind(&attributes.required("type")?)?;
    let (id, source) = (attributes.required("id")?, attributes.required("source")?);
    draft.id = uuid_of(&id).unwrap_or_else(|| derived_id(&source, &id));
    if let Some(stream) = stream {
        draft.stream = stream_of(message.topic, message.partition, Some(attributes.required(stream)?.as_bytes()));
    }
    if let Some(time) = attributes.optional("time")? {
        draft.recorded_at = Timestamp::parse(&time).map_err(|error| wrong(format!("time: {error}")))?;
    }
    draft.schema = attributes.schema();
    draft.payload = payload.read(attributes.optional("datacontenttype")?.as_deref())?;
    draft.metadata = attributes.into_metadata(message);
    Ok(())
}

fn wrong(reason: String) -> Wrong {
    Wrong::new("not-a-cloudevent", reason)
}

/// The attributes, each as canonical JSON, in the order in which they came.
struct Attributes<'a>(Vec<(Cow<'a, str>, String)>);

impl<'a> Attributes<'a> {
    fn add(&mut self, name: Cow<'a, str>, value: String) -> Result<(), Wrong> {
        if self.get(&name).is_some() {
            return Err(wrong(format!("attribute {name:?} stands there twice")));
        }
        self.0.push((name, value));
        Ok(())
    }

    fn get(&self, wanted: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    fn optional(&self, name: &str) -> Result<Option<String>, Wrong> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text: Result<String, _> = serde_json::from_str(value);
        text.map(Some).map_err(|_| wrong(format!("{name} must be a text, found {value}")))
    }

    fn required(&self, name: &str) -> Result<String, Wrong> {
        let found = self.optional(name)?.filter(|text| !text.is_empty());
        found.ok_or_else(|| wrong(format!("missing attribute {name:?}")))
    }

    /// The version of the payload's schema, where an extension says it as Reel does; others may mean other things by that name.
    fn schema(&self) -> u16 {
        let number = self.get("schema").and_then(|schema| schema.trim_matches('"').parse().ok());
        number.filter(|schema| *schema >= 1).unwrap_or(1)
    }

    /// All of them as one object; and the trace, where it stands beside the attributes.
    fn into_metadata(mut self, message: &Message<'_>) -> CanonicalJson {
        let trace = message.headers.iter().find(|(name, _)| *name == "traceparent").and_then(|(_, value)| *value);
        if let Some(trace) = trace.and_then(|value| literal(value).ok())
            && self.get("traceparent").is_none()
        {
            self.0.push(("traceparent".into(), trace));
        }
        let mut out = String::from("{");
        for (name, value) in &self.0 {
            if out.len() > 1 {
                out.push(',');
            }
            push_string(&mut out, name);
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        CanonicalJson::trusted(&out)
    }
}

/// A header's value as a JSON text.
fn literal(value: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "must be UTF-8")?;
    if text.contains('\0') {
        return Err("must not hold NUL");
    }
    let mut literal = String::with_capacity(text.len() + 2);
    push_string(&mut literal, text);
    Ok(literal)
}

fn binary<'a>(message: &Message<'a>) -> Result<Attributes<'a>, Wrong> {
    let mut attributes = Attributes(Vec::with_capacity(message.headers.len()));
    for (header, value) in &message.headers {
        let name = match header.strip_prefix(PREFIX) {
            Some(name) => name,
            None if header.eq_ignore_ascii_case("content-type") => "datacontenttype",
            None => continue,
        };
        let Some(value) = value else { continue };
        let value = literal(value).map_err(|why| wrong(format!("{name} {why}")))?;
        attributes.add(Cow::Borrowed(name), value)?;
    }
    Ok(attributes)
}

fn structured<'a>(message: &Message<'a>, value: &'a [u8]) -> Result<(Attributes<'a>, Payload<'a>), Wrong> {
    let content_type = message.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let content_type = content_type.and_then(|(_, value)| *value).map(String::from_utf8_lossy).unwrap_or_default();
    if content_type.starts_with(STRUCTURED) && !content_type.starts_with("application/cloudevents+json") {
        return Err(wrong(format!(
            "the content type {content_type:?} is not read: only single CloudEvents in JSON are"
        )));
    }
    let object = std::str::from_utf8(value).ok().and_then(|value| serde_json::from_str::<Members<'a>>(value).ok());
    let Some(Members(members)) = object else {
        return Err(wrong("it has neither ce_ headers nor a value that is a JSON object".to_owned()));
    };
    let (mut attributes, mut payload) = (Attributes(Vec::with_capacity(members.len())), Payload::Bytes(None));
    for (name, value) in members {
        match &*name {
            "data" => payload = Payload::Json(value),
            "data_base64" if value.get() != "null" => payload = Payload::Binary,
            _ if value.get() == "null" => {}
            _ => {
                let value = CanonicalJson::parse(value.get()).map_err(|error| wrong(format!("{name}: {error}")))?;
                attributes.add(name, value.as_str().to_owned())?;
            }
        }
    }
    Ok((attributes, payload))
}

/// The data as it came.
enum Payload<'a> {
    /// A message's value; nothing = there is no data.
    Bytes(Option<&'a [u8]>),
    /// The member of a structured event.
    Json(&'a RawValue),
    /// Bytes in base64.
    Binary,
}

impl Payload<'_> {
    fn read(self, content_type: Option<&str>) -> Result<CanonicalJson, Wrong> {
        if let Some(content_type) = content_type.filter(|content_type| !is_json(content_type)) {
            let reason =
                format!("datacontenttype must be \"application/json\" or another JSON type, found {content_type:?}");
            return Err(Wrong::new("not-json", reason));
        }
        let text = match &self {
            Payload::Bytes(None | Some([])) => return Ok(CanonicalJson::trusted("null")),
            Payload::Bytes(Some(bytes)) => *bytes,
            Payload::Json(value) => value.get().as_bytes(),
            Payload::Binary => {
                return Err(Wrong::new("not-json", "its data are bytes (data_base64), and only JSON is read"));
            }
        };
        CanonicalJson::parse(text)
            .map_err(|error| Wrong::new("not-json", format!("its data are not read as JSON: {error}")))
    }
}
