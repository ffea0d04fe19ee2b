//! What a panic says reaches the host before the instance dies: a trap alone carries no words.

use std::{panic::PanicHookInfo, sync::Once};

use super::bindings::reel::projection::{log, types::Level};

static INSTALLED: Once = Once::new();

/// Sends every panic's message and place to the host's log.
pub(super) fn install() {
    INSTALLED.call_once(|| std::panic::set_hook(Box::new(report)));
}

fn report(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("panicked with a value that is no text");
    let said = match panic.location() {
        Some(place) => format!("panicked at {}:{}:{}: {message}", place.file(), place.line(), place.column()),
        None => format!("panicked: {message}"),
    };
    log::write(Level::Error, &said);
}
