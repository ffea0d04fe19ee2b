//! Why a projection does not apply an event.

use std::{borrow::Cow, fmt};

/// An event that can never be applied, or the news that no event can. The deployment's policy decides what happens then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) fatal: bool,
}

impl Reject {
    /// This event can never be applied: on every attempt, in every batch, the same. `code` labels a metric: use few, stable ones,
    /// such as `unknown-currency`; `message` is for people and says what was found and what was expected.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Reject {
        Reject { code: code.into(), message: message.into(), fatal: false }
    }

    /// The settings or the code are wrong: no event can be applied, and the projection stops under every policy.
    pub fn fatal(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Reject {
        Reject { fatal: true, ..Reject::new(code, message) }
    }

    /// The label.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What was wrong, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Reject {}
