//! Reading a CloudEvent in JSON as an event for the log. One pass collects the attributes as they stand in the text; what is
//! kept is copied once, by making it canonical.

use std::{borrow::Cow, collections::HashMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    CanonicalJson, EventKind, NewEvent, StreamId, Timestamp,
    canonical::push_string,
    cloud_events::{CloudEventError, ORIGINAL_ID, OUR_SOURCE, PLACE, derived_id, invalid, is_json, uuid_of},
};

/// Where the metadata says that the payload was taken out of the event.
const REDACTED: &str = "redacted";

/// An event as it came in, and the stream it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedEvent {
    /// From `subject`.
    pub stream: StreamId,
    /// All the rest.
    pub event: NewEvent,
}

/// Reads one CloudEvent. `time` may be missing; so may `data` (then it is `null`, or empty where the event is marked
/// `redacted`). An `id` that is no UUID becomes UUIDv5 of `source` and `id`, the original kept in the metadata, as are `source`,
/// `dataschema` and all extension attributes that this crate has no place for.
///
/// # Errors
/// Where it is no CloudEvent 1.0 that the log can hold; the attribute is named, and what was expected.
pub fn read(text: &[u8]) -> Result<ReceivedEvent, CloudEventError> {
    let text = std::str::from_utf8(text)
        .map_err(|error| CloudEventError::Malformed(format!("byte {} is not UTF-8", error.valid_up_to())))?;
    let attributes: Attributes<'_> =
        serde_json::from_str(text).map_err(|error| CloudEventError::Malformed(error.to_string()))?;
    if let Some(repeated) = attributes.repeated {
        return Err(CloudEventError::Repeated(repeated));
    }
    if required("specversion", attributes.specversion)? != "1.0" {
        let found = attributes.specversion.map_or("", RawValue::get);
        return Err(invalid("specversion", "\"1.0\"", found));
    }
    let id = identifier("id", attributes.id)?;
    let source = identifier("source", attributes.source)?;
    let uuid = uuid_of(&id);
    let kind = EventKind::new(&required("type", attributes.kind)?).map_err(CloudEventError::Kind)?;
    let stream = StreamId::new(&required("subject", attributes.subject)?).map_err(CloudEventError::Stream)?;
    let recorded_at = optional("time", attributes.time)?.map(|time| Timestamp::parse(&time)).transpose();
    let origin = Origin { source: &source, original_id: uuid.is_none().then_some(&*id) };
    let metadata = metadata(text, &attributes, origin)?;
    let event = NewEvent {
        id: uuid.unwrap_or_else(|| derived_id(&source, &id)),
        kind,
        schema: schema(attributes.schema)?,
        recorded_at: recorded_at.map_err(CloudEventError::Time)?,
        payload: payload(text, &attributes, &metadata)?,
        metadata,
    };
    Ok(ReceivedEvent { stream, event })
}

/// The attributes as they stand in the text; null means absent, as the JSON format has it.
#[derive(Default)]
struct Attributes<'a> {
    specversion: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    source: Option<&'a RawValue>,
    kind: Option<&'a RawValue>,
    subject: Option<&'a RawValue>,
    time: Option<&'a RawValue>,
    content_type: Option<&'a RawValue>,
    schema: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    binary: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
    others: Vec<(Cow<'a, str>, &'a RawValue)>,
    place: [Option<&'a RawValue>; PLACE.len()],
    repeated: Option<String>,
}

impl<'a> Attributes<'a> {
    fn set(&mut self, name: Cow<'a, str>, value: &'a RawValue) {
        let slot = match &*name {
            "specversion" => &mut self.specversion,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.kind,
            "subject" => &mut self.subject,
            "time" => &mut self.time,
            "datacontenttype" => &mut self.content_type,
            "schema" => &mut self.schema,
            "data" => &mut self.data,
            "data_base64" => &mut self.binary,
            "metadata" => &mut self.metadata,
            _ => match PLACE.iter().position(|place| *place == name) {
                Some(index) => &mut self.place[index],
                None => return self.add(name, value),
            },
        };
        if slot.replace(value).is_some() {
            self.repeated = Some(name.into_owned());
        }
    }

    fn add(&mut self, name: Cow<'a, str>, value: &'a RawValue) {
        if self.others.iter().any(|(other, _)| *other == name) {
            self.repeated = Some(name.into_owned());
        } else {
            self.others.push((name, value));
        }
    }
}

/// A string that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Attributes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AttributesVisitor)
    }
}

struct AttributesVisitor;

impl<'de> Visitor<'de> for AttributesVisitor {
    type Value = Attributes<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut attributes = Attributes::default();
        while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            attributes.set(name, value);
        }
        Ok(attributes)
    }
}

fn present(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|value| value.get() != "null")
}

fn optional<'a>(attribute: &str, value: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, CloudEventError> {
    let Some(value) = present(value) else { return Ok(None) };
    let text: Result<Text<'_>, _> = serde_json::from_str(value.get());
    text.map(|Text(text)| Some(text)).map_err(|_| invalid(attribute, "a string", value.get()))
}

