//! The configuration: read once, from defaults, `reel.toml`, `REEL_*` variables and flags, each over the one before; checked before
//! anything binds or opens. The same for every process; each takes what it needs. Described in docs/configuration.md.
//!
//! Not here: which keys there are (`keys`), the file's form (`file`), what is not shown (`secret`).

mod file;
mod keys;
mod secret;
mod targets;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reel_event_log::topic::kafka::{TopicUrl, TopicUrlError};
use toml::{Table, Value};

use self::file::File;
use self::secret::Given;
pub(crate) use self::secret::{Address, Secret, from_file};
use crate::args::Flags;
use crate::error::CliError;
use crate::processes::Process;

/// All that a process is told.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// Where files are kept.
    pub(crate) data: PathBuf,
    /// The event store.
    pub(crate) store: Address,
    /// What the host is fed by.
    pub(crate) topic: Topic,
    /// How many partitions the topic gets where it is made.
    pub(crate) topic_partitions: u32,
    /// Read databases: name and URL; the first is the default one.
    pub(crate) targets: Vec<(String, Address)>,
    /// Asked of whoever talks to us.
    pub(crate) token: Option<Secret>,
    /// How long what is under way may take to end when the process is told to.
    pub(crate) drain: Duration,
    /// Most events in one batch.
    pub(crate) batch: usize,
    /// Bytes of rows that each generation keeps at hand.
    pub(crate) cache_bytes: usize,
    /// Bytes of rows that a build may hold; nothing = a quarter of the machine's memory.
    pub(crate) memory_bytes: Option<usize>,
    /// Most events a second that a build reads; nothing = as fast as it goes.
    pub(crate) throttle: Option<u64>,
    /// Generations kept for a rollback.
    pub(crate) keep_previous: usize,
    /// Where history is sealed, if anywhere.
    pub(crate) archive: Option<ArchiveConfig>,
    /// What the event store takes.
    pub(crate) limits: reel_event_log::Limits,
    /// What one call of a plugin may use.
    pub(crate) plugin: reel_plugin::CallLimits,
    /// Whether projections of another log are built anew at once.
    pub(crate) log_change: LogChange,
}

/// What feeds the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Topic {
    /// The event store itself, tailed.
    Local,
    /// Kafka; the command services' relay fills it.
    Kafka(TopicUrl),
    /// Kafka; somebody else fills it, and there is no event store.
    Foreign(TopicUrl),
}

/// Where history is sealed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArchiveConfig {
    /// A directory or object storage.
    pub(crate) url: String,
    /// Most events that are sealed in a second.
    pub(crate) events_per_second: u32,
}

/// What to do with projections whose log is not the one that the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogChange {
    /// They halt and say so.
    Halt,
    /// They are built anew from the log that is there.
    Rebuild,
}

/// Reads the whole configuration, for one process.
pub(crate) fn load(flags: &Flags, process: Process) -> Result<Config, CliError> {
    let named = flags.config.clone().or_else(|| std::env::var_os("REEL_CONFIG").map(PathBuf::from));
    let table = match &named {
        Some(path) => read(path)?,
        None if Path::new("reel.toml").exists() => read(Path::new("reel.toml"))?,
        None => Table::new(),
    };
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    assemble(table, variables, flags, process)
}

fn read(path: &Path) -> Result<Table, CliError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::Usage(format!("configuration file {} cannot be read: {error}", path.display())))?;
    text.parse().map_err(|error| CliError::Usage(format!("configuration file {}: {error}", path.display())))
}

/// Lays variables and flags over what the file says.
pub(crate) fn assemble(
    mut table: Table,
    variables: impl Iterator<Item = (String, String)>,
    flags: &Flags,
    process: Process,
) -> Result<Config, CliError> {
    keys::check(&table)?;
    keys::overlay(&mut table, variables)?;
    let file: File = Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| CliError::Usage(format!("configuration: {}", error.message())))?;
    resolve(file, flags, process)
}

