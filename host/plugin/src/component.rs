//! Components as bytes: made of a core module, told apart from everything else, looked into without running them.

use wasmparser::{Encoding, Parser, Payload};

use crate::error::PluginError;
use crate::limits::CompileLimits;

/// The package that a plugin may import from and must export to.
const PACKAGE: &str = "reel:projection/";
const VERSION: &str = "@1.0.0";
const IMPORTS: [&str; 4] = ["types", "sink", "rows", "log"];
pub(crate) const EXPORT: &str = "reel:projection/projector@1.0.0";
const BUILD: &str = "run `reel plugin build` on its source";

/// What a component says from outside: no code of it runs, and it need not be one that this host accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// BLAKE3 of the bytes, hexadecimal.
    pub digest: String,
    /// Bytes.
    pub size: usize,
    /// What it imports: interfaces of a component, `module.name` of a core module.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    encoding: Encoding,
    largest_function: usize,
    functions: usize,
}

/// Makes a component of a core module that was built against the plugin contract's bindings.
///
/// # Errors
/// [`PluginError::NotAComponent`] where the bytes are no core module, [`PluginError::ForbiddenImport`] where it imports what no
/// plugin may, [`PluginError::Contract`] or [`PluginError::Invalid`] where it does not carry the contract's types.
pub fn componentize(core_wasm: &[u8]) -> Result<Vec<u8>, PluginError> {
    let inspection = inspect(core_wasm)?;
    if inspection.encoding == Encoding::Component {
        return Err(PluginError::NotAComponent(
            "this is a component already, not the core module of one: use it as it is".into(),
        ));
    }
    let foreign = inspection.imports.iter().find(|import| !import.starts_with(PACKAGE) && !import.starts_with("__wit"));
    if let Some(import) = foreign {
        return Err(forbidden(import));
    }
    let component = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(core_wasm)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| PluginError::Invalid(format!("{error:#}; build it with the SDK's `projection` macro")))?;
    // A module without the contract's types becomes a component that imports and exports nothing.
    inspect(&component)?.fits_contract()?;
    Ok(component)
}

/// Looks into a component or core module.
///
/// # Errors
/// [`PluginError::NotAComponent`] where the bytes are something else or only a part.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, PluginError> {
    sniff(bytes)?;
    let mut found = Inspection {
        digest: blake3::hash(bytes).to_hex().to_string(),
        size: bytes.len(),
        imports: Vec::new(),
        exports: Vec::new(),
        encoding: Encoding::Module,
        largest_function: 0,
        functions: 0,
    };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| broken(&error, bytes.len()))?;
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::Version { encoding, .. } if depth == 0 => found.encoding = *encoding,
            Payload::CodeSectionEntry(body) => {
                found.functions += 1;
                found.largest_function = found.largest_function.max(body.range().len());
            }
            outside if depth == 0 => names(outside, &mut found).map_err(|error| broken(&error, bytes.len()))?,
            _ => {}
        }
    }
    Ok(found)
}

impl Inspection {
    /// Whether this host would try to compile and run it.
    ///
    /// # Errors
    /// The first reason why not, with what to do.
    pub fn accept(&self, limits: &CompileLimits) -> Result<(), PluginError> {
        self.fits_contract()?;
        self.fits(limits)
    }

    fn fits_contract(&self) -> Result<(), PluginError> {
        if self.encoding == Encoding::Module {
            return Err(PluginError::NotAComponent(format!(
                "this is a core module: {BUILD}, or `reel plugin build FILE`"
            )));
        }
        if let Some(import) = self.imports.iter().find(|import| !is_ours(import)) {
            return Err(forbidden(import));
        }
        if !self.exports.iter().any(|export| export == EXPORT) {
            let found = if self.exports.is_empty() { "nothing".to_owned() } else { self.exports.join(", ") };
            return Err(PluginError::Contract(format!(
                "it does not export {EXPORT}, but {found}: {BUILD}, with the SDK's `projection` macro"
            )));
        }
        Ok(())
    }

