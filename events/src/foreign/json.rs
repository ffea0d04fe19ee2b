//! A message that is a JSON object, one member of which says what happened. The whole object is the payload.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    Draft, Message, TOMBSTONE, Wrong,
    members::{Members, text},
    stream_of,
};
use crate::{CanonicalJson, canonical::push_string};

pub(super) fn read(
    message: &Message<'_>,
    (kind, stream): (&str, Option<&str>),
    draft: &mut Draft,
) -> Result<(), Wrong> {
    draft.metadata = headers(message);
    let Some(value) = message.value else {
        draft.payload = CanonicalJson::trusted("null");
        return draft.set_kind(TOMBSTONE);
    };
    let not_json = |error| Wrong::new("not-json", format!("its value is not read as JSON: {error}"));
    let payload = CanonicalJson::parse_object(value).map_err(not_json)?;
    let members: Members<'_> = serde_json::from_str(payload.as_str()).expect("canonical JSON is JSON, and an object");
    draft.set_kind(&name(&members, kind).ok_or_else(|| Wrong::new("no-kind", missing(kind, members.get(kind))))?)?;
    if let Some(stream) = stream {
        let key = name(&members, stream);
        let key = key.ok_or_else(|| Wrong::new("no-stream", missing(stream, members.get(stream))))?;
        draft.stream = stream_of(message.topic, message.partition, Some(key.as_bytes()));
    }
    draft.payload = payload;
    Ok(())
}

/// A member that is a text or a whole number, as text.
fn name<'a>(members: &Members<'a>, wanted: &str) -> Option<Cow<'a, str>> {
    let value = members.get(wanted)?;
    let whole = value.get().parse::<i64>().is_ok();
    let found = if whole { Some(Cow::Borrowed(value.get())) } else { text(value) };
    found.filter(|name| !name.is_empty())
}

fn missing(field: &str, found: Option<&RawValue>) -> String {
    let found = found.map_or("none".to_owned(), |value| value.get().chars().take(60).collect());
    format!("the member {field:?} must be a text, found {found}")
}

/// The headers that are text; the first of each name.
fn headers(message: &Message<'_>) -> CanonicalJson {
    let mut out = String::new();
    for (index, (name, value)) in message.headers.iter().enumerate() {
        let Some(value) = value.and_then(|value| std::str::from_utf8(value).ok()) else { continue };
        if name.contains('\0')
            || value.contains('\0')
            || message.headers[..index].iter().any(|(before, _)| before == name)
        {
            continue;
        }
        out.push(if out.is_empty() { '{' } else { ',' });
        push_string(&mut out, name);
        out.push(':');
        push_string(&mut out, value);
    }
    if !out.is_empty() {
        out.push('}');
    }
    CanonicalJson::trusted(&out)
}
