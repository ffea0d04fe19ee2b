//! The command line: every verb with its arguments and its help.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use reel_events::Place;

/// Turns an event log into SQL read models, and rebuilds them by replaying the log through a new plugin.
#[derive(Debug, Parser)]
#[command(name = "reel", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict, 5 not reachable.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What every verb takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// The running Reel that is talked to [env: REEL_URL] [default: http://127.0.0.1:7070]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The token that it asks for, if it listens beyond loopback; REEL_TOKEN_FILE names a file that holds it
    #[arg(long, global = true, env = "REEL_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// Print one JSON document (or one a line, for lists) instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How what happens is logged to standard error
    #[arg(long, global = true, env = "REEL_LOG_FORMAT", value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run everything in one process: command service, host, read API
    Up(Flags),
    /// Run one process of several
    #[command(subcommand)]
    Serve(Serve),
    /// The tour: start everything, deploy the examples, write posts, replay them through another plugin
    Demo(Demo),
    /// Put CloudEvents JSON Lines into the event store; again and again changes nothing
    Import(Import),
    /// Print the log as CloudEvents JSON Lines
    Export(Export),
    /// Deploy a projection: a new generation, built from history, caught up, made live
    Deploy(Deploy),
    /// Build a projection anew: with the plugin that is deployed, or through another one
    Replay(Replay),
    /// Make a ready generation live
    Promote(Promote),
    /// Make the generation that was live before live again
    Rollback(Rollback),
    /// Stop a projection behind the batch it is at
    Pause(Named),
    /// Start a projection that was paused, or has halted
    Resume(Named),
    /// End a build; its tables go
    Cancel(Named),
    /// Drop a generation that is not live (posts@2), or a whole projection with all it has
    Drop(Named),
    /// All generations, one a line
    List(InTarget),
    /// Where projections stand: state, position, lag, rate
    Status(Status),
    /// Ask the read API: rows of a table, or of a named query
    Query(Query),
    /// Compare two generations of a projection, or one in two read databases: exit code 1 where they differ
    Diff(Diff),
    /// Print a digest of each table, equal for equal rows on every database
    Fingerprint(Named),
    /// Hold the rows against a new fold of the log: exit code 1 where somebody changed one, or one breaks what is declared
    Verify(Named),
    /// Events that could not be applied, and what to do with them
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Look at all that the configuration names, and at the Reel that runs: what answers, what is wrong, what to do
    Doctor(Doctor),
    /// Sealed history, which builds read instead of the event store
    #[command(subcommand)]
    Archive(Archive),
    /// Make and look into plugins
    #[command(subcommand)]
    Plugin(Plugin),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Serve {
    /// Take commands, keep events, publish them [default: 127.0.0.1:7070]
    CommandService(Flags),
    /// Run projections, and the admin API [default: 127.0.0.1:7071]
    Host(Flags),
    /// Answer reads [default: 127.0.0.1:7072]
    ReadApi(Flags),
}

/// The configuration, as far as flags say it. Every process takes all of them, so that one line of flags is good for each.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Flags {
    /// Where to listen [default: 127.0.0.1:7070, of a host 7071, of a read API 7072]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where files are kept [default: ./.reel]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The configuration file [default: ./reel.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The event store: sqlite:PATH or mongodb://HOST:PORT/DATABASE [default: sqlite: in the data directory]
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// What feeds the host: local: (the event store itself), or kafka://HOST:PORT,…/TOPIC, kafkas:// over TLS [default: local:]
    #[arg(long, value_name = "URL")]
    pub(crate) topic: Option<String>,
    /// A read database: [NAME=]sqlite:PATH, [NAME=]postgres://…, [NAME=]mysql://… or [NAME=]sqlserver://…; may be given several times, the first is the default one
    #[arg(long = "target", value_name = "[NAME=]URL")]
    pub(crate) targets: Vec<String>,
    /// Most events in one batch [default: 100000]
    #[arg(long, value_name = "EVENTS")]
    pub(crate) batch: Option<usize>,
    /// Memory for the rows of a build, in MiB [default: a quarter of the machine's]
    #[arg(long, value_name = "MIB")]
    pub(crate) memory: Option<usize>,
    /// Most events a second that a build reads [default: as fast as it goes]
    #[arg(long, value_name = "EVENTS_PER_SECOND")]
    pub(crate) throttle: Option<u64>,
    /// Build all projections anew whose log is not the one that the store holds now
    #[arg(long)]
    pub(crate) accept_new_log: bool,
    /// What clients must bring; `--token`, which verbs that are clients take too.
    #[arg(skip)]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End after the tour instead of serving until Ctrl-C
    #[arg(long)]
    pub(crate) exit: bool,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Only ask the Reel at --url whether it is ready: a health check for containers
    #[arg(long)]
    pub(crate) ready: bool,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Files of CloudEvents, one a line; .zst and .gz are unpacked, - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Only events behind this position
    #[arg(long, value_name = "POSITION")]
    pub(crate) after: Option<u64>,
    /// Only events up to this position
    #[arg(long, value_name = "POSITION")]
    pub(crate) until: Option<u64>,
}