fn resolve(file: File, flags: &Flags, process: Process) -> Result<Config, CliError> {
    let data = flags.data.clone().unwrap_or(file.data);
    let listen = flags.listen.or(file.serve.of(process)).or(file.listen).unwrap_or(process.default_listen());
    let batch = flags.batch.unwrap_or(file.host.batch);
    if batch == 0 {
        return Err(CliError::Usage("configuration: host.batch must be at least 1".into()));
    }
    let memory = flags.memory.or(file.host.memory_mib);
    let throttle = flags.throttle.or(file.host.throttle);
    if memory == Some(0) || throttle == Some(0) {
        return Err(CliError::Usage("configuration: host.memory-mib and host.throttle must be at least 1".into()));
    }
    let in_file = || file.token.map(|given| given.text("token")).transpose();
    let token = flags.token.clone().map_or_else(in_file, |token| Ok(Some(token)))?.map(Secret);
    if !listen.ip().is_loopback() && token.is_none() {
        return Err(CliError::Usage(format!(
            "{listen} can be reached from other machines, so a token is needed: set REEL_TOKEN or REEL_TOKEN_FILE (or token in reel.toml), or listen on 127.0.0.1"
        )));
    }
    if file.topic_partitions == 0 {
        return Err(CliError::Usage("configuration: topic-partitions must be at least 1".into()));
    }
    let topic = topic(flags.topic.as_deref(), file.topic)?;
    if let Topic::Foreign(url) = &topic {
        let is_store_given = flags.store.is_some() || file.store.is_some();
        check_foreign(url, process, (is_store_given, file.archive.url.as_deref()))?;
    }
    let archive = file.archive.checked(&data)?;
    Ok(Config {
        listen,
        token,
        plugin: file.plugin.limits(),
        store: store(flags.store.as_deref(), file.store, &data)?,
        archive: archive.filter(|_| !matches!(topic, Topic::Foreign(_))),
        topic,
        topic_partitions: file.topic_partitions,
        targets: targets::resolve(&flags.targets, file.targets, &data)?,
        drain: Duration::from_secs(file.drain_seconds),
        batch,
        cache_bytes: file.host.cache_mib << 20,
        memory_bytes: memory.map(|mebibytes| mebibytes << 20),
        throttle,
        keep_previous: file.host.keep_previous,
        limits: file.limits.checked()?,
        log_change: if flags.accept_new_log { LogChange::Rebuild } else { LogChange::Halt },
        data,
    })
}

fn store(flag: Option<&str>, file: Option<Given>, data: &Path) -> Result<Address, CliError> {
    let given = flag.map(|url| Ok(url.to_owned())).or_else(|| file.map(|given| given.text("store"))).transpose()?;
    let url = Address::from(given.unwrap_or_else(|| format!("sqlite:{}", data.join("store.sqlite").display())));
    match url.scheme() {
        "sqlite" if url.whole().len() > "sqlite:".len() => Ok(url),
        "mongodb" | "mongodb+srv" => Ok(url),
        _ => Err(CliError::Usage(format!("store {url}: write sqlite:PATH or mongodb://HOST:PORT/DATABASE"))),
    }
}

fn topic(flag: Option<&str>, file: Option<Given>) -> Result<Topic, CliError> {
    let given = flag.map(|url| Ok(url.to_owned())).or_else(|| file.map(|given| given.text("topic"))).transpose()?;
    let url = Address::from(given.unwrap_or_else(|| "local:".to_owned()));
    if url.whole() == "local:" {
        return Ok(Topic::Local);
    }
    let kafka: Result<TopicUrl, TopicUrlError> = url.whole().parse();
    let kafka =
        kafka.map_err(|error| CliError::Usage(format!("topic {url}: {error}; local: is the event store itself")))?;
    kafka.check_client().map_err(|error| CliError::Usage(format!("topic {url}: {error}")))?;
    Ok(if kafka.foreign().is_some() { Topic::Foreign(kafka) } else { Topic::Kafka(kafka) })
}

