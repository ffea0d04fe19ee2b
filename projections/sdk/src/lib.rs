//! The SDK for projections in Rust.

extern crate self as reel_sdk;

pub mod abi;
mod column;
mod event;
#[cfg(target_arch = "wasm32")]
pub mod guest;
pub mod manifest;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;
mod projection;
mod reject;
pub mod rows;
mod table;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod value;

pub use column::{Assignment, Assignments, Column, Key};
pub use event::{Event, Events, RawEvent};
pub use projection::{NoSettings, Projection, Settings};
pub use reel_sdk_macros::{Events, Table, projection};
pub use reject::Reject;
pub use rows::Rows;
pub use serde;
pub use serde_json;
pub use table::{Declared, Table};
pub use value::{Bytes, ColumnValue, Date, Decimal, IntoColumn, Json, Time, Timestamp, Uuid};
