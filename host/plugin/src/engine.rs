//! The one engine of a process: settings that make every component run the same everywhere, the pool that instances come from,
//! and compiling.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmFeatures,
};

use crate::call::Call;
use crate::error::PluginError;
use crate::host;
use crate::in_use::InUse;
use crate::limits::{CallLimits, CompileLimits};

/// Guest code may use this much stack, whatever the host's own limits are; threads that call plugins need 2 MiB.
const GUEST_STACK: usize = 1 << 20;
/// The compiler recurses over what it compiles.
const COMPILER_STACK: usize = 64 << 20;
/// A Python component is made of dozens of modules, a Rust one of three.
const MODULES_PER_COMPONENT: u32 = 100;
const TABLES_PER_COMPONENT: u32 = 8;
/// Bytes of an instance's memory that are kept for the next one in its place.
const KEPT_MEMORY: usize = 4 << 20;

/// Settings of an engine. None of them changes what a component computes, only whether it may go on.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where compiled components are kept, by digest of their bytes, full version of the engine and its settings. Only this
    /// process' user may be able to write there: what is in it is run. Nothing = compiled anew by every process.
    pub cache_dir: Option<PathBuf>,
    /// What one call may use.
    pub limits: CallLimits,
    /// What may be compiled.
    pub compile_limits: CompileLimits,
    /// How many instances may run at one time; further calls wait.
    pub instances: u32,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        EngineConfig {
            cache_dir: None,
            limits: CallLimits::default(),
            compile_limits: CompileLimits::default(),
            instances: 32,
        }
    }
}

/// Loads and runs components. One for a process; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    engine: wasmtime::Engine,
    linker: Linker<Call>,
    limits: CallLimits,
    compile_limits: CompileLimits,
    free: Mutex<u32>,
    freed: Condvar,
    in_use: InUse,
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine with these settings. Reserves address space for the pool, but no memory.
    ///
    /// # Errors
    /// [`PluginError::Engine`] where the address space or the cache directory are not to be had.
    pub fn new(config: EngineConfig) -> Result<Engine, PluginError> {
        let settings = settings(&config)?;
        let engine = wasmtime::Engine::new(&settings).map_err(|error| {
            PluginError::engine("reserving address space for instances; lower `instances` where it is scarce", error)
        })?;
        let mut linker = Linker::new(&engine);
        host::define(&mut linker).map_err(|error| PluginError::engine("defining the imports", error))?;
        let EngineConfig { limits, compile_limits, instances, .. } = config;
        let free = Mutex::new(instances.max(1));
        let shared =
            Shared { engine, linker, limits, compile_limits, free, freed: Condvar::new(), in_use: InUse::default() };
        Ok(Engine { shared: Arc::new(shared) })
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.shared.engine
    }

    pub(crate) fn linker(&self) -> &Linker<Call> {
        &self.shared.linker
    }

    pub(crate) fn limits(&self) -> CallLimits {
        self.shared.limits
    }

    pub(crate) fn compile_limits(&self) -> &CompileLimits {
        &self.shared.compile_limits
    }

    pub(crate) fn in_use(&self) -> &InUse {
        &self.shared.in_use
    }

    /// Waits for a place in the pool.
    pub(crate) fn place(&self) -> Place<'_> {
        let free = self.shared.free();
        let mut free = self.shared.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Place { shared: &self.shared }
    }

    /// Compiles a component, or takes it from the cache. On a thread of its own: deep nesting meets a deep stack, a panic of the
    /// compiler stays there, and one that does not end is left behind.
    pub(crate) fn compile(&self, bytes: &[u8]) -> Result<Component, PluginError> {
        let (send, receive) = mpsc::sync_channel(1);
        let (engine, bytes) = (self.shared.engine.clone(), bytes.to_vec());
        let work = move || {
            // Whoever waited may have given up.
            let _ = send.send(Component::new(&engine, bytes));
        };
        thread::Builder::new()
            .name("plugin-compiler".into())
            .stack_size(COMPILER_STACK)
            .spawn(work)
            .map_err(|error| PluginError::engine("starting the compiler's thread", error.into()))?;
        let seconds = self.shared.compile_limits.seconds;
        match receive.recv_timeout(Duration::from_secs(seconds)) {
            Ok(compiled) => compiled.map_err(|error| PluginError::Invalid(format!("{error:#}"))),
            Err(RecvTimeoutError::Timeout) => {
                Err(PluginError::TooLarge(format!("compiling takes longer than {seconds} s")))
            }
            Err(RecvTimeoutError::Disconnected) => Err(PluginError::Invalid("the compiler panicked over it".into())),
        }
    }
}

/// A place in the pool; given back when dropped.
pub(crate) struct Place<'a> {
    shared: &'a Shared,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.shared.free() += 1;
        self.shared.freed.notify_one();
    }
}

impl Shared {
    fn free(&self) -> MutexGuard<'_, u32> {
        // A number is never left half changed.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What must be the same on every machine, so that the same component makes the same rows of the same events.
fn settings(config: &EngineConfig) -> Result<Config, PluginError> {
    let mut settings = Config::new();
    settings
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_features(WasmFeatures::THREADS | WasmFeatures::MEMORY64, false)
        .max_wasm_stack(GUEST_STACK)
        .consume_fuel(true)
        .concurrency_support(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)));
    if let Some(directory) = &config.cache_dir {
        settings.cache(Some(cache(directory)?));
    }
    Ok(settings)
}

fn pool(config: &EngineConfig) -> PoolingAllocationConfig {
    // One more than may run: an instance that just ended may still be on its way out.
    let instances = config.instances.max(1) + 1;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .max_component_instance_size(4 << 20)
        .total_core_instances(instances.saturating_mul(MODULES_PER_COMPONENT))
        .max_core_instances_per_component(MODULES_PER_COMPONENT)
        .max_core_instance_size(4 << 20)
        .total_memories(instances * 2)
        .max_memories_per_component(2)
        .max_memory_size(config.limits.memory)
        .total_tables(instances * TABLES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_tables_per_module(4)
        .table_elements(config.limits.table_elements)
        .table_keep_resident(64 << 10);
    // Where the kernel can tell which pages were written, these are cleared and kept for the next call, which then takes no page
    // faults. Where it cannot, all of them would have to be cleared, which costs more than giving them back.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(KEPT_MEMORY);
    }
    pool
}

fn cache(directory: &Path) -> Result<Cache, PluginError> {
    let unusable = |error| PluginError::engine("opening the cache of compiled components", error);
    let directory = std::path::absolute(directory).map_err(|error| unusable(error.into()))?;
    std::fs::create_dir_all(&directory).map_err(|error| unusable(error.into()))?;
    let mut config = CacheConfig::new();
    config.with_directory(directory);
    Cache::new(config).map_err(unusable)
}