/// What does not go with another producer's topic.
fn check_foreign(
    url: &TopicUrl,
    process: Process,
    (is_store_given, archive): (bool, Option<&str>),
) -> Result<(), CliError> {
    let refused = |what: &str| {
        Err(CliError::Usage(format!("configuration: {url} is another producer's topic (foreign=…), {what}")))
    };
    match process {
        Process::CommandService => {
            refused("and a command service publishes into Reel's own: give that one, or start reel serve host")
        }
        Process::Host | Process::Up if is_store_given => {
            refused("which has no event store behind it: leave out store (--store, REEL_STORE)")
        }
        Process::Host | Process::Up if archive.is_some_and(|archive| archive != "none") => {
            refused("whose messages are not archived: leave out archive.url")
        }
        Process::Host | Process::Up | Process::ReadApi => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str, variables: &[(&str, &str)], flags: &Flags) -> Result<Config, String> {
        config_of(Process::Up, text, variables, flags)
    }

    fn config_of(process: Process, text: &str, variables: &[(&str, &str)], flags: &Flags) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        assemble(text.parse().unwrap(), variables, flags, process).map_err(|error| error.to_string())
    }

    fn urls(config: &Config) -> Vec<(&str, &str)> {
        config.targets.iter().map(|(name, url)| (name.as_str(), url.whole())).collect()
    }

    #[test]
    fn each_source_goes_over_the_one_before() {
        let defaults = config("", &[], &Flags::default()).unwrap();
        assert_eq!(defaults.store.whole(), "sqlite:.reel/store.sqlite");
        assert_eq!((&defaults.topic, defaults.topic_partitions), (&Topic::Local, 8));
        assert_eq!(urls(&defaults), [("default", "sqlite:.reel/read.sqlite")]);
        let file = "data = 'd'\n[host]\nbatch = 7\n[targets]\nother = 'sqlite:o'\ndefault = 'sqlite:x'";
        let variables =
            [("REEL_HOST_BATCH", "9"), ("HOME", "/"), ("REEL_TEST_POSTGRES", "x"), ("REEL_TARGET_OTHER", "sqlite:p")];
        let laid = config(file, &variables, &Flags::default()).unwrap();
        assert_eq!((laid.batch, laid.store.whole()), (9, "sqlite:d/store.sqlite"));
        assert_eq!(urls(&laid), [("default", "sqlite:x"), ("other", "sqlite:p")]);
        let targets = vec!["pg=postgres://u@h/d?a=b".into(), "sqlite:y".into()];
        let laid = config(file, &[], &Flags { batch: Some(1), targets, ..Flags::default() }).unwrap();
        assert_eq!(laid.batch, 1);
        assert_eq!(urls(&laid), [("pg", "postgres://u@h/d?a=b"), ("default", "sqlite:y")]);
    }

    #[test]
    fn another_producers_topic_has_no_store() {
        let url = "kafka://a:1/orders?foreign=json&kind-field=type";
        let of = |process, text: &str| {
            let flags = Flags { topic: Some(url.into()), ..Flags::default() };
            config_of(process, text, &[], &flags)
        };
        for process in [Process::Up, Process::Host, Process::ReadApi] {
            let config = of(process, "").unwrap();
            assert!(matches!(&config.topic, Topic::Foreign(url) if url.foreign().is_some()), "{:?}", config.topic);
            assert_eq!(config.archive, None);
        }
        for (process, text, expected) in [
            (Process::CommandService, "", "a command service publishes into Reel's own"),
            (Process::Host, "store = 'sqlite:x'", "has no event store behind it: leave out store"),
            (Process::Up, "[archive]\nurl = 'x'", "leave out archive.url"),
        ] {
            let error = of(process, text).unwrap_err();
            assert!(
                error.contains("kafka://a:1/orders is another producer's topic") && error.contains(expected),
                "{error}"
            );
        }
        assert!(of(Process::Up, "[archive]\nurl = 'none'").is_ok());
    }

    /// Every process says so before it binds or opens anything: all read their configuration first.
    #[test]
    fn tls_and_scram_need_a_build_that_has_them() {
        for (url, shown) in [
            ("kafkas://bob:hush@a:1/t?ssl.key.password=hush", "kafkas://bob:…@a:1/t?ssl.key.password=…"),
            (
                "kafka://bob:hush@a:1/t?sasl.mechanisms=SCRAM-SHA-512",
                "kafka://bob:…@a:1/t?sasl.mechanisms=SCRAM-SHA-512",
            ),
        ] {
            for process in [Process::Up, Process::CommandService, Process::Host, Process::ReadApi] {
                let told = config_of(process, "", &[("REEL_TOPIC", url)], &Flags::default());
                if cfg!(feature = "kafka-tls") {
                    assert!(matches!(told.unwrap().topic, Topic::Kafka(_)), "{url}");
                    continue;
                }
                let error = told.unwrap_err();
                assert!(error.contains(shown) && error.contains("--features kafka-tls"), "{error}");
                assert!(!error.contains("hush"), "{error}");
            }
        }
    }

    #[test]
    fn each_process_listens_where_it_is_told() {
        let listen = |process, text, variables: &[(&str, &str)], flag: Option<&str>| {
            let flags = Flags { listen: flag.map(|address| address.parse().unwrap()), ..Flags::default() };
            config_of(process, text, variables, &flags).unwrap().listen.port()
        };
        let file = "listen = '127.0.0.1:1'\n[serve]\nhost = '127.0.0.1:2'";
        for (process, none, told) in [
            (Process::Up, 7070, 1),
            (Process::CommandService, 7070, 1),
            (Process::Host, 7071, 2),
            (Process::ReadApi, 7072, 1),
        ] {
            assert_eq!(listen(process, "", &[], None), none);
            assert_eq!(listen(process, file, &[], None), told);
            assert_eq!(
                listen(
                    process,
                    file,
                    &[("REEL_SERVE_HOST", "[::1]:3"), ("REEL_LISTEN", "[::1]:3"), ("REEL_SERVE_READ_API", "[::1]:3")],
                    None
                ),
                3
            );
            assert_eq!(listen(process, file, &[], Some("127.0.0.1:4")), 4);
        }
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("token"), "open sesame\n").unwrap();
        std::fs::write(path("url"), "postgres://u:p@h/d\n").unwrap();
        std::fs::write(path("empty"), "\n").unwrap();
        let files = [("REEL_TOKEN_FILE", &*path("token")), ("REEL_TARGET_FILE", &*path("url"))];
        let laid = config("", &files, &Flags::default()).unwrap();
        assert_eq!(laid.token.as_ref().unwrap().0, "open sesame");
        assert_eq!(urls(&laid), [("default", "postgres://u:p@h/d")]);
        assert!(!format!("{laid:?}").contains("sesame") && !format!("{laid:?}").contains(":p@"));
        let in_toml = format!("token = {{ file = {:?} }}", path("token"));
        assert!(config(&in_toml, &[], &Flags::default()).unwrap().token.is_some());
        for name in ["missing", "empty"] {
            let error = config("", &[("REEL_TOKEN_FILE", &path(name))], &Flags::default()).unwrap_err();
            assert!(error.contains("token") && error.contains(&path(name)), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |text: &str, variables: &[(&str, &str)], part: &str| {
            let error = config(text, variables, &Flags::default()).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check("lisen = '127.0.0.1:1'", &[], "did you mean listen?");
        check("listen = 'here'", &[], "invalid socket address");
        check("", &[("REEL_BATCH", "1")], "did you mean REEL_HOST_BATCH?");
        check("", &[("REEL_HOST_BATCH", "0")], "at least 1");
        check("listen = '0.0.0.0:80'", &[], "a token is needed");
        check("store = 'oracle://a:secret@h/d'", &[], "oracle://a:…@h/d");
        check("topic = 'kafak://u:secret@h:1/d'", &[], "topic kafak://u:…@h:1/d: the topic must be kafka://HOST:PORT");
        check("topic = 'kafka://h/d'", &[], "no HOST:PORT");
        check("topic = 'kafka://h:1/d?socket.timeout=1'", &[], "No such configuration property: \"socket.timeout\"");
        check("topic-partitions = 0", &[], "at least 1");
        check("[targets]\na = 1", &[], "targets.a");
        check("[limits]\nevent-bytes = 600000", &[], "only be lowered");
    }
}