fn required<'a>(attribute: &'static str, value: Option<&'a RawValue>) -> Result<Cow<'a, str>, CloudEventError> {
    if attribute == "specversion" && present(value).is_some_and(|value| !value.get().starts_with('"')) {
        return Err(invalid(attribute, "\"1.0\"", value.map_or("", RawValue::get)));
    }
    optional(attribute, value)?.ok_or(CloudEventError::Missing(attribute))
}

fn identifier<'a>(attribute: &'static str, value: Option<&'a RawValue>) -> Result<Cow<'a, str>, CloudEventError> {
    let text = required(attribute, value)?;
    let fits = !text.is_empty() && !text.chars().any(char::is_control);
    if fits {
        Ok(text)
    } else {
        Err(invalid(attribute, "a text that is not empty, without control characters", &format!("{text:?}")))
    }
}

fn schema(value: Option<&RawValue>) -> Result<u16, CloudEventError> {
    let Some(value) = present(value) else { return Ok(1) };
    let number = value.get().trim_matches('"').parse().ok().filter(|schema| *schema >= 1);
    number.ok_or_else(|| invalid("schema", "an integer from 1 to 65535", value.get()))
}

fn payload(
    text: &str,
    attributes: &Attributes<'_>,
    metadata: &CanonicalJson,
) -> Result<CanonicalJson, CloudEventError> {
    if let Some(binary) = present(attributes.binary) {
        return Err(invalid("data_base64", "absent (only JSON in \"data\" is taken)", binary.get()));
    }
    if let Some(content_type) = optional("datacontenttype", attributes.content_type)?
        && !is_json(&content_type)
    {
        return Err(invalid("datacontenttype", "\"application/json\" or another JSON type", &content_type));
    }
    match attributes.data {
        Some(data) => canonical(text, "data", data),
        None if names(metadata).iter().any(|name| name == REDACTED) => Ok(CanonicalJson::default()),
        None => Ok(CanonicalJson::trusted("null")),
    }
}

fn canonical(text: &str, attribute: &str, value: &RawValue) -> Result<CanonicalJson, CloudEventError> {
    CanonicalJson::parse(value.get()).map_err(|error| {
        let offset = (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        error.within(attribute, text, offset).into()
    })
}

/// What must be known of an event beyond its own attributes to tell it apart elsewhere.
struct Origin<'a> {
    source: &'a str,
    original_id: Option<&'a str>,
}

fn metadata(text: &str, attributes: &Attributes<'_>, origin: Origin<'_>) -> Result<CanonicalJson, CloudEventError> {
    let base = present(attributes.metadata).map(|value| base_metadata(text, value)).transpose()?;
    let mut members = Members::behind(base.as_ref());
    if origin.source != OUR_SOURCE {
        members.add_text("source", origin.source);
    }
    if let Some(original) = origin.original_id {
        if attributes.others.iter().any(|(name, _)| name == ORIGINAL_ID) {
            return Err(invalid("id", "a UUID where \"originalid\" is given", original));
        }
        members.add_text(ORIGINAL_ID, original);
    }
    for (name, value) in &attributes.others {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            return Err(invalid("an attribute's name", "lower-case letters and digits", name));
        }
        if present(Some(value)).is_some() {
            members.add(name, canonical(text, name, value)?.as_str());
        }
    }
    Ok(members.finish())
}

/// The attribute `metadata`: a JSON object, or a string that holds one (which is what CloudEvents allows an attribute to be).
fn base_metadata(text: &str, value: &RawValue) -> Result<CanonicalJson, CloudEventError> {
    let canonical = if value.get().starts_with('"') {
        let inner = optional("metadata", Some(value))?.unwrap_or_default();
        CanonicalJson::parse(&*inner).map_err(|error| error.within("metadata", "", 0))?
    } else {
        canonical(text, "metadata", value)?
    };
    if canonical.is_object() { Ok(canonical) } else { Err(invalid("metadata", "a JSON object", value.get())) }
}

/// A canonical object that grows by members whose names need no escapes.
struct Members {
    out: String,
    /// Names in the object that it began with; these stay as they are.
    taken: Vec<String>,
}

impl Members {
    fn behind(base: Option<&CanonicalJson>) -> Members {
        let Some(base) = base else {
            return Members { out: String::new(), taken: Vec::new() };
        };
        let taken = names(base);
        let out = if taken.is_empty() { "" } else { base.as_str().strip_suffix('}').expect("an object") };
        Members { out: out.to_owned(), taken }
    }

    fn add_text(&mut self, name: &str, text: &str) {
        let mut value = String::with_capacity(text.len() + 2);
        push_string(&mut value, text);
        self.add(name, &value);
    }

    fn add(&mut self, name: &str, value: &str) {
        if self.taken.iter().any(|taken| taken == name) {
            return;
        }
        self.out.push(if self.out.is_empty() { '{' } else { ',' });
        push_string(&mut self.out, name);
        self.out.push(':');
        self.out.push_str(value);
    }

    fn finish(mut self) -> CanonicalJson {
        if !self.out.is_empty() {
            self.out.push('}');
        }
        CanonicalJson::trusted(&self.out)
    }
}

/// The names of a canonical object's members; none where there is no object.
fn names(object: &CanonicalJson) -> Vec<String> {
    let members: HashMap<String, IgnoredAny> = serde_json::from_str(object.as_str()).unwrap_or_default();
    members.into_keys().collect()
}
