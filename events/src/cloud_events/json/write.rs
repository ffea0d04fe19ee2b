//! Writing an event as a CloudEvent in JSON. Metadata become attributes of their own where CloudEvents allows it and reading
//! gives back the same text; else they travel whole in the attribute `metadata`.

use std::{borrow::Cow, fmt::Write};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    EventRef, LogId, Timestamp,
    canonical::push_string,
    cloud_events::{ORIGINAL_ID, OUR_SOURCE, PLACE},
};

/// Adds the event to `out` as one line of JSON, without the line's end. `log` is the log that the event's position is in.
pub fn write(event: EventRef<'_>, log: LogId, out: &mut String) {
    let members = members(event.metadata);
    let (source, attributes) = match members.as_deref().and_then(as_attributes) {
        Some((source, rest)) => (source, Rest::Attributes(rest)),
        None => (source_text(members.as_deref()), Rest::Whole(event.metadata)),
    };
    // Writing into a string cannot fail.
    let _ = write!(out, "{{\"specversion\":\"1.0\",\"id\":\"{}\",\"source\":", event.id);
    match source {
        Some(source) => out.push_str(source),
        None => push_string(out, OUR_SOURCE),
    }
    out.push_str(",\"type\":");
    push_string(out, event.kind);
    out.push_str(",\"subject\":");
    push_string(out, event.stream);
    let time = Timestamp::from_micros(event.recorded_at);
    let _ = write!(out, ",\"time\":\"{time}\",\"schema\":{}", event.schema);
    let _ = write!(out, ",\"position\":\"{}\",\"version\":\"{}\",\"log\":\"{log}\"", event.position, event.version);
    attributes.write(out);
    if !event.payload.is_empty() {
        out.push_str(",\"datacontenttype\":\"application/json\",\"data\":");
        out.push_str(event.payload);
    }
    out.push('}');
}

/// The metadata but for the source.
enum Rest<'a> {
    Attributes(&'a [Member<'a>]),
    Whole(&'a str),
}

impl Rest<'_> {
    fn write(&self, out: &mut String) {
        match self {
            Rest::Attributes(members) => {
                for (name, value) in *members {
                    let _ = write!(out, ",\"{name}\":{}", value.get());
                }
            }
            Rest::Whole("") => {}
            Rest::Whole(metadata) => {
                out.push_str(",\"metadata\":");
                push_string(out, metadata);
            }
        }
    }
}

type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// The members of a canonical object in their order; nothing where there is no metadata.
fn members(metadata: &str) -> Option<Vec<Member<'_>>> {
    serde_json::from_str::<Ordered<'_>>(metadata).ok().map(|ordered| ordered.0)
}

struct Ordered<'a>(Vec<Member<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Ordered<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Ordered<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((name, value));
                }
                Ok(Ordered(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Splits metadata into the source (as JSON) and attributes, if reading them would give the same metadata: the source comes
/// first if at all, every name and value is one that CloudEvents knows, and none has a meaning of its own here.
fn as_attributes<'m, 'a>(members: &'m [Member<'a>]) -> Option<(Option<&'a str>, &'m [Member<'a>])> {
    let first_source = members.first().filter(|(name, _)| name == "source").map(|(_, value)| value.get());
    let rest = if first_source.is_some() { &members[1..] } else { members };
    let source_fits = first_source.is_none_or(is_foreign_source);
    let fits = source_fits && !members.is_empty() && rest.iter().all(|(name, value)| is_attribute(name, value.get()));
    fits.then_some((first_source, rest))
}

/// The source to show where the metadata travel whole; reading finds it in there and leaves it as it is.
fn source_text<'a>(members: Option<&[Member<'a>]>) -> Option<&'a str> {
    let source = members?.iter().find(|(name, _)| name == "source")?.1.get();
    is_foreign_source(source).then_some(source)
}

fn is_foreign_source(value: &str) -> bool {
    let text = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    // A backslash is the mark of a control character, a quote or a backslash: no URI has any of them.
    !text.is_empty() && text != OUR_SOURCE && !text.contains('\\') && !text.chars().any(char::is_control)
}

fn is_attribute(name: &str, value: &str) -> bool {
    const OURS: [&str; 9] = ["specversion", "id", "source", "type", "subject", "time", "schema", "data", "metadata"];
    let named =
        (1..=20).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let free = !OURS.contains(&name) && !PLACE.contains(&name) && name != "datacontenttype";
    let simple = value.starts_with('"') || matches!(value, "true" | "false") || value.parse::<i32>().is_ok();
    named && free && simple && (name != ORIGINAL_ID || value.starts_with('"'))
}
