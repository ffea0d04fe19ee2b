//! The keys of the configuration: which there are, which variable stands for each, and how variables are laid over the file. A key or
//! a variable that is not known is refused, and the nearest known one named.

use toml::{Table, Value};

use crate::error::CliError;

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Text,
    /// A text that may hold a secret: `{ file = "PATH" }` is taken too, and a variable that ends in `_FILE`.
    Secret,
    Number,
}

/// Every key but the targets, which users name. `host.keep-previous` is `REEL_HOST_KEEP_PREVIOUS` in the environment.
const KEYS: [(&str, Takes); 26] = [
    ("listen", Takes::Text),
    ("data", Takes::Text),
    ("store", Takes::Secret),
    ("topic", Takes::Secret),
    ("topic-partitions", Takes::Number),
    ("token", Takes::Secret),
    ("drain-seconds", Takes::Number),
    ("serve.command-service", Takes::Text),
    ("serve.host", Takes::Text),
    ("serve.read-api", Takes::Text),
    ("host.batch", Takes::Number),
    ("host.cache-mib", Takes::Number),
    ("host.keep-previous", Takes::Number),
    ("archive.url", Takes::Text),
    ("archive.events-per-second", Takes::Number),
    ("host.memory-mib", Takes::Number),
    ("host.throttle", Takes::Number),
    ("limits.event-bytes", Takes::Number),
    ("limits.commit-bytes", Takes::Number),
    ("plugin.fuel", Takes::Number),
    ("plugin.memory-mib", Takes::Number),
    ("plugin.output", Takes::Number),
    ("plugin.changes", Takes::Number),
    ("plugin.rows", Takes::Number),
    ("plugin.row-bytes", Takes::Number),
    ("plugin.log-lines", Takes::Number),
];

/// The section whose keys are names that users give.
const TARGETS: &str = "targets";
/// The variable of the default target; `REEL_TARGET_REPORTS` is that of `reports`.
const TARGET_VARIABLE: &str = "REEL_TARGET";

/// Variables that say something else than the configuration: to the verbs, and to `scripts/servers`.
const OTHER_VARIABLES: [&str; 15] = [
    "REEL_URL",
    "REEL_COMMAND_URL",
    "REEL_HOST_URL",
    "REEL_READ_URL",
    "REEL_LOG",
    "REEL_LOG_FORMAT",
    "REEL_CONFIG",
    "REEL_PG_PORT",
    "REEL_KAFKA_PORT",
    "REEL_MONGO_PORT",
    "REEL_MYSQL_PORT",
    "REEL_REDIS_PORT",
    "REEL_FERRETDB_PORT",
    "REEL_SERVERS_DIR",
    "REEL_SERVERS_PROGRAMS",
];

/// Refuses what is no key.
pub(super) fn check(table: &Table) -> Result<(), CliError> {
    for (name, value) in table {
        match value {
            Value::Table(inner) if name == TARGETS || takes(name) == Some(Takes::Secret) => {
                check_secret(name, inner)?;
            }
            Value::Table(section) if is_section(name) => {
                section.keys().try_for_each(|key| check_key(&format!("{name}.{key}")))?;
            }
            _ if name == TARGETS || is_section(name) => {
                return Err(CliError::Usage(format!(
                    "configuration: {name} is a section: write [{name}] above its keys"
                )));
            }
            _ => check_key(name)?,
        }
    }
    Ok(())
}

fn check_secret(name: &str, inner: &Table) -> Result<(), CliError> {
    // The names of targets are the user's; what each holds is read by `Given`.
    let wrong = inner.keys().find(|key| name != TARGETS && *key != "file");
    wrong.map_or(Ok(()), |key| {
        Err(CliError::Usage(format!("configuration: {name} takes a text or {{ file = \"PATH\" }}, not {key}")))
    })
}

fn check_key(key: &str) -> Result<(), CliError> {
    if takes(key).is_some() {
        return Ok(());
    }
    let known = KEYS.iter().map(|(known, _)| (*known).to_owned()).chain([TARGETS.to_owned()]);
    Err(CliError::Usage(format!("configuration: the key {key} is not known; {}", nearest(key, '.', known))))
}

fn takes(key: &str) -> Option<Takes> {
    KEYS.iter().find(|(known, _)| *known == key).map(|(_, takes)| *takes)
}

fn is_section(name: &str) -> bool {
    KEYS.iter().any(|(key, _)| key.split_once('.').is_some_and(|(section, _)| section == name))
}

/// Lays variables over the file. What a variable says replaces what the file says.
pub(super) fn overlay(table: &mut Table, variables: impl Iterator<Item = (String, String)>) -> Result<(), CliError> {
    let mut laid: Vec<(String, String)> = Vec::new();
    // An empty variable says nothing: composing tools set what they have no value for.
    for (name, value) in variables.filter(|(name, value)| name.starts_with("REEL_") && !value.is_empty()) {
        if OTHER_VARIABLES.contains(&name.as_str()) || name.starts_with("REEL_TEST_") {
            continue;
        }
        let Some((key, form)) = meaning(&name) else { return Err(unknown_variable(&name)) };
        if let Some((_, other)) = laid.iter().find(|(laid, _)| *laid == key) {
            return Err(CliError::Usage(format!("{other} and {name} say the same thing: set one of them")));
        }
        let value = match form {
            Form::InFile => Value::Table(Table::from_iter([("file".to_owned(), Value::String(value))])),
            Form::Plain if takes(&key) == Some(Takes::Number) => Value::Integer(number(&name, &value)?),
            Form::Plain => Value::String(value),
        };
        put(table, &key, value)?;
        laid.push((key, name));
    }
    Ok(())
}

