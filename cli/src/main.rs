//! The `reel` binary: reads the command line, does the verb, prints what went wrong, exits with the code that
//! says how it went.

mod args;
mod client;
#[cfg(test)]
mod compose;
mod config;
mod demo;
mod error;
mod logs;
mod metrics;
mod print;
mod processes;
mod report;
mod secure;
mod verbs;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use reel_projector::chain;

use crate::args::{Arguments, Common, Doctor, Flags, Serve, Verb};
use crate::client::Client;
use crate::error::CliError;
use crate::processes::Process;

/// Rows, keys and batches are many small allocations on many threads: the system's allocator took a seventh of a build's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let serves = matches!(arguments.verb, Verb::Up(_) | Verb::Serve(_));
    logs::start(arguments.common.log_format, if serves { logs::OF_PROCESSES } else { logs::OF_VERBS });
    let runtime = tokio::runtime::Runtime::new().expect("the system gives threads to a process that just began");
    let done = runtime.block_on(run(arguments));
    // A thread may still wait for a database that is away; the process does not wait for it.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever closed standard error cannot be told anything.
            let _ = writeln!(std::io::stderr(), "reel: {}", chain(&error));
            error.exit_code()
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), CliError> {
    let Arguments { verb, common } = arguments;
    let (process, flags) = match verb {
        Verb::Up(flags) => (Process::Up, flags),
        Verb::Serve(Serve::CommandService(flags)) => (Process::CommandService, flags),
        Verb::Serve(Serve::Host(flags)) => (Process::Host, flags),
        Verb::Serve(Serve::ReadApi(flags)) => (Process::ReadApi, flags),
        verb => return talk(verb, &common).await,
    };
    let config = config::load(&Flags { token: common.token, ..flags }, process)?;
    processes::until_stopped(process, config).await
}

async fn talk(verb: Verb, common: &Common) -> Result<(), CliError> {
    let client = Client::new(common)?;
    match verb {
        Verb::Up(_) | Verb::Serve(_) => unreachable!("they are processes, not talk with one"),
        Verb::Demo(demo) => demo::run(demo).await,
        Verb::Import(import) => verbs::import::run(&client, import).await,
        Verb::Export(export) => verbs::export::run(&client, &export).await,
        Verb::Deploy(deploy) => verbs::deploy::deploy(&client, deploy).await,
        Verb::Replay(replay) => verbs::deploy::replay(&client, replay).await,
        Verb::Promote(promote) => verbs::operate::promote(&client, &promote).await,
        Verb::Rollback(rollback) => verbs::operate::rollback(&client, &rollback).await,
        Verb::Pause(named) => verbs::operate::each(&client, "pause", &named).await,
        Verb::Resume(named) => verbs::operate::resume(&client, &named).await,
        Verb::Cancel(named) => verbs::operate::cancel(&client, &named).await,
        Verb::Drop(named) => verbs::operate::drop(&client, &named).await,
        Verb::List(which) => verbs::status::list(&client, &which).await,
        Verb::Status(status) => verbs::status::status(&client, &status).await,
        Verb::Query(query) => verbs::query::run(&client, &query).await,
        Verb::Diff(diff) => verbs::diff::run(&client, &diff).await,
        Verb::Fingerprint(named) => verbs::fingerprint::run(&client, &named).await,
        Verb::Verify(named) => verbs::verify::run(&client, &named).await,
        Verb::DeadLetters(letters) => verbs::dead_letters::run(&client, &letters).await,
        Verb::Doctor(doctor) => verbs::doctor::run(&client, &with_token(doctor, common)).await,
        Verb::Archive(verb) => verbs::archive::run(&client, &verb).await,
        Verb::Plugin(plugin) => verbs::plugin::run(&client, plugin).await,
    }
}

/// The token that clients bring is the one that processes ask for.
fn with_token(doctor: Doctor, common: &Common) -> Doctor {
    Doctor { flags: Flags { token: common.token.clone(), ..doctor.flags }, ..doctor }
}
