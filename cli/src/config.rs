//! The configuration: read once, from defaults, `reel.toml`, `REEL_*` variables and flags, each over the one before; checked before
//! anything binds or opens. Unknown keys and variables are errors. Described in docs/configuration.md.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use crate::args::Up;
use crate::error::CliError;

/// All that `reel up` is told.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// Where files are kept.
    pub(crate) data: PathBuf,
    /// The event store's file.
    pub(crate) store: PathBuf,
    /// Read databases: name and URL; the first is the default one.
    pub(crate) targets: Vec<(String, String)>,
    /// Asked of whoever talks to us.
    pub(crate) token: Option<Secret>,
    /// Most events in one batch.
    pub(crate) batch: usize,
    /// Bytes of rows that each generation keeps at hand.
    pub(crate) cache_bytes: usize,
    /// Generations kept for a rollback.
    pub(crate) keep_previous: usize,
    /// What the event store takes.
    pub(crate) limits: reel_event_log::Limits,
    /// What one call of a plugin may use.
    pub(crate) plugin: reel_plugin::CallLimits,
    /// Whether projections of another log are built anew at once.
    pub(crate) log_change: LogChange,
}

/// What to do with projections whose log is not the one that the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogChange {
    /// They halt and say so.
    Halt,
    /// They are built anew from the log that is there.
    Rebuild,
}

/// A text that is never printed.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// The file's form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default = "default_listen")]
    listen: SocketAddr,
    #[serde(default = "default_data")]
    data: PathBuf,
    store: Option<String>,
    token: Option<Secret>,
    #[serde(default)]
    targets: Table,
    #[serde(default)]
    host: HostSection,
    #[serde(default)]
    limits: LimitsSection,
    #[serde(default)]
    plugin: PluginSection,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct HostSection {
    batch: usize,
    cache_mib: usize,
    keep_previous: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct LimitsSection {
    event_bytes: usize,
    commit_bytes: usize,
}

/// Named as the messages of a budget that is used up name them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct PluginSection {
    fuel: u64,
    memory_mib: usize,
    output: usize,
    changes: usize,
    rows: usize,
    row_bytes: usize,
    log_lines: usize,
}

impl Default for PluginSection {
    fn default() -> PluginSection {
        let limits = reel_plugin::CallLimits::default();
        PluginSection {
            fuel: limits.fuel,
            memory_mib: limits.memory >> 20,
            output: limits.output,
            changes: limits.changes,
            rows: limits.rows,
            row_bytes: limits.row_bytes,
            log_lines: limits.log_lines,
        }
    }
}

impl PluginSection {
    fn limits(&self) -> reel_plugin::CallLimits {
        reel_plugin::CallLimits {
            fuel: self.fuel,
            memory: self.memory_mib << 20,
            output: self.output,
            changes: self.changes,
            rows: self.rows,
            row_bytes: self.row_bytes,
            log_lines: self.log_lines,
            ..reel_plugin::CallLimits::default()
        }
    }
}

impl Default for HostSection {
    fn default() -> HostSection {
        HostSection { batch: 20_000, cache_mib: 128, keep_previous: 1 }
    }
}

impl Default for LimitsSection {
    fn default() -> LimitsSection {
        let reel_event_log::Limits { event_bytes, commit_bytes } = reel_event_log::Limits::default();
        LimitsSection { event_bytes, commit_bytes }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7070))
}

fn default_data() -> PathBuf {
    PathBuf::from(".reel")
}

/// Which key of the file each variable stands for.
const VARIABLES: [(&str, &[&str]); 12] = [
    ("REEL_LISTEN", &["listen"]),
    ("REEL_DATA", &["data"]),
    ("REEL_STORE", &["store"]),
    ("REEL_TOKEN", &["token"]),
    ("REEL_TARGET", &["targets", "default"]),
    ("REEL_HOST_BATCH", &["host", "batch"]),
    ("REEL_HOST_CACHE_MIB", &["host", "cache-mib"]),
    ("REEL_HOST_KEEP_PREVIOUS", &["host", "keep-previous"]),
    ("REEL_PLUGIN_FUEL", &["plugin", "fuel"]),
    ("REEL_PLUGIN_MEMORY_MIB", &["plugin", "memory-mib"]),
    ("REEL_LIMITS_EVENT_BYTES", &["limits", "event-bytes"]),
    ("REEL_LIMITS_COMMIT_BYTES", &["limits", "commit-bytes"]),
];