/// How a variable gives its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    InFile,
}

/// Which key a variable stands for.
fn meaning(name: &str) -> Option<(String, Form)> {
    let exact = |name: &str| KEYS.iter().find(|(key, _)| variable(key) == name);
    if let Some((key, _)) = exact(name) {
        return Some(((*key).to_owned(), Form::Plain));
    }
    let (bare, form) = name.strip_suffix("_FILE").map_or((name, Form::Plain), |bare| (bare, Form::InFile));
    if let Some((key, Takes::Secret)) = exact(bare) {
        return Some(((*key).to_owned(), form));
    }
    let target = bare.strip_prefix(TARGET_VARIABLE)?;
    let named = target.strip_prefix('_').filter(|named| !named.is_empty());
    let named = if target.is_empty() { "default".to_owned() } else { named?.to_lowercase().replace('_', "-") };
    Some((format!("{TARGETS}.{named}"), form))
}

/// The variable that stands for a key.
fn variable(key: &str) -> String {
    format!("REEL_{}", key.to_uppercase().replace(['.', '-'], "_"))
}

fn unknown_variable(name: &str) -> CliError {
    let others = OTHER_VARIABLES.into_iter().chain([TARGET_VARIABLE]).map(str::to_owned);
    let known = KEYS.iter().map(|(key, _)| variable(key)).chain(others);
    CliError::Usage(format!("the variable {name} is not known; {}", nearest(name, '_', known)))
}

fn number(name: &str, value: &str) -> Result<i64, CliError> {
    let number = value.trim().parse().ok().filter(|number| *number >= 0);
    number.ok_or_else(|| CliError::Usage(format!("the variable {name} takes a whole number, not {value:?}")))
}

fn put(table: &mut Table, key: &str, value: Value) -> Result<(), CliError> {
    let Some((section, last)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return Ok(());
    };
    let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    let place = entry.as_table_mut().ok_or_else(|| {
        CliError::Usage(format!("configuration: {section} is a section: write [{section}] above its keys"))
    })?;
    place.insert(last.to_owned(), value);
    Ok(())
}

/// Which of the known names was meant, most likely. Sections are often forgotten: a name is also held against what stands behind the
/// first of them.
fn nearest(name: &str, joint: char, known: impl Iterator<Item = String>) -> String {
    let bare = name.strip_prefix("REEL_").unwrap_or(name);
    let distance = |known: &String| {
        let own = known.strip_prefix("REEL_").unwrap_or(known);
        let within = own.split_once(joint).map_or(usize::MAX, |(_, key)| 1 + strsim::damerau_levenshtein(bare, key));
        strsim::damerau_levenshtein(bare, own).min(within)
    };
    let best = known.min_by_key(distance).expect("there are known names");
    format!("did you mean {best}? All of them: docs/configuration.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(variables: &[(&str, &str)]) -> Result<Table, String> {
        let mut table = Table::new();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        overlay(&mut table, variables).map(|()| table).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_has_its_variable() {
        let variables = [
            ("REEL_HOST_KEEP_PREVIOUS", "2"),
            ("REEL_SERVE_READ_API", "127.0.0.1:1"),
            ("REEL_TOKEN_FILE", "/t"),
            ("REEL_TARGET", "sqlite:d"),
            ("REEL_TARGET_LAST_YEAR_FILE", "/u"),
            ("REEL_TEST_POSTGRES", "x"),
            ("REEL_URL", "x"),
            ("HOME", "/"),
        ];
        let expected = "
            token = { file = '/t' }
            host = { keep-previous = 2 }
            serve = { read-api = '127.0.0.1:1' }
            targets = { default = 'sqlite:d', last-year = { file = '/u' } }";
        let table = laid(&variables).unwrap();
        assert_eq!(table, expected.parse::<Table>().unwrap());
        check(&table).unwrap();
    }

    #[test]
    fn the_nearest_known_name_is_said() {
        for (name, meant) in [
            ("REEL_HOST_BACTH", "REEL_HOST_BATCH?"),
            ("REEL_BATCH", "REEL_HOST_BATCH?"),
            ("REEL_LISTENS", "REEL_LISTEN?"),
            ("REEL_LISTEN_FILE", "REEL_LISTEN?"),
            ("REEL_STROE", "REEL_STORE?"),
        ] {
            let error = laid(&[(name, "1")]).unwrap_err();
            assert!(error.contains(name) && error.contains(meant), "{error}");
        }
        for (text, named, meant) in [
            ("lisen = '127.0.0.1:1'", "lisen", "listen?"),
            ("[host]\nbach = 1", "host.bach", "host.batch?"),
            ("[hots]\nbatch = 1", "hots", "host"),
            ("[target]\na = 'sqlite:a'", "target", "targets?"),
            ("token = { fil = 'x' }", "token", "file"),
            ("host = 1", "host", "[host]"),
        ] {
            let error = check(&text.parse().unwrap()).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains(meant), "{error}");
        }
    }

    #[test]
    fn variables_that_say_too_much_or_nothing_are_refused() {
        let twice = laid(&[("REEL_TOKEN", "a"), ("REEL_TOKEN_FILE", "b")]).unwrap_err();
        assert!(twice.contains("REEL_TOKEN and REEL_TOKEN_FILE"), "{twice}");
        let no_number = laid(&[("REEL_HOST_BATCH", "many")]).unwrap_err();
        assert!(no_number.contains("REEL_HOST_BATCH takes a whole number"), "{no_number}");
    }
}
