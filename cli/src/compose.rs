//! docker-compose.yml, .env.example and Dockerfile held against the program: what they set is known, what they name is there. Tests only:
//! no container is started.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Parser;
use serde_yaml_ng::Value;

use crate::args::{Arguments, Flags, Serve, Verb};
use crate::config::{self, Config, Topic};
use crate::processes::Process;

/// The services that are Reel.
const REEL: [(&str, Process); 3] =
    [("command-service", Process::CommandService), ("host", Process::Host), ("read-api", Process::ReadApi)];
const SECRETS: &str = "/run/secrets/";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("cli lies in the repository")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// .env.example as compose reads it: later lines may use earlier ones.
fn example() -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for line in read(".env.example").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.split_once('=').unwrap_or_else(|| panic!(".env.example: {line}"));
        let value = interpolated(value, &values);
        values.insert(name.to_owned(), value);
    }
    values
}

/// Puts values in for `${NAME}`, `${NAME:-default}` and `${NAME:?message}`; a `$$` is a dollar.
fn interpolated(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        done.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            done.push('$');
            rest = after;
            continue;
        }
        let (inside, after) = after.strip_prefix('{').and_then(|after| after.split_once('}')).expect("${NAME}");
        let name = inside.split(':').next().unwrap_or(inside);
        done.push_str(values.get(name).unwrap_or_else(|| panic!("{name} is not in .env.example")));
        rest = after;
    }
    done + rest
}

/// The file with all its values put in and its merges done.
fn compose() -> Value {
    let mut file: Value = serde_yaml_ng::from_str(&interpolated(&read("docker-compose.yml"), &example())).unwrap();
    merge(&mut file);
    file
}

/// `<<` at every depth; the parser's own does the outermost only.
fn merge(value: &mut Value) {
    match value {
        Value::Mapping(mapping) => {
            let inherited = mapping.remove("<<");
            if let Some(Value::Mapping(inherited)) = inherited {
                for (key, value) in inherited {
                    mapping.entry(key).or_insert(value);
                }
            }
            mapping.values_mut().for_each(merge);
        }
        Value::Sequence(sequence) => sequence.iter_mut().for_each(merge),
        _ => {}
    }
}

fn names(mapping: &Value) -> BTreeSet<String> {
    let keys = mapping.as_mapping().into_iter().flat_map(|mapping| mapping.keys());
    keys.map(|key| key.as_str().expect("names are texts").to_owned()).collect()
}

fn texts(sequence: &Value) -> Vec<String> {
    let items = sequence.as_sequence().into_iter().flatten();
    items.map(|item| item.as_str().unwrap_or_else(|| panic!("a text: {item:?}")).to_owned()).collect()
}

/// What compose makes of a value: `8` becomes the text of it.
fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| serde_yaml_ng::to_string(value).unwrap().trim().to_owned(), str::to_owned)
}

/// The variables of a service; secrets put in for the files that hold them.
fn environment(file: &Value, service: &str) -> Vec<(String, String)> {
    let mapping = file["services"][service]["environment"].as_mapping().expect("it has an environment");
    let variables = mapping.iter().map(|(name, value)| {
        let (name, value) = (name.as_str().unwrap(), scalar(value));
        let Some(secret) = value.strip_prefix(SECRETS) else { return (name.to_owned(), value) };
        let granted = texts(&file["services"][service]["secrets"]);
        assert!(granted.iter().any(|granted| granted == secret), "{service} is not given the secret {secret}");
        let holds = file["secrets"][secret]["environment"].as_str().unwrap_or_else(|| panic!("secret {secret}"));
        (name.strip_suffix("_FILE").unwrap_or(name).to_owned(), example()[holds].clone())
    });
    variables.collect()
}

/// Reads a service's configuration as the process would.
fn configured(file: &Value, service: &str, process: Process) -> Config {
    let command = texts(&file["services"][service]["command"]);
    let arguments = std::iter::once("reel").chain(command.iter().map(String::as_str));
    let parsed = Arguments::try_parse_from(arguments).unwrap_or_else(|error| panic!("{service}: {error}"));
    let flags: Flags = match (parsed.verb, process) {
        (Verb::Serve(Serve::CommandService(flags)), Process::CommandService)
        | (Verb::Serve(Serve::Host(flags)), Process::Host)
        | (Verb::Serve(Serve::ReadApi(flags)), Process::ReadApi) => flags,
        (verb, _) => panic!("{service} runs {verb:?}"),
    };
    let variables = environment(file, service).into_iter();
    config::assemble(toml::Table::new(), variables, &flags, process)
        .unwrap_or_else(|error| panic!("{service}: {error}"))
}

/// Asserts that `HOST:PORT` is a service that listens there.
fn assert_served(file: &Value, from: &str, place: &str) {
    let (host, port) = place.split_once(':').unwrap_or_else(|| panic!("{from}: {place} has no port"));
    let service = &file["services"][host];
    assert!(service.is_mapping(), "{from}: there is no service {host}");
    assert!(texts(&service["expose"]).iter().any(|open| open == port), "{from}: {host} does not listen on {port}");
}

/// What stands between the credentials and the path of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").expect("a URL").1;
    let rest = rest.split(['/', '?']).next().unwrap_or(rest);
    rest.rsplit('@').next().unwrap_or(rest)
}