/// Sections in which every key is a number.
const NUMBERS: [&str; 3] = ["host", "limits", "plugin"];

/// Variables that say something else than the configuration: to the verbs, and to `scripts/servers`.
const OTHER_VARIABLES: [&str; 9] = [
    "REEL_URL",
    "REEL_LOG",
    "REEL_CONFIG",
    "REEL_SERVERS_DIR",
    "REEL_PG_PORT",
    "REEL_KAFKA_PORT",
    "REEL_MONGO_PORT",
    "REEL_MYSQL_PORT",
    "REEL_REDIS_PORT",
];

/// Reads the whole configuration.
pub(crate) fn load(up: &Up) -> Result<Config, CliError> {
    let named = up.config.clone().or_else(|| std::env::var_os("REEL_CONFIG").map(PathBuf::from));
    let mut table = match &named {
        Some(path) => read(path)?,
        None if Path::new("reel.toml").exists() => read(Path::new("reel.toml"))?,
        None => Table::new(),
    };
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    overlay(&mut table, variables)?;
    let place = named.map_or_else(|| "reel.toml".into(), |path| path.display().to_string());
    let file: File = Value::Table(table).try_into().map_err(|error: toml::de::Error| {
        CliError::Usage(format!("configuration ({place} and REEL_ variables): {}", error.message()))
    })?;
    resolve(file, up)
}

fn read(path: &Path) -> Result<Table, CliError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::Usage(format!("configuration file {} cannot be read: {error}", path.display())))?;
    text.parse().map_err(|error| CliError::Usage(format!("configuration file {}: {error}", path.display())))
}

/// Lays variables over the file.
fn overlay(table: &mut Table, variables: impl Iterator<Item = (String, String)>) -> Result<(), CliError> {
    for (name, value) in variables.filter(|(name, _)| name.starts_with("REEL_")) {
        if OTHER_VARIABLES.contains(&name.as_str()) || name.starts_with("REEL_TEST_") {
            continue;
        }
        let Some((_, path)) = VARIABLES.iter().find(|(known, _)| *known == name) else {
            let names: Vec<_> = VARIABLES.iter().map(|(known, _)| *known).collect();
            return Err(CliError::Usage(format!("the variable {name} is not known; there are: {}", names.join(", "))));
        };
        let (last, sections) = path.split_last().expect("every variable has a key");
        let value = match value.parse() {
            Ok(number) if NUMBERS.contains(sections.first().unwrap_or(&"")) => Value::Integer(number),
            _ => Value::String(value),
        };
        let mut place = &mut *table;
        for section in sections {
            let entry = place.entry(*section).or_insert_with(|| Value::Table(Table::new()));
            place = entry
                .as_table_mut()
                .ok_or_else(|| CliError::Usage(format!("configuration: {section} must be a section")))?;
        }
        place.insert((*last).into(), value);
    }
    Ok(())
}

fn resolve(file: File, up: &Up) -> Result<Config, CliError> {
    let data = up.data.clone().unwrap_or(file.data);
    let listen = up.listen.unwrap_or(file.listen);
    let batch = up.batch.unwrap_or(file.host.batch);
    if batch == 0 {
        return Err(CliError::Usage("configuration: host.batch must be at least 1".into()));
    }
    if !listen.ip().is_loopback() && file.token.is_none() {
        return Err(CliError::Usage(format!(
            "{listen} can be reached from other machines, so a token is needed: set REEL_TOKEN (or token in reel.toml), or listen on 127.0.0.1"
        )));
    }
    let defaults = reel_event_log::Limits::default();
    if file.limits.event_bytes > defaults.event_bytes || file.limits.commit_bytes > defaults.commit_bytes {
        return Err(CliError::Usage(format!(
            "configuration: limits can only be lowered: event-bytes is at most {}, commit-bytes at most {}",
            defaults.event_bytes, defaults.commit_bytes
        )));
    }
    Ok(Config {
        listen,
        plugin: file.plugin.limits(),
        store: store_path(up.store.as_deref().or(file.store.as_deref()), &data)?,
        targets: targets(up, file.targets, &data)?,
        token: file.token,
        batch,
        cache_bytes: file.host.cache_mib << 20,
        keep_previous: file.host.keep_previous,
        limits: reel_event_log::Limits { event_bytes: file.limits.event_bytes, commit_bytes: file.limits.commit_bytes },
        log_change: if up.accept_new_log { LogChange::Rebuild } else { LogChange::Halt },
        data,
    })
}

