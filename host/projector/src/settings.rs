//! The settings of a deployment, checked against the JSON Schema that the manifest gives for them.
//!
//! A plugin's schema is trusted no more than the plugin: nothing outside of it is fetched, its patterns run in linear time, and
//! its size is bounded, so that it cannot cost the host more than a moment.

mod bounds;

use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use reel_events::CanonicalJson;
use serde_json::Value;

use crate::manifest::Manifest;

/// The longest settings, in bytes.
pub const MAX_SETTINGS_BYTES: usize = 1 << 20;

/// The longest schema, in bytes.
const MAX_SCHEMA_BYTES: usize = 1 << 15;
/// The largest regular expression, in bytes, compiled.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// What `$schema` may be.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What is wrong with the settings, where, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("settings: {place}: {problem}")]
pub struct SettingsError {
    /// `limits.most[2]`; `(top)` for the settings themselves.
    pub place: String,
    /// What is wrong there, and what was expected.
    pub problem: String,
}

impl SettingsError {
    fn at(path: &str, problem: impl Into<String>) -> SettingsError {
        let place = if path.is_empty() { "(top)" } else { path };
        SettingsError { place: place.to_owned(), problem: problem.into() }
    }
}

/// Checks the settings of a deployment, and gives them in the form that is part of the deployment's identity: canonical, with
/// members in alphabetical order. An empty text stands for `{}`.
///
/// # Errors
/// Where the settings are not JSON, miss the manifest's schema, or are not empty though the manifest has none.
pub fn check_settings(manifest: &Manifest, settings_json: &str) -> Result<CanonicalJson, SettingsError> {
    if settings_json.len() > MAX_SETTINGS_BYTES {
        let problem = format!("{} bytes: settings have at most {MAX_SETTINGS_BYTES}", settings_json.len());
        return Err(SettingsError::at("", problem));
    }
    let given = if settings_json.trim().is_empty() { "{}" } else { settings_json };
    let canonical = CanonicalJson::parse_object(given).map_err(|error| {
        let problem = format!("line {}, column {}: {}", error.line, error.column, error.problem);
        SettingsError::at(&error.path, problem)
    })?;
    let mut settings: Value = serde_json::from_str(canonical.as_str()).expect("canonical JSON is JSON");
    settings.sort_all_objects();
    match &manifest.settings {
        Some(schema) => meets(&settings, schema)?,
        None => is_empty(&settings, manifest)?,
    }
    Ok(CanonicalJson::from_value(&settings).expect("it was canonical before it was sorted"))
}

fn is_empty(settings: &Value, manifest: &Manifest) -> Result<(), SettingsError> {
    match settings.as_object().and_then(|members| members.keys().next()) {
        None => Ok(()),
        Some(name) => {
            Err(SettingsError::at(name, format!("projection {} takes no settings: remove it", manifest.name)))
        }
    }
}

fn meets(settings: &Value, schema: &Value) -> Result<(), SettingsError> {
    let validator = validator(schema).map_err(|error| {
        let problem = format!("the manifest's schema for the settings is wrong at {}: {}", error.place, error.problem);
        SettingsError::at("", problem)
    })?;
    validator.validate(settings).map_err(|error| SettingsError::at(&path(error.instance_path()), shown(&error)))
}

/// The validator of a manifest's schema.
///
/// # Errors
/// Where the schema is none, or more than a manifest may have; the place is one in the schema.
pub(crate) fn validator(schema: &Value) -> Result<Validator, SettingsError> {
    is_bounded(schema)?;
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
        .build(schema)
        .map_err(|error| SettingsError::at(&path(error.instance_path()), shown(&error)))
}

fn is_bounded(schema: &Value) -> Result<(), SettingsError> {
    let bytes = schema.to_string().len();
    if bytes > MAX_SCHEMA_BYTES {
        return Err(SettingsError::at(
            "",
            format!("{bytes} bytes: a schema of settings has at most {MAX_SCHEMA_BYTES}"),
        ));
    }
    if let Some(dialect) = schema.get("$schema").filter(|dialect| **dialect != DIALECT) {
        let problem = format!("{dialect} is not the dialect of JSON Schema that is read here: write {DIALECT:?}");
        return Err(SettingsError::at("$schema", problem));
    }
    bounds::check(schema).map_err(|problem| SettingsError::at("", problem))
}

/// `limits.most[2]`
fn path(location: &Location) -> String {
    let mut path = String::new();
    for segment in location {
        match segment {
            LocationSegment::Property(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&name);
            }
            LocationSegment::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

/// The error's own message, which quotes the value: not all of a long one.
fn shown(error: &ValidationError<'_>) -> String {
    let message = error.to_string();
    if message.chars().count() <= 300 {
        return message;
    }
    let (start, end): (String, Vec<char>) =
        (message.chars().take(100).collect(), message.chars().rev().take(180).collect());
    format!("{start} … {}", end.into_iter().rev().collect::<String>())
}

#[cfg(test)]
mod tests;
