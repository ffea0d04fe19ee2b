//! How people name a projection or one of its generations: `posts`, `posts@2`.

use std::fmt;
use std::str::FromStr;

/// A projection, or one of its generations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionRef {
    /// The projection's name.
    pub projection: String,
    /// The generation's number within it.
    pub generation: Option<u32>,
}

/// A text that names neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no projection: write posts, or posts@2 for its second generation")]
pub struct ReferenceError(pub String);

impl FromStr for ProjectionRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<ProjectionRef, ReferenceError> {
        let refused = || ReferenceError(text.chars().take(80).collect());
        let (projection, generation) = match text.split_once('@') {
            Some((projection, number)) => (projection, Some(number.parse().map_err(|_| refused())?)),
            None => (text, None),
        };
        let named =
            !projection.is_empty() && projection.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if named { Ok(ProjectionRef { projection: projection.into(), generation }) } else { Err(refused()) }
    }
}

impl fmt::Display for ProjectionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => write!(f, "{}@{generation}", self.projection),
            None => f.write_str(&self.projection),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints_and_refuses_the_rest() {
        for text in ["posts", "posts@2", "git-tree@17"] {
            assert_eq!(text.parse::<ProjectionRef>().unwrap().to_string(), text);
        }
        for text in ["", "@2", "posts@", "posts@two", "po sts", "posts@1@2", "posts@-1"] {
            assert!(text.parse::<ProjectionRef>().is_err(), "{text}");
        }
    }
}
