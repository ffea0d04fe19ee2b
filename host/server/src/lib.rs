//! The host: deploys projections, builds their generations, keeps them current, and flips readers from one to another. Each
//! generation runs in a task of its own, so that one that fails stops no other.
//!
//! Not here: what an event makes of a row (`projector`), how code is run (`plugin`), SQL (`read-model`), the process around it
//! (`cli`).

pub mod admin;
mod archive;
pub mod build;
mod config;
mod dead_letters;
mod deploy;
mod error;
mod foreign;
mod gate;
mod holds;
mod host;
pub mod inspect;
mod lease;
mod lifecycle;
mod metered;
mod operate;
mod rederive;
mod reference;
mod runner;
mod shards;
mod source;
mod status;
mod watch;

pub use archive::{ArchivePruned, ArchiveStatus, ArchiveVerified, Mend};
pub use build::{Build, BuildConfig, BuildError, Built, Keeping};
pub use config::{HostConfig, Hosts, KafkaTopic, ManifestCheck, Topic};
pub use deploy::{Deployed, Deployment, Outcome, Until};
pub use error::HostError;
pub use host::{Host, Targets};
pub use rederive::Rederived;
pub use reference::{ProjectionRef, ReferenceError};
pub use source::LogSource;
pub use status::GenerationStatus;