    fn fits(&self, limits: &CompileLimits) -> Result<(), PluginError> {
        let bounds = [
            ("bytes", self.size, limits.component),
            ("bytes in one function", self.largest_function, limits.function),
            ("functions", self.functions, limits.functions),
        ];
        match bounds.into_iter().find(|(_, has, most)| has > most) {
            None => Ok(()),
            Some((what, has, most)) => {
                Err(PluginError::TooLarge(format!("{has} {what}, where this host takes {most}")))
            }
        }
    }
}

fn is_ours(import: &str) -> bool {
    let interface = import.strip_prefix(PACKAGE).and_then(|rest| rest.strip_suffix(VERSION));
    interface.is_some_and(|interface| IMPORTS.contains(&interface))
}

fn forbidden(import: &str) -> PluginError {
    let remedy = if import.starts_with("wasi") {
        "a plugin has no clock, files, network or randomness. Was it built for wasm32-wasip1 or wasm32-wasip2? Build it for \
         wasm32-unknown-unknown, with `reel plugin build`"
    } else if import.starts_with(PACKAGE) {
        "this host offers types, sink, rows and log of version 1.0.0 only. Build it against that version, or use a newer Reel"
    } else if import.starts_with("env.") || import.starts_with("__wbindgen") {
        "a library in it expects a JavaScript or C environment. Remove that library or its feature (often `js` of getrandom or \
         `wasm-bindgen`)"
    } else {
        "a plugin has its events and its rows, and nothing else. Remove what needs it"
    };
    PluginError::ForbiddenImport { import: import.to_owned(), remedy: remedy.to_owned() }
}

fn sniff(bytes: &[u8]) -> Result<(), PluginError> {
    const MAGIC: &[u8] = b"\0asm";
    let problem = if bytes.is_empty() {
        "the file is empty".to_owned()
    } else if bytes.len() < 8 && bytes.starts_with(&MAGIC[..bytes.len().min(4)]) {
        "the file is truncated: it ends within its first 8 bytes".to_owned()
    } else if bytes.starts_with(MAGIC) {
        return Ok(());
    } else if bytes.trim_ascii_start().starts_with(b"(component") || bytes.trim_ascii_start().starts_with(b"(module") {
        "the file is WebAssembly text: translate it to the binary format first (`wasm-tools parse`)".to_owned()
    } else {
        format!("the file is not WebAssembly at all: {BUILD}, and give the .wasm file that it prints")
    };
    Err(PluginError::NotAComponent(problem))
}

fn broken(error: &wasmparser::BinaryReaderError, size: usize) -> PluginError {
    let message = error.message();
    // What is missed at the very end is behind it.
    let at_end = error.offset() >= size;
    if at_end || message.contains("unexpected end") || message.contains("section out of bounds") {
        return PluginError::NotAComponent(format!(
            "the file is truncated: it ends after {size} bytes, where more should follow. Build or copy it again"
        ));
    }
    PluginError::NotAComponent(format!(
        "the file is damaged at byte {}: {message}. Build or copy it again",
        error.offset()
    ))
}

fn names(payload: &Payload<'_>, found: &mut Inspection) -> Result<(), wasmparser::BinaryReaderError> {
    match payload {
        Payload::ComponentImportSection(section) => {
            for import in section.clone() {
                found.imports.push(import?.name.name.to_owned());
            }
        }
        Payload::ComponentExportSection(section) => {
            for export in section.clone() {
                found.exports.push(export?.name.name.to_owned());
            }
        }
        Payload::ImportSection(section) => {
            for import in section.clone().into_imports() {
                let import = import?;
                found.imports.push(format!("{}.{}", import.module, import.name));
            }
        }
        Payload::ExportSection(section) => {
            for export in section.clone() {
                found.exports.push(export?.name.to_owned());
            }
        }
        _ => {}
    }
    Ok(())
}
