//! JSON made canonical once, at append, so that the bytes a plugin sees are the same from the store, the topic and the archive.

/// A JSON text in canonical form, or nothing (a redacted payload, absent metadata).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CanonicalJson(Box<str>);

impl CanonicalJson {
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
}
