//! Texts that commands carry, checked once where they come in: white space around them is cut off, NUL is refused, and what is
//! left has a bounded length (in Unicode scalar values), so that it fits every read database.

use std::borrow::Cow;

use serde::Serialize;

/// A field of a command that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{field} {detail}")]
pub struct Invalid {
    /// Name of the field.
    pub field: Cow<'static, str>,
    /// What is wrong with it: "must not be empty".
    pub detail: String,
}

impl Invalid {
    /// `field` was refused because of `detail`.
    #[must_use]
    pub fn new(field: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Invalid {
        Invalid { field: field.into(), detail: detail.into() }
    }
}

/// Who somebody is: 1 to 64 characters on one line. Names that differ only in case mean the same person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Name(String);

/// 1 to `MAX` characters; may have several lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

/// 1 to 200 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Title(String);

impl Name {
    /// The longest name, in characters.
    pub const MAX: usize = 64;

    /// Checks the text of `field`.
    ///
    /// # Errors
    /// Where it is empty, too long, or holds control characters.
    pub fn new(field: &'static str, text: &str) -> Result<Name, Invalid> {
        one_line(field, text, Self::MAX).map(Name)
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Text<MAX> {
    /// Checks the text of `field`.
    ///
    /// # Errors
    /// Where it is empty, too long, or holds NUL.
    pub fn new(field: &'static str, text: &str) -> Result<Text<MAX>, Invalid> {
        bounded(field, text, MAX).map(Text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Title {
    /// The longest title, in characters.
    pub const MAX: usize = 200;

    /// Checks the text of `field`.
    ///
    /// # Errors
    /// Where it is empty, too long, or holds control characters.
    pub fn new(field: &'static str, text: &str) -> Result<Title, Invalid> {
        one_line(field, text, Self::MAX).map(Title)
    }

    /// The title.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The form of a name in which it is compared: every character by itself to upper case, then to lower case. That makes `ß` `ss`
/// and both small sigmas one, without a table of our own; it does not normalise (`é` as one character is not `e` and an accent).
#[must_use]
pub fn folded(name: &str) -> String {
    name.trim().chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Both fields, or what is wrong with each.
///
/// # Errors
/// Where either is refused.
pub fn both<A, B>(first: Result<A, Invalid>, second: Result<B, Invalid>) -> Result<(A, B), Vec<Invalid>> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (first, second) => Err(first.err().into_iter().chain(second.err()).collect()),
    }
}

fn one_line(field: &'static str, text: &str, max: usize) -> Result<String, Invalid> {
    let text = bounded(field, text, max)?;
    if text.chars().any(char::is_control) {
        return Err(Invalid::new(field, "must be one line, without control characters"));
    }
    Ok(text)
}

fn bounded(field: &'static str, text: &str, max: usize) -> Result<String, Invalid> {
    let text = text.trim();
    let length = text.chars().count();
    let detail = match length {
        0 => "must not be empty".to_owned(),
        length if length > max => format!("must have at most {max} characters; it has {length}"),
        _ if text.contains('\0') => "must not hold NUL (\\u0000), which not every database can store".to_owned(),
        _ => return Ok(text.to_owned()),
    };
    Err(Invalid::new(field, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(result: Result<impl std::fmt::Debug, Invalid>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn white_space_around_is_cut_off() {
        assert_eq!(Name::new("actor", "  Ada Lovelace\t\n").unwrap().as_str(), "Ada Lovelace");
        assert_eq!(Text::<9>::new("message", "\u{a0} two\nlines ").unwrap().as_str(), "two\nlines");
    }

    #[test]
    fn lengths_count_characters() {
        assert!(Name::new("actor", &"é".repeat(64)).is_ok());
        assert!(Title::new("title", &"𝄞".repeat(200)).is_ok());
        assert_eq!(refused(Name::new("actor", &"é".repeat(65))), "actor must have at most 64 characters; it has 65");
        assert_eq!(refused(Text::<3>::new("text", "four")), "text must have at most 3 characters; it has 4");
    }

    #[test]
    fn nothing_and_nul_are_refused() {
        for nothing in ["", " ", "\n\u{2003}"] {
            assert_eq!(refused(Text::<9>::new("message", nothing)), "message must not be empty");
        }
        assert!(refused(Text::<9>::new("message", "a\0b")).starts_with("message must not hold NUL"));
        assert_eq!(
            refused(Name::new("actor", "a\0b")),
            "actor must not hold NUL (\\u0000), which not every database can store"
        );
        assert_eq!(refused(Title::new("title", "a\nb")), "title must be one line, without control characters");
    }

    #[test]
    fn names_compare_without_case() {
        for (one, other) in
            [("Ada", "aDA"), ("STRASSE", "straße"), ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"), ("Ǆ", "ǆ"), (" ada ", "ADA")]
        {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("ada"), folded("adá"));
    }

    #[test]
    fn both_tells_of_each() {
        let errors = both(Name::new("actor", ""), Title::new("title", "")).unwrap_err();
        assert_eq!(errors.iter().map(|invalid| &*invalid.field).collect::<Vec<_>>(), ["actor", "title"]);
    }
}
