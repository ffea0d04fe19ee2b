//! What `#[projection]` makes of a function, and the settings that it may take.

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::IgnoredAny};

use crate::{RawEvent, Reject, Rows};

/// A projection: its manifest and what it makes of an event. `#[projection]` implements it for a type of the function's name.
pub trait Projection: 'static {
    /// What a deployment may set; [`NoSettings`] where there is nothing.
    type Settings: Settings;

    /// The manifest, JSON.
    fn manifest() -> String;

    /// The kinds of event it handles, in the manifest's order.
    fn kinds() -> &'static [&'static str];

    /// Applies one event.
    ///
    /// # Errors
    /// Where it cannot be applied.
    fn apply(event: &RawEvent<'_>, settings: &Self::Settings, rows: &mut Rows<'_>) -> Result<(), Reject>;
}

/// What a deployment of the projection may set, read from JSON by serde.
pub trait Settings: DeserializeOwned + Send + Sync + 'static {
    /// JSON Schema (2020-12) of the settings: the host refuses others at deploy. Empty: no settings at all.
    const SCHEMA: &'static str;
}

/// A projection without settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSettings;

impl Settings for NoSettings {
    const SCHEMA: &'static str = "";
}

impl<'de> Deserialize<'de> for NoSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NoSettings, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| NoSettings)
    }
}
