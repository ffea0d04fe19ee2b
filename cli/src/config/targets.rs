//! The read databases: from flags, or else from file and variables.

use std::path::Path;

use toml::Table;

use super::secret::{Address, Given};
use crate::error::CliError;

/// Name and URL of each, the default one first.
pub(super) fn resolve(flags: &[String], file: Table, data: &Path) -> Result<Vec<(String, Address)>, CliError> {
    let mut targets: Vec<(String, Address)> = flags.iter().map(|text| from_flag(text)).collect();
    if targets.is_empty() {
        targets = file.into_iter().map(|(name, value)| from_file(name, value)).collect::<Result<_, _>>()?;
        // The default one first, whatever the order in the file.
        targets.sort_by_key(|(name, _)| name != "default");
    }
    if targets.is_empty() {
        targets.push(("default".into(), format!("sqlite:{}", data.join("read.sqlite").display()).into()));
    }
    for (place, (name, _)) in targets.iter().enumerate() {
        if targets[..place].iter().any(|(other, _)| other == name) {
            return Err(CliError::Usage(format!(
                "there are two targets named {name}: write --target NAME=URL with different names"
            )));
        }
    }
    Ok(targets)
}

fn from_flag(text: &str) -> (String, Address) {
    let named = text.split_once('=').filter(|(name, _)| !name.contains([':', '/']));
    let (name, url) = named.unwrap_or(("default", text));
    (name.to_owned(), url.to_owned().into())
}

fn from_file(name: String, value: toml::Value) -> Result<(String, Address), CliError> {
    let given: Given = value.try_into().map_err(|error: toml::de::Error| {
        CliError::Usage(format!("configuration: targets.{name} must be a URL: {}", error.message()))
    })?;
    let url = given.text(&format!("targets.{name}"))?;
    Ok((name, url.into()))
}