fn store_path(url: Option<&str>, data: &Path) -> Result<PathBuf, CliError> {
    let Some(url) = url else { return Ok(data.join("store.sqlite")) };
    let path = url.strip_prefix("sqlite:").filter(|path| !path.is_empty());
    path.map(PathBuf::from).ok_or_else(|| {
        CliError::Usage(format!(
            "store {}: this version keeps events in SQLite: write sqlite:PATH",
            without_password(url)
        ))
    })
}

fn targets(up: &Up, from_file: Table, data: &Path) -> Result<Vec<(String, String)>, CliError> {
    let mut targets = Vec::new();
    for text in &up.targets {
        let named = text.split_once('=').filter(|(name, _)| !name.contains([':', '/']));
        let (name, url) = named.unwrap_or(("default", text));
        targets.push((name.to_owned(), url.to_owned()));
    }
    if targets.is_empty() {
        for (name, url) in from_file {
            let url =
                url.as_str().ok_or_else(|| CliError::Usage(format!("configuration: targets.{name} must be a URL")))?;
            targets.push((name, url.to_owned()));
        }
        // The default one first, whatever the order in the file.
        targets.sort_by_key(|(name, _)| name != "default");
    }
    if targets.is_empty() {
        targets.push(("default".into(), format!("sqlite:{}", data.join("read.sqlite").display())));
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

/// A URL for messages.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((credentials, host)) = rest.split_once('@') else { return url.to_owned() };
    let user = credentials.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}:…@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str, variables: &[(&str, &str)], up: &Up) -> Result<Config, String> {
        let mut table: Table = text.parse().unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        overlay(&mut table, variables).map_err(|error| error.to_string())?;
        let file: File = Value::Table(table).try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
        resolve(file, up).map_err(|error| error.to_string())
    }

    #[test]
    fn each_source_goes_over_the_one_before() {
        let defaults = config("", &[], &Up::default()).unwrap();
        assert_eq!(defaults.store, Path::new(".reel/store.sqlite"));
        assert_eq!(defaults.targets, [("default".into(), "sqlite:.reel/read.sqlite".into())]);
        let file = "data = 'd'\n[host]\nbatch = 7\n[targets]\nother = 'sqlite:o'\ndefault = 'sqlite:x'";
        let config_ =
            config(file, &[("REEL_HOST_BATCH", "9"), ("HOME", "/"), ("REEL_TEST_POSTGRES", "x")], &Up::default())
                .unwrap();
        assert_eq!((config_.batch, config_.store.as_path()), (9, Path::new("d/store.sqlite")));
        assert_eq!(config_.targets[0], ("default".into(), "sqlite:x".into()));
        let up =
            Up { batch: Some(1), targets: vec!["pg=postgres://u@h/d?a=b".into(), "sqlite:y".into()], ..Up::default() };
        let config_ = config(file, &[], &up).unwrap();
        assert_eq!(config_.batch, 1);
        assert_eq!(
            config_.targets,
            [("pg".into(), "postgres://u@h/d?a=b".into()), ("default".into(), "sqlite:y".into())]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |text: &str, variables: &[(&str, &str)], part: &str| {
            let error = config(text, variables, &Up::default()).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check("lisen = '127.0.0.1:1'", &[], "unknown field `lisen`");
        check("", &[("REEL_BATCH", "1")], "REEL_BATCH is not known");
        check("", &[("REEL_HOST_BATCH", "0")], "at least 1");
        check("listen = '0.0.0.0:80'", &[], "a token is needed");
        check("store = 'mongodb://a:secret@h/d'", &[], "mongodb://a:…@h/d");
        check("[limits]\nevent-bytes = 600000", &[], "only be lowered");
    }
}
