//! Budgets: of a call of a component's code, and of compiling one. All of them are always on.

use wasmtime::ResourceLimiter;

use crate::trap::Stop;

const MIB: usize = 1 << 20;

/// What one call of a component's code may use, whatever the number of events in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Units of fuel (about one a WebAssembly instruction) for `apply`.
    pub fuel: u64,
    /// Units of fuel for `describe`, and for starting an instance with `init`.
    pub start_fuel: u64,
    /// Bytes of memory, all memories of the instance together.
    pub memory: usize,
    /// Elements of all tables of the instance together.
    pub table_elements: usize,
    /// Bytes of changes emitted, or of keys asked for.
    pub output: usize,
    /// Changes emitted.
    pub changes: usize,
    /// Rows asked for.
    pub rows: usize,
    /// Bytes of rows given to the instance.
    pub row_bytes: usize,
    /// Lines written to the log.
    pub log_lines: usize,
    /// Bytes of one line written to the log; the rest of a longer one is cut off.
    pub log_line: usize,
}

impl Default for CallLimits {
    fn default() -> CallLimits {
        CallLimits {
            fuel: 10_000_000_000,
            start_fuel: 1_000_000_000,
            memory: 256 * MIB,
            table_elements: 100_000,
            output: 64 * MIB,
            changes: 2_000_000,
            rows: 1_000_000,
            row_bytes: 64 * MIB,
            log_lines: 10_000,
            log_line: 4_096,
        }
    }
}

/// How large a component may be, before it is given to the compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Bytes of the component.
    pub component: usize,
    /// Bytes of the largest function.
    pub function: usize,
    /// Functions in all its modules.
    pub functions: usize,
    /// Seconds that the compiler may take.
    pub seconds: u64,
}

impl Default for CompileLimits {
    fn default() -> CompileLimits {
        CompileLimits { component: 64 * MIB, function: 2 * MIB, functions: 200_000, seconds: 120 }
    }
}

/// What a call has used so far of what the host counts itself.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) limits: CallLimits,
    memory: usize,
    table_elements: usize,
    output: usize,
    changes: usize,
    rows: usize,
    row_bytes: usize,
    log_lines: usize,
}

impl Budget {
    pub(crate) fn new(limits: CallLimits) -> Budget {
        Budget { limits, memory: 0, table_elements: 0, output: 0, changes: 0, rows: 0, row_bytes: 0, log_lines: 0 }
    }

    pub(crate) fn emit(&mut self, changes: usize, bytes: usize) -> Result<(), Stop> {
        spend(&mut self.changes, changes, self.limits.changes).map_err(|()| {
            let most = self.limits.changes;
            Stop::exhausted(
                "output",
                format!("a call may emit {most} changes; raise the limit `changes` or emit fewer"),
            )
        })?;
        self.output(bytes)
    }

    pub(crate) fn output(&mut self, bytes: usize) -> Result<(), Stop> {
        spend(&mut self.output, bytes, self.limits.output).map_err(|()| Stop::output(&self.limits))
    }

    pub(crate) fn read(&mut self, rows: usize) -> Result<(), Stop> {
        spend(&mut self.rows, rows, self.limits.rows).map_err(|()| {
            let most = self.limits.rows;
            Stop::exhausted("reads", format!("a call may read {most} rows; raise the limit `rows` or read fewer"))
        })
    }

    pub(crate) fn row_bytes(&mut self, bytes: usize) -> Result<(), Stop> {
        spend(&mut self.row_bytes, bytes, self.limits.row_bytes).map_err(|()| {
            let most = self.limits.row_bytes;
            Stop::exhausted(
                "reads",
                format!("a call may read {most} bytes of rows; raise the limit `row-bytes` or read fewer"),
            )
        })
    }

    pub(crate) fn log_line(&mut self) -> Result<(), Stop> {
        spend(&mut self.log_lines, 1, self.limits.log_lines).map_err(|()| {
            let most = self.limits.log_lines;
            Stop::exhausted("log", format!("a call may log {most} lines; raise the limit `log-lines` or log less"))
        })
    }
}

/// Adds to what was used; an error where that would pass `most`.
fn spend(used: &mut usize, more: usize, most: usize) -> Result<(), ()> {
    let sum = used.checked_add(more).filter(|sum| *sum <= most).ok_or(())?;
    *used = sum;
    Ok(())
}

/// A memory or a table that cannot grow traps: a guest that was told "no" could go on in another way, and whether it is told so
/// may differ between machines.
impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        spend(&mut self.memory, desired.saturating_sub(current), self.limits.memory).map_err(|()| {
            let most = self.limits.memory;
            Stop::exhausted(
                "memory",
                format!("a call may use {most} bytes; raise the limit `memory` or keep less in memory"),
            )
        })?;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Stop::exhausted("memory", format!("memory cannot grow: {error}")).into())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        spend(&mut self.table_elements, more, self.limits.table_elements).map_err(|()| {
            let most = self.limits.table_elements;
            Stop::exhausted("table elements", format!("a call may use {most}; raise the limit `table-elements`"))
        })?;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Stop::exhausted("table elements", format!("a table cannot grow: {error}")).into())
    }
}
