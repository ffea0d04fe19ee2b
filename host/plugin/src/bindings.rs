//! The bindings that Wasmtime generates from `wit/v1`. Nothing here is written by hand.
#![allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, clippy::allow_attributes, reason = "generated")]

wasmtime::component::bindgen!({
    world: "projection",
    path: "../../wit/v1",
    imports: { default: trappable },
});