#[test]
fn every_process_reads_what_compose_sets_and_reaches_what_it_names() {
    let file = compose();
    for (service, process) in REEL {
        let config = configured(&file, service, process);
        assert_served(&file, service, authority(config.store.whole()));
        let Topic::Kafka(topic) = &config.topic else { panic!("{service} takes its events from Kafka") };
        assert_served(&file, service, topic.brokers());
        let [(name, target)] = &config.targets[..] else { panic!("{service} has one target") };
        assert_eq!(name, "default");
        assert_served(&file, service, authority(target.whole()));
        assert!(config.token.is_some() && !config.listen.ip().is_loopback(), "{service} is reached from outside");
    }
    for url in ["POSTGRES_URL", "SQLSERVER_URL"] {
        assert_served(&file, url, authority(&example()[url]));
    }
}

#[test]
fn the_processes_are_published_and_checked_where_they_listen() {
    let (file, dockerfile) = (compose(), read("Dockerfile"));
    let exposed = dockerfile.lines().find_map(|line| line.strip_prefix("EXPOSE ")).expect("ports");
    let data = dockerfile.lines().find_map(|line| line.strip_prefix("ENV REEL_DATA=")).expect("a data directory");
    for (service, process) in REEL {
        let (port, node) = (configured(&file, service, process).listen.port().to_string(), &file["services"][service]);
        assert_eq!(port, process.default_listen().port().to_string(), "{service}");
        assert!(exposed.split(' ').any(|open| open == port), "{service}: the image does not expose {port}");
        assert_eq!(texts(&node["ports"]), [format!("127.0.0.1:{port}:{port}")], "{service}");
        let check = texts(&node["healthcheck"]["test"]);
        let parsed = Arguments::try_parse_from(check[1..].iter()).unwrap_or_else(|error| panic!("{service}: {error}"));
        assert!(matches!(&parsed.verb, Verb::Doctor(doctor) if doctor.ready), "{service}: {check:?}");
        assert_eq!(parsed.common.url, Some(format!("http://127.0.0.1:{port}")), "{service}");
        let volumes = texts(&node["volumes"]);
        assert!(volumes.iter().any(|volume| volume.split(':').nth(1) == Some(data)), "{service}: {volumes:?}");
    }
}

#[test]
fn services_wait_for_what_is_there_and_healthy() {
    let file = compose();
    let services = names(&file["services"]);
    let (volumes, secrets, variables) = (names(&file["volumes"]), names(&file["secrets"]), example());
    for service in &services {
        let node = &file["services"][service.as_str()];
        assert!(!texts(&node["healthcheck"]["test"]).is_empty(), "{service} has a health check");
        for needed in names(&node["depends_on"]) {
            let condition = node["depends_on"][needed.as_str()]["condition"].as_str();
            assert!(services.contains(&needed) && condition == Some("service_healthy"), "{service} needs {needed}");
        }
        for volume in texts(&node["volumes"]) {
            assert!(volumes.contains(volume.split(':').next().unwrap_or(&volume)), "{service}: {volume}");
        }
        for secret in texts(&node["secrets"]) {
            assert!(secrets.contains(&secret), "{service}: {secret}");
        }
    }
    for secret in &secrets {
        let holds = file["secrets"][secret.as_str()]["environment"].as_str().expect("a variable");
        assert!(variables.contains_key(holds), "{holds} is not in .env.example");
    }
}

#[test]
fn one_variable_chooses_the_default_target_and_its_server() {
    let (file, text) = (read("docker-compose.yml"), read(".env.example"));
    assert!(file.contains("REEL_TARGET_FILE: /run/secrets/${TARGET:-postgres}-url"));
    assert!(text.contains("COMPOSE_PROFILES=${TARGET}\n"));
    let compose = compose();
    for target in ["postgres", "sqlserver"] {
        assert_eq!(texts(&compose["services"][target]["profiles"]), [target]);
        assert!(compose["secrets"][format!("{target}-url").as_str()].is_mapping(), "{target}");
    }
}

#[test]
fn what_the_image_is_made_of_is_there_and_holds_no_secret() {
    let dockerfile = read("Dockerfile");
    let own =
        dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|copy| !copy.starts_with("--from"));
    for copy in own {
        for source in copy.split(' ').rev().skip(1) {
            let path: PathBuf = repository().join(source);
            assert!(path.exists(), "the Dockerfile copies {source}");
        }
    }
    assert!(dockerfile.lines().any(|line| line == "USER nonroot"), "it does not run as root");
    let ignored = read(".dockerignore");
    for kept_out in [".env", "target", ".git", ".reel"] {
        assert!(ignored.lines().any(|line| line == kept_out), "{kept_out} does not get into the image");
    }
    let manifest: toml::Table = read("cli/Cargo.toml").parse().unwrap();
    assert!(manifest["features"].as_table().unwrap().contains_key("kafka-tls"));
    assert!(dockerfile.contains(" --bin reel --features kafka-tls "), "the image speaks TLS with Kafka");
    let channel: toml::Table = read("rust-toolchain.toml").parse().unwrap();
    let channel = channel["toolchain"]["channel"].as_str().unwrap();
    assert!(dockerfile.contains(&format!("FROM rust:{channel}-")), "the image builds with {channel}");
    assert!(dockerfile.contains(&format!("RUSTUP_TOOLCHAIN={channel} ")), "the image builds with {channel}");
}

#[test]
fn every_value_of_the_example_is_used() {
    let (file, text) = (read("docker-compose.yml"), read(".env.example"));
    for name in example().keys().filter(|name| *name != "COMPOSE_PROFILES") {
        let used = file.contains(&format!("${{{name}")) || file.contains(&format!("environment: {name} "));
        assert!(used || text.matches(name.as_str()).count() > 1, "{name} means nothing");
    }
}
