//! Reading a manifest from JSON, with every check that `wit/v1/manifest.schema.json` states and those it cannot.

use reel_events::CanonicalJson;

use super::names::{Named, kinds};
use super::reader::{Node, Object, error_at, shown};
use super::{Manifest, Order, queries, tables};
use crate::settings;

/// The version of the manifest's format that this host reads: its member `manifest`.
pub const MANIFEST_VERSION: u32 = 1;
/// The longest manifest, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 1 << 20;

const MAX_KINDS: usize = 1_000;
const MAX_TABLES: usize = 256;
const MAX_QUERIES: usize = 256;

/// What is wrong with a manifest, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("manifest: {place}: {problem}")]
pub struct ManifestError {
    /// `tables[1].indexes[0].columns[2]`; `(top)` for the manifest itself.
    pub place: String,
    /// What is wrong there, and what to do.
    pub problem: String,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(json: &str) -> Result<Manifest, ManifestError> {
        if json.len() > MAX_MANIFEST_BYTES {
            return Err(error_at("", format!("{} bytes: a manifest has at most {MAX_MANIFEST_BYTES}", json.len())));
        }
        // The canonical form refuses what a lenient reader lets pass: members given twice, NUL, numbers of 30 digits.
        let canonical = CanonicalJson::parse(json).map_err(|error| {
            let problem = format!("line {}, column {}: {}", error.line, error.column, error.problem);
            error_at(&error.path, problem)
        })?;
        let value = serde_json::from_str(canonical.as_str()).expect("canonical JSON is JSON");
        manifest(&Node::top(&value))
    }
}

fn manifest(top: &Node<'_>) -> Result<Manifest, ManifestError> {
    format_version(top)?;
    let object = top.object(&[
        "manifest",
        "name",
        "version",
        "description",
        "kinds",
        "order",
        "metadata",
        "safe-integers",
        "settings",
        "tables",
        "queries",
    ])?;
    let name = Named::Projection.read(&object.required("name", "name the projection, such as \"posts\"")?)?;
    let version = version(&object)?;
    let kinds = object
        .required("kinds", "list the kinds of event that it handles, such as [\"post-created\", \"comment-*\"]")?;
    let kinds = kinds.list(1..=MAX_KINDS).and_then(|nodes| self::kinds(&nodes))?;
    let order = order(&object)?;
    let tables = object.required("tables", "list the tables that it fills")?.list(1..=MAX_TABLES)?;
    let tables = tables::read(&tables, order)?;
    let queries = queries::read(&object.list("queries", MAX_QUERIES)?, &tables)?;
    Ok(Manifest {
        name,
        version,
        description: object.optional("description").map_or(Ok(""), |node| node.text())?.to_owned(),
        kinds,
        tables,
        queries,
        order,
        metadata: object.flag("metadata")?,
        settings: object.optional("settings").map(|node| self::settings(&node)).transpose()?,
        safe_integers: object.flag("safe-integers")?,
    })
}

/// Before anything else: a later version may have members that are unknown here.
fn format_version(top: &Node<'_>) -> Result<(), ManifestError> {
    let Some(version) = top.members()?.get("manifest") else {
        let problem = format!(
            "member \"manifest\" is missing: write \"manifest\": {MANIFEST_VERSION}, the version of the format"
        );
        return Err(top.error(problem));
    };
    if version.as_u64() == Some(MANIFEST_VERSION.into()) {
        return Ok(());
    }
    let found = shown(&version.to_string());
    let problem =
        format!("version {found} of the manifest's format, but this host reads version {MANIFEST_VERSION} only");
    Err(error_at("manifest", problem))
}

fn version(object: &Object<'_>) -> Result<String, ManifestError> {
    let node = object.required("version", "give the projection's own version, such as \"1.0.0\"")?;
    let version = node.text()?;
    let plain = version.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && (1..=64).contains(&version.len()) {
        return Ok(version.to_owned());
    }
    Err(node.error(format!("{:?} is no version: 1 to 64 visible ASCII characters, such as 1.0.0", shown(version))))
}

fn order(object: &Object<'_>) -> Result<Order, ManifestError> {
    let Some(node) = object.optional("order") else {
        return Ok(Order::ByStream);
    };
    match node.text()? {
        "by-stream" => Ok(Order::ByStream),
        "global" => Ok(Order::Global),
        _ => Err(node.expected("\"by-stream\" or \"global\"")),
    }
}

fn settings(node: &Node<'_>) -> Result<serde_json::Value, ManifestError> {
    node.members()?;
    settings::validator(node.value).map_err(|error| {
        let place = if error.place == "(top)" { String::new() } else { format!(".{}", error.place) };
        error_at(&format!("settings{place}"), format!("not a JSON Schema of the settings: {}", error.problem))
    })?;
    Ok(node.value.clone())
}

#[cfg(test)]
pub(super) mod tests;
