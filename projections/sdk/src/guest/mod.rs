//! The projection as a component: its exports, the host's functions, the allocator and the panic hook. wasm32 only.
#![expect(unsafe_code, reason = "texts of the host are not checked a second time; the proof is where they are read")]

mod allocator;
mod host;
mod panic;

use std::{any::Any, marker::PhantomData, sync::OnceLock};

use crate::{Projection, RawEvent, Reject, Rows};
use bindings::{
    exports::reel::projection::projector::Guest,
    reel::projection::types::{self, EventBatch, Failure, FailureKind},
};

/// The bindings that are generated from the contract.
#[expect(missing_docs, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/v1",
        world: "projection",
        pub_export_macro: true,
        default_bindings_module: "reel_sdk::guest::bindings",
    });
}

/// What the component exports for projection `P`.
#[derive(Debug)]
pub struct Component<P>(PhantomData<P>);

/// An instance serves one projection, with one set of settings, given by `init`.
static SETTINGS: OnceLock<Box<dyn Any + Send + Sync>> = OnceLock::new();

impl<P: Projection> Guest for Component<P> {
    fn describe() -> String {
        panic::install();
        P::manifest()
    }

    fn init(settings: String) -> Result<(), String> {
        panic::install();
        let settings: P::Settings = serde_json::from_str(&settings).map_err(|error| error.to_string())?;
        // A second `init` of one instance changes nothing: the host never does it.
        SETTINGS.get_or_init(|| Box::new(settings));
        Ok(())
    }

    fn apply(batch: EventBatch) -> Result<(), Failure> {
        let settings = SETTINGS.get().and_then(|settings| settings.downcast_ref::<P::Settings>());
        let settings = settings.expect("the host calls init before apply");
        let mut host = host::ComponentHost;
        let mut rows = Rows::with_room_for(batch.events.len(), batch.heap.len(), &mut host);
        for (index, event) in batch.events.iter().enumerate() {
            let index = index as u32;
            rows.begin_event(index);
            allocator::begin_event();
            let event = raw_event::<P>(event, &batch.heap);
            P::apply(&event, settings, &mut rows).map_err(|reject| failure(index, reject))?;
        }
        rows.flush();
        Ok(())
    }
}

#[inline]
fn raw_event<'a, P: Projection>(event: &types::Event, heap: &'a [u8]) -> RawEvent<'a> {
    let bytes = |span: types::Span| &heap[span.offset as usize..][..span.length as usize];
    // SAFETY: the contract says of all four that they are UTF-8, and the host keeps its own side of it: it sends what it holds as
    // `str`. Generated bindings trust the `string`s of a contract in the same way.
    let text = |span| unsafe { std::str::from_utf8_unchecked(bytes(span)) };
    let kind_name = match event.kind_name.length {
        0 => P::kinds()[usize::from(event.kind)],
        _ => text(event.kind_name),
    };
    RawEvent {
        position: event.position,
        version: event.version,
        recorded_at: event.recorded_at,
        kind: event.kind,
        schema: event.schema,
        kind_name,
        id: bytes(event.id).try_into().expect("an id has 16 bytes"),
        stream: text(event.stream_id),
        payload: text(event.payload),
        metadata: text(event.metadata),
    }
}

fn failure(event: u32, reject: Reject) -> Failure {
    let kind = if reject.fatal { FailureKind::Fatal } else { FailureKind::Reject };
    Failure { event, kind, code: reject.code.into_owned(), message: reject.message }
}
