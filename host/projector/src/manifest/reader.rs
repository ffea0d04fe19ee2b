//! A manifest's JSON with the place of each value in it, so that every error says where. What the values mean is not known here.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::ManifestError;

/// The place of the manifest itself.
const TOP: &str = "(top)";

/// A JSON value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    place: String,
}

/// An object whose members are all known.
#[derive(Debug)]
pub(super) struct Object<'a> {
    members: &'a Map<String, Value>,
    node: Node<'a>,
}

/// An error at the manifest itself, or at `path` in it.
pub(super) fn error_at(path: &str, problem: impl Into<String>) -> ManifestError {
    let place = if path.is_empty() { TOP } else { path };
    ManifestError { place: place.to_owned(), problem: problem.into() }
}

impl<'a> Node<'a> {
    pub(super) fn top(value: &'a Value) -> Node<'a> {
        Node { value, place: String::new() }
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> ManifestError {
        error_at(&self.place, problem)
    }

    /// An object with no members but `known`.
    pub(super) fn object(&self, known: &[&str]) -> Result<Object<'a>, ManifestError> {
        let members = self.members()?;
        if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
            let advice = match nearest(name, known) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("the members here are {}", known.join(", ")),
            };
            return Err(self.error(format!("unknown member {:?}: {advice}", shown(name))));
        }
        Ok(Object { members, node: self.clone() })
    }

    /// The object's members, known or not.
    pub(super) fn members(&self) -> Result<&'a Map<String, Value>, ManifestError> {
        self.value.as_object().ok_or_else(|| self.expected("an object {…}"))
    }

    pub(super) fn text(&self) -> Result<&'a str, ManifestError> {
        self.value.as_str().ok_or_else(|| self.expected("a string"))
    }

    pub(super) fn flag(&self) -> Result<bool, ManifestError> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    /// A whole number within `range`.
    pub(super) fn number(&self, range: RangeInclusive<u32>) -> Result<u32, ManifestError> {
        let number = self.value.as_u64().and_then(|number| u32::try_from(number).ok());
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.expected(&format!("a whole number from {} to {}", range.start(), range.end())))
    }

    /// The items of a list that has as many as `count` says.
    pub(super) fn list(&self, count: RangeInclusive<usize>) -> Result<Vec<Node<'a>>, ManifestError> {
        let items = self.value.as_array().ok_or_else(|| self.expected("a list […]"))?;
        if items.len() < *count.start() {
            return Err(self.error("the list is empty: it needs at least one entry"));
        }
        if items.len() > *count.end() {
            return Err(self.error(format!(
                "the list has {} entries: at most {} are possible",
                items.len(),
                count.end()
            )));
        }
        let place = |index| format!("{}[{index}]", self.place);
        Ok(items.iter().enumerate().map(|(index, value)| Node { value, place: place(index) }).collect())
    }

    /// The error that another kind of value was expected here.
    pub(super) fn expected(&self, what: &str) -> ManifestError {
        self.error(format!("expected {what}, found {}", shown(&self.value.to_string())))
    }
}

impl<'a> Object<'a> {
    pub(super) fn optional(&self, name: &str) -> Option<Node<'a>> {
        let place = &self.node.place;
        let joint = if place.is_empty() { "" } else { "." };
        self.members.get(name).map(|value| Node { value, place: format!("{place}{joint}{name}") })
    }

    /// The member `name`; where it is missing, `advice` says what to write.
    pub(super) fn required(&self, name: &str, advice: &str) -> Result<Node<'a>, ManifestError> {
        self.optional(name).ok_or_else(|| self.error(format!("member {name:?} is missing: {advice}")))
    }

    /// The flag `name`; false where it is missing.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ManifestError> {
        self.optional(name).map_or(Ok(false), |node| node.flag())
    }

    /// The items of the list `name`, at most `most`; none where it is missing.
    pub(super) fn list(&self, name: &str, most: usize) -> Result<Vec<Node<'a>>, ManifestError> {
        self.optional(name).map_or(Ok(Vec::new()), |node| node.list(0..=most))
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> ManifestError {
        self.node.error(problem)
    }
}

/// A text for a message: at most 60 characters of it.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The one of `known` that somebody who wrote `name` may have meant.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    // Longer names are nobody's typing error, and the distance costs the product of the lengths.
    if name.len() > 64 {
        return None;
    }
    let written = name.to_lowercase().replace('_', "-");
    let distance = |candidate: &str| {
        let candidate = candidate.replace('_', "-");
        // Singular for plural, "int" for "int64": the beginning of the other.
        let begins = written.len() >= 3 && (candidate.starts_with(&written) || written.starts_with(&candidate));
        if begins { 0 } else { edits(&written, &candidate) }
    };
    let nearest = known.iter().map(|candidate| (distance(candidate), *candidate)).min_by_key(|(edits, _)| *edits);
    nearest.filter(|(edits, candidate)| *edits <= 1.max(candidate.len() / 3)).map(|(_, candidate)| candidate)
}

/// How many characters must be added, removed or exchanged (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, c) in from.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (at, other) in to.iter().enumerate() {
            let exchanged = diagonal + usize::from(c != *other);
            diagonal = row[at + 1];
            row[at + 1] = exchanged.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}