/// How a generation is made.
#[derive(Debug, Clone, Args)]
pub(crate) struct How {
    /// The read database, where it is not the default one
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
    /// Settings of the plugin, as JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) settings: Option<String>,
    /// What to do with an event that cannot be applied
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) on_failure: Option<OnFailure>,
    /// Wait until it is live (or ready, with --no-promote)
    #[arg(long)]
    pub(crate) wait: bool,
    /// Leave it ready; `reel promote` makes it live
    #[arg(long)]
    pub(crate) no_promote: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OnFailure {
    /// Stop the projection in front of it
    Halt,
    /// Put it aside, and go on
    Skip,
    /// Put it and the later events of its stream aside, and go on with the others
    Park,
}

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// The component, as `reel plugin build` makes it
    #[arg(value_name = "FILE.wasm")]
    pub(crate) file: PathBuf,
    /// Another name than the plugin's own
    #[arg(long, value_name = "PROJECTION")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The projection
    pub(crate) projection: String,
    /// Another component than the one that is deployed
    #[arg(long, value_name = "FILE.wasm")]
    pub(crate) with: Option<PathBuf>,
    /// Only say what it would read and make, and about how long it would take
    #[arg(long, conflicts_with_all = ["wait", "no_promote"])]
    pub(crate) dry_run: bool,
    /// Build the rows as they stood then: up to a position, or to a time (2026-11-21T09:30:00Z). They stand still, and never go live
    #[arg(long, value_name = "POSITION|TIME", conflicts_with = "dry_run")]
    pub(crate) until: Option<String>,
    /// Only make the rows of these streams anew, in the live generation: their ids, or how they begin. Streams must own all tables
    #[arg(long, value_name = "PREFIX", num_args = 1.., conflicts_with_all = ["with", "dry_run", "until", "settings", "on_failure", "no_promote"])]
    pub(crate) stream: Vec<String>,
    #[command(flatten)]
    pub(crate) how: How,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The projection, or one of its generations (posts@2)
    #[arg(value_name = "PROJECTION[@GENERATION]")]
    pub(crate) projection: String,
    #[command(flatten)]
    pub(crate) target: InTarget,
}

#[derive(Debug, Args)]
pub(crate) struct Promote {
    #[command(flatten)]
    pub(crate) named: Named,
    /// How many generations that were live before stay current for a rollback; older ones are dropped [default: host.keep-previous]
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) named: Named,
    /// Also to a generation that has stopped: readers go back to where it stopped
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct InTarget {
    /// The read database, where it is not the default one
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this projection, or one of its generations (posts@2)
    #[arg(value_name = "PROJECTION[@GENERATION]")]
    pub(crate) projection: Option<String>,
    /// Show it again every second
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) target: InTarget,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The projection, or one of its generations (posts@2)
    #[arg(value_name = "PROJECTION[@GENERATION]")]
    pub(crate) projection: String,
    /// One of its tables or named queries
    pub(crate) table: String,
    /// As in the read API's URL: 'author=eq.ann&order=likes.desc&limit=10'
    pub(crate) query: Option<String>,
    #[command(flatten)]
    pub(crate) target: InTarget,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The first: a projection (its live generation), or one of its generations (posts@1)
    #[arg(value_name = "HERE")]
    pub(crate) here: String,
    /// The second; may be left out with --other-target, where it is the same in another read database
    #[arg(value_name = "THERE", required_unless_present = "other_target")]
    pub(crate) there: Option<String>,
    #[command(flatten)]
    pub(crate) target: InTarget,
    /// The read database of the second, where it is another one than that of the first
    #[arg(long, value_name = "NAME")]
    pub(crate) other_target: Option<String>,
    /// Show at most so many differing rows of each table, spread evenly
    #[arg(long, value_name = "ROWS")]
    pub(crate) sample: Option<u64>,
    /// Compare them as they are, though one has come further in the log than the other
    #[arg(long)]
    pub(crate) any_position: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// All of a projection, in order
    List(Named),
    /// One of them, with the event
    Show(Letter),
    /// Let the event go: a halted projection passes it, a parked stream goes on behind it
    Skip(Letter),
    /// Try a parked stream again, from the event at fault on
    Retry(Letter),
    /// Take a skipped event off the list
    Discard(Letter),
}

#[derive(Debug, Args)]
pub(crate) struct Letter {
    #[command(flatten)]
    pub(crate) named: Named,
    /// The event's position; in a foreign topic PARTITION:POSITION
    pub(crate) position: Place,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Archive {
    /// What is sealed, and what is not yet
    Status,
    /// Read every segment, and hold it against the event store
    Verify {
        /// Put damaged segments aside, so that they are sealed again
        #[arg(long)]
        mend: bool,
    },
    /// Remove segments that others supersede, and those that were put aside
    Prune,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Make the crate of a projection that works, with its tests, to begin with
    New {
        /// A folder that is not there yet
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// What the projection is called [default: as the folder]
        #[arg(long)]
        name: Option<String>,
        /// Where Reel's SDK is: its folder (projections/sdk), or the URL of Reel's repository [default: where this program was built]
        #[arg(long, value_name = "FOLDER|URL")]
        sdk: Option<String>,
    },
    /// Build the plugin in DIR, and print the path of the component
    Build {
        /// A Rust crate of type cdylib that uses the SDK
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Print a component's manifest and imports
    Inspect {
        /// The component
        #[arg(value_name = "FILE.wasm")]
        file: PathBuf,
    },
}
