//! `reel-bench`: what Reel costs, measured. Each subcommand prints a table, or JSON with `--json`.

mod archive;
mod boundary;
mod catch_up;
mod commands;
mod deploy;
mod error;
mod held;
mod http;
mod latency;
mod live;
mod memory;
mod mongodb;
mod pipeline;
mod posts;
mod process;
mod read_databases;
mod rebuild;
mod reel;
mod relay;
mod relayed;
mod report;
mod sealed;
mod servers;
mod social;
mod store;
mod workload;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::BenchError;
use report::Form;

/// The same as the `reel` binary's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Reel on this machine.
#[derive(Debug, Parser)]
#[command(name = "reel-bench", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    Workload(social::Workload),
    Boundary(boundary::Boundary),
    Archive(archive::Archive),
    Rebuild(rebuild::Rebuild),
    CatchUp(catch_up::CatchUp),
    Commands(commands::Commands),
    Relay(relay::RelayOptions),
    Live(live::Live),
    Latency(latency::Latency),
    Memory(memory::Memory),
    Deploy(deploy::Deploy),
    /// One rebuild in a process of its own, for `rebuild`
    #[command(hide = true)]
    RebuildOne(rebuild::One),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let form = if arguments.json { Form::Json } else { Form::Table };
    let runtime = tokio::runtime::Runtime::new().expect("the system gives threads to a process that just began");
    match runtime.block_on(run(arguments.what, form)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever closed standard error cannot be told anything.
            let _ = writeln!(std::io::stderr(), "reel-bench: {}", reel_projector::chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(what: What, form: Form) -> Result<(), BenchError> {
    let report = match what {
        What::Workload(workload) => match social::run(&workload)? {
            Some(report) => report,
            None => return Ok(()),
        },
        What::Boundary(boundary) => boundary::run(boundary).await?,
        What::Archive(archive) => archive::run(archive).await?,
        What::Rebuild(rebuild) => rebuild::run(rebuild).await?,
        What::CatchUp(options) => catch_up::run(options).await?,
        What::Commands(options) => commands::run(options).await?,
        What::Relay(options) => relay::run(options).await?,
        What::Live(options) => live::run(options).await?,
        What::Latency(latency) => latency::run(latency).await?,
        What::Memory(memory) => memory::run(memory).await?,
        What::Deploy(deploy) => deploy::run(deploy).await?,
        What::RebuildOne(one) => return rebuild::one(one).await,
    };
    report.print(form)
}
