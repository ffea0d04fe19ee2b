//! The log of what happens: to standard error, as text for people or as JSON, one object a line.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// What a process of Reel logs unless `REEL_LOG` says otherwise; `plugin` is what plugins log. The driver for SQL Server says at ERROR what
/// it also answers, so that a lock that is waited for once more would look like a failure; and of each connection that it is not encrypted,
/// which the target says once.
pub(crate) const OF_PROCESSES: &str =
    "warn,reel=info,reel_host=info,plugin=info,tiberius::tds::stream::token=off,tiberius::client::connection=error";
/// What all other verbs log.
pub(crate) const OF_VERBS: &str = "warn,tiberius::tds::stream::token=off,tiberius::client::connection=error";

/// Starts logging.
pub(crate) fn start(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_env("REEL_LOG").unwrap_or_else(|_| default.into());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}
