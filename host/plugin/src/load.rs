//! From bytes to a component that is known to fit the contract: checked, compiled, described.

use std::fmt;
use std::sync::Arc;

use reel_projector::{ApplyError, Manifest};
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, Instance, InstancePre, TypedFunc};

use crate::bindings::exports::reel::projection::projector::Guest;
use crate::bindings::reel::projection::types::Failure;
use crate::bindings::{Projection, ProjectionIndices};
use crate::call::{self, Call, Events, Phase};
use crate::component::{self, EXPORT, Inspection};
use crate::engine::Engine;
use crate::error::PluginError;
use crate::limits::Budget;
use crate::plugin::WasmPlugin;
use crate::trap::{Fuel, apply_error};
use crate::wire::EventBatch;

/// A component that was accepted and compiled. Cheap to clone.
#[derive(Clone)]
pub struct LoadedComponent {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) compiled: Compiled,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) projection: Arc<str>,
    manifest_json: String,
    inspection: Inspection,
}

/// A component that only waits to be instantiated.
pub(crate) struct Compiled {
    linked: InstancePre<Call>,
    indices: ProjectionIndices,
    apply: ComponentExportIndex,
}

/// `apply`, with events as they lie in the guest's memory.
type Apply<'a> = TypedFunc<(&'a EventBatch,), (Result<(), Failure>,)>;

impl Compiled {
    fn new(linked: InstancePre<Call>) -> wasmtime::Result<Compiled> {
        let indices = ProjectionIndices::new(&linked)?;
        let component = linked.component();
        let projector = component.get_export_index(None, EXPORT);
        let apply = projector.and_then(|projector| component.get_export_index(Some(&projector), "apply"));
        let apply = apply.ok_or_else(|| wasmtime::format_err!("no function `apply`"))?;
        Ok(Compiled { linked, indices, apply })
    }

    /// A fresh instance.
    pub(crate) fn instantiate(&self, store: &mut Store<Call>) -> wasmtime::Result<Fresh<'_>> {
        let instance = self.linked.instantiate(&mut *store)?;
        let typed = self.indices.load(&mut *store, &instance)?;
        Ok(Fresh { typed, instance, apply: &self.apply })
    }
}

/// An instance, with its exports.
pub(crate) struct Fresh<'c> {
    typed: Projection,
    instance: Instance,
    apply: &'c ComponentExportIndex,
}

impl Fresh<'_> {
    pub(crate) fn projector(&self) -> &Guest {
        self.typed.reel_projection_projector()
    }

    pub(crate) fn apply(&self, store: &mut Store<Call>, batch: &EventBatch) -> wasmtime::Result<Result<(), Failure>> {
        let apply: Apply<'_> = self.instance.get_typed_func(&mut *store, self.apply)?;
        apply.call(store, (batch,)).map(|(answer,)| answer)
    }
}

impl Engine {
    /// Checks, compiles (or takes from the cache) and describes a component; one that is in use already is shared. Blocks for as
    /// long as compiling takes.
    ///
    /// # Errors
    /// Why the component is refused, and what to do.
    pub fn load(&self, bytes: &[u8]) -> Result<LoadedComponent, PluginError> {
        let most = self.compile_limits().component;
        if bytes.len() > most {
            return Err(PluginError::TooLarge(format!("{} bytes, where this host takes {most}", bytes.len())));
        }
        Ok(LoadedComponent { shared: self.in_use().get(bytes, || self.load_anew(bytes))? })
    }

    fn load_anew(&self, bytes: &[u8]) -> Result<Shared, PluginError> {
        let inspection = component::inspect(bytes)?;
        inspection.accept(self.compile_limits())?;
        let component = self.compile(bytes)?;
        let misfit =
            |error: wasmtime::Error| PluginError::Contract(format!("{error:#}; build it against wit/v1 as released"));
        let linked = self.linker().instantiate_pre(&component).map_err(misfit)?;
        let compiled = Compiled::new(linked).map_err(misfit)?;
        let manifest_json = self.describe(&compiled)?;
        let manifest = Arc::new(Manifest::parse(&manifest_json)?);
        let projection = manifest.name.as_str().into();
        Ok(Shared { engine: self.clone(), compiled, manifest, projection, manifest_json, inspection })
    }

    fn describe(&self, compiled: &Compiled) -> Result<String, PluginError> {
        let limits = self.limits();
        let call = Call {
            phase: Phase::Describe,
            budget: Budget::new(limits),
            projection: "(not described yet)".into(),
            manifest: None,
            events: Events::default(),
            last_error: None,
        };
        let _place = self.place();
        let mut store =
            call::store(self.wasmtime(), call).map_err(|error| PluginError::engine("making a store", error))?;
        let described =
            compiled.instantiate(&mut store).and_then(|instance| instance.projector().call_describe(&mut store));
        described.map_err(|error| {
            let said = store.data().last_error.as_deref();
            PluginError::Describe(apply_error(error, said, (&limits, Fuel::Start)).to_string())
        })
    }
}

impl LoadedComponent {
    /// BLAKE3 of the component's bytes, hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.shared.inspection.digest
    }

    /// What the component says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.shared.manifest
    }

    /// The same as the component gave it.
    #[must_use]
    pub fn manifest_json(&self) -> &str {
        &self.shared.manifest_json
    }

    /// Size, imports and exports.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.shared.inspection
    }

    /// A plugin with these settings (JSON, already checked against the manifest's schema for them): starts one instance with them
    /// to see that the component takes them.
    ///
    /// # Errors
    /// [`PluginError::Settings`] with the component's own words where it does not, or where it traps over them.
    pub fn instantiate_plugin(&self, settings_json: &str) -> Result<WasmPlugin, PluginError> {
        let mut plugin = WasmPlugin::new(self.shared.clone(), settings_json);
        match plugin.try_settings() {
            Ok(()) => Ok(plugin),
            Err(ApplyError::Fatal(message) | ApplyError::Trapped(message)) => Err(PluginError::Settings(message)),
            Err(other) => Err(PluginError::Settings(other.to_string())),
        }
    }
}

impl fmt::Debug for LoadedComponent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LoadedComponent")
            .field("projection", &self.shared.projection)
            .field("digest", &self.shared.inspection.digest)
            .finish_non_exhaustive()
    }
}
