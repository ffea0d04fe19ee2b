//! JSON made canonical once, at append, so that the bytes a plugin sees are the same from the store, the topic and the archive.
//!
//! The canonical form of a JSON text:
//! - no white space between tokens; keys in the order given; no key twice in one object;
//! - a number written as an integer (no point, no exponent) must fit 64 signed bits and stays an integer; `-0` is `0`;
//! - every other number is a double: it must be finite, and is written with the fewest digits that read back as the same
//!   double, always with a point or an exponent, so that it stays a double (`1.0`, `1e2` is `100.0`, `1e300`); `-0.0` is `0.0`;
//! - in strings only `"`, `\` and control characters are escaped (`\b \t \n \f \r`, else `\u001f`);
//! - no NUL, no lone surrogate, at most [`MAX_DEPTH`] arrays and objects within one another.
//!
//! Making a canonical text canonical again changes nothing.
//!
//! The pass over the text is in `reader`.

mod reader;

use std::fmt;

use serde::Serialize;

pub(crate) use reader::push_string;

/// How many arrays and objects may stand within one another.
pub const MAX_DEPTH: usize = 64;

/// A JSON text in canonical form, or nothing (a redacted payload, absent metadata).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CanonicalJson(Box<str>);

/// What keeps a text from being made canonical, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct CanonicalError {
    /// The way to the value from the top: `author[3].name`; empty at the top itself.
    pub path: String,
    /// Line of the text, from 1.
    pub line: usize,
    /// Character within the line, from 1.
    pub column: usize,
    /// What is wrong and, where it is not plain, what to do.
    pub problem: String,
}

impl fmt::Display for CanonicalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CanonicalError { path, line, column, problem } = self;
        if path.is_empty() {
            write!(f, "line {line}, column {column}: {problem}")
        } else {
            write!(f, "{path} (line {line}, column {column}): {problem}")
        }
    }
}

impl CanonicalError {
    /// The same error, as seen from a text that holds this one as its member `name`, at byte `offset` of `whole`.
    #[must_use]
    pub(crate) fn within(mut self, name: &str, whole: &str, offset: usize) -> CanonicalError {
        let joint = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{joint}{}", self.path);
        let (line, column) = reader::place(whole, offset);
        if self.line == 1 {
            self.column += column - 1;
        }
        self.line += line - 1;
        self
    }
}

impl CanonicalJson {
    /// Makes a JSON text canonical.
    ///
    /// # Errors
    /// Where the text is not UTF-8, not JSON, or holds what the canonical form refuses; the first such place is named.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<CanonicalJson, CanonicalError> {
        let bytes = text.as_ref();
        let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error))?;
        reader::canonical(text).map(|canonical| CanonicalJson(canonical.into_boxed_str()))
    }

    /// Makes a JSON text canonical that must be an object, as metadata is.
    ///
    /// # Errors
    /// As [`CanonicalJson::parse`], and where the text is another value than an object.
    pub fn parse_object(text: impl AsRef<[u8]>) -> Result<CanonicalJson, CanonicalError> {
        let canonical = CanonicalJson::parse(text)?;
        if canonical.is_object() {
            return Ok(canonical);
        }
        let found: String = canonical.as_str().chars().take(40).collect();
        let problem = format!("expected an object, found {found}");
        Err(CanonicalError { path: String::new(), line: 1, column: 1, problem })
    }

    /// Writes a value of ours as canonical JSON.
    ///
    /// # Errors
    /// Where the value cannot be written as JSON (a map with keys that are no strings) or holds what the canonical form refuses.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<CanonicalJson, CanonicalError> {
        let written = serde_json::to_string(value).map_err(|error| CanonicalError {
            path: String::new(),
            line: 1,
            column: 1,
            problem: format!("the value cannot be written as JSON: {error}"),
        })?;
        CanonicalJson::parse(written)
    }

    /// Writes a JSON value as canonical JSON.
    ///
    /// # Errors
    /// Where it holds what the canonical form refuses.
    pub fn from_value(value: &serde_json::Value) -> Result<CanonicalJson, CanonicalError> {
        CanonicalJson::from_serialize(value)
    }

    /// Takes over a text that was made canonical before: read from our own store or topic.
    #[must_use]
    pub fn trusted(text: &str) -> CanonicalJson {
        CanonicalJson(text.into())
    }

    /// The text; empty where there is none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is no JSON at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is a JSON object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }
}

impl fmt::Display for CanonicalJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn not_utf8(bytes: &[u8], error: std::str::Utf8Error) -> CanonicalError {
    let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid up to there");
    let (line, column) = reader::place(valid, valid.len());
    let problem = format!("byte {} is not UTF-8", error.valid_up_to());
    CanonicalError { path: String::new(), line, column, problem }
}

#[cfg(test)]
mod tests;
