//! Why a call of a component's code ended early: [`Stop`] is how host functions end it, and here every such end becomes an
//! [`ApplyError`].

use reel_projector::ApplyError;
use reel_projector::ports::SinkError;
use wasmtime::{Trap, WasmBacktrace};

use crate::limits::CallLimits;

/// Why a host function stopped the guest that called it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// A budget is used up.
    #[error("{limit} used up: {message}")]
    Exhausted { limit: &'static str, message: String },
    /// The sink refused, or could not answer.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// What the guest sent makes no sense, or it called what it may not call now.
    #[error("{0}")]
    Malformed(String),
}

impl Stop {
    pub(crate) fn exhausted(limit: &'static str, message: String) -> Stop {
        Stop::Exhausted { limit, message }
    }

    pub(crate) fn output(limits: &CallLimits) -> Stop {
        let most = limits.output;
        Stop::exhausted(
            "output",
            format!("a call may send {most} bytes to the host; raise the limit `output` or emit less"),
        )
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Stop {
        Stop::Malformed(message.into())
    }
}

impl From<Stop> for ApplyError {
    fn from(stop: Stop) -> ApplyError {
        match stop {
            Stop::Exhausted { limit, message } => ApplyError::Exhausted { limit, message },
            Stop::Sink(error) => ApplyError::Sink(error),
            Stop::Malformed(message) => ApplyError::Trapped(message),
        }
    }
}

/// Which budget of fuel a call ran on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fuel {
    /// `describe`, or starting an instance.
    Start,
    /// `apply`.
    Call,
}

/// What ended a call: `error` is what Wasmtime says, `said` the last error that the guest wrote to the log in this call.
pub(crate) fn apply_error(
    error: wasmtime::Error,
    said: Option<&str>,
    (limits, fuel): (&CallLimits, Fuel),
) -> ApplyError {
    let error = match error.downcast::<Stop>() {
        Ok(stop) => return stop.into(),
        Err(error) => error,
    };
    let trap = error.downcast_ref::<Trap>().copied();
    match trap {
        Some(Trap::OutOfFuel) => return Stop::from_fuel(limits, fuel).into(),
        // How deep a machine's stack reaches differs between versions and processors: a budget, not the event's fault.
        Some(Trap::StackOverflow) => {
            let message = "the call's stack is full: too deep a recursion".to_owned();
            return ApplyError::Exhausted { limit: "stack", message };
        }
        _ => {}
    }
    if is_lifting_exhausted(&error) {
        return Stop::output(limits).into();
    }
    ApplyError::Trapped(trap_text(&error, trap, said))
}

impl Stop {
    fn from_fuel(limits: &CallLimits, fuel: Fuel) -> Stop {
        let (most, name) = match fuel {
            Fuel::Start => (limits.start_fuel, "start-fuel"),
            Fuel::Call => (limits.fuel, "fuel"),
        };
        let message = format!(
            "the call ran for {most} instructions without an end; look for a loop, or raise the limit `{name}`"
        );
        Stop::exhausted("fuel", message)
    }
}

/// Wasmtime bounds what one call may bring to the host, before it allocates anything, but its error for that has no public type.
/// The version is pinned and a test holds the words.
fn is_lifting_exhausted(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| cause.to_string().contains("fuel allocated for hostcalls has been exhausted"))
}

fn trap_text(error: &wasmtime::Error, trap: Option<Trap>, said: Option<&str>) -> String {
    let reason = match trap {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    let mut text = match said {
        Some(said) => format!("{said} ({reason})"),
        None => reason,
    };
    if let Some(frame) = error.downcast_ref::<WasmBacktrace>().and_then(culprit) {
        text.push_str(" in ");
        text.push_str(&frame);
    }
    text
}

/// The innermost function that is the projection's own and not the machinery of a panic.
fn culprit(backtrace: &WasmBacktrace) -> Option<String> {
    let names: Vec<_> = backtrace.frames().iter().filter_map(|frame| frame.func_name()).map(readable).collect();
    names.iter().find(|name| !is_machinery(name)).or(names.first()).cloned()
}

fn is_machinery(name: &str) -> bool {
    const PREFIXES: [&str; 14] = [
        "core::panicking",
        "std::panicking",
        "core::option",
        "core::result",
        "core::slice",
        "core::str",
        "core::cell",
        "alloc::",
        "std::",
        "rust_",
        "__rust",
        "__rustc",
        "abort",
        "cabi_",
    ];
    PREFIXES.iter().any(|prefix| name.trim_start_matches(['<', '_']).starts_with(prefix.trim_start_matches('_')))
}

/// A function's name as its author wrote it, without the hash that the compiler puts behind it.
fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// `text`, cut at a character so that it has at most `most` bytes.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_hash_and_machinery_is_passed_over() {
        assert_eq!(readable("_ZN7naughty4deep17h2713e579b070b5a3E"), "naughty::deep");
        assert_eq!(readable("_RNvCsfLfy6EI15iL_7___rustc12___rust_abort"), "__rustc::__rust_abort");
        assert_eq!(readable("hello"), "hello");
        assert!(is_machinery("__rustc::__rust_abort"));
        assert!(is_machinery("core::panicking::panic_fmt"));
        assert!(is_machinery("__rust_start_panic"));
        assert!(!is_machinery("posts::apply"));
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("straße", 5), "stra");
        assert_eq!(cut("straße", 100), "straße");
    }
}
