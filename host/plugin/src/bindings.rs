//! The bindings that Wasmtime generates from `wit/v1`. Nothing here is written by hand.

wasmtime::component::bindgen!({
    world: "projection",
    path: "../../wit/v1",
    imports: { default: trappable },
});
