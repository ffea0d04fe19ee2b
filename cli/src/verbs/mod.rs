//! The verbs that talk to a running Reel, one file each; and those about plugins, which need none.

pub(crate) mod archive;
pub(crate) mod dead_letters;
pub(crate) mod deploy;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod dry_run;
pub(crate) mod export;
pub(crate) mod fingerprint;
pub(crate) mod import;
pub(crate) mod operate;
pub(crate) mod plugin;
pub(crate) mod query;
pub(crate) mod rederive;
pub(crate) mod status;
pub(crate) mod verify;
