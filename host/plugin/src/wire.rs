//! Events and changes as the Component Model lays them out in a guest's memory. Wasmtime's own conversions go through a list of
//! records element by element and field by field; here a list crosses as one block of bytes. What the bytes mean is written
//! ([`PackedEvent`]) and read (`lift.rs`) by safe code; this file holds the only unsafe code of the crate, two traits of
//! Wasmtime's that are unsafe to implement.
#![expect(
    unsafe_code,
    reason = "Wasmtime's traits for types that cross the boundary are unsafe; each implementation states its proof"
)]

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext};
use wasmtime::component::{ComponentType, Lift, Lower, WasmList};
use wasmtime::{StoreContextMut, ValRaw};

use crate::bindings::reel::projection::types;
use crate::call::Call;
use crate::lift::Sent;

/// Bytes of an event, without what its spans point at.
pub(crate) const EVENT_BYTES: usize = <types::Event as ComponentType>::SIZE32;
/// Bytes of a change.
pub(crate) const CHANGE_BYTES: usize = <types::Change as ComponentType>::SIZE32;
/// Bytes of a cell.
pub(crate) const CELL_BYTES: usize = <types::Cell as ComponentType>::SIZE32;

// What `PackedEvent::new` and `lift.rs` take for granted. The places of the fields follow from the contract by the rules of the
// Component Model; a test compares both with Wasmtime's own conversions.
const _: () = assert!(EVENT_BYTES == 72 && CHANGE_BYTES == 12 && CELL_BYTES == 24);

/// `event-batch`, on its way into a guest.
#[derive(Debug, Default, ComponentType, Lower)]
#[component(record)]
pub(crate) struct EventBatch {
    pub(crate) events: Vec<PackedEvent>,
    pub(crate) heap: Vec<u8>,
}

/// `change-batch`, still in the guest's memory.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ChangeBatch {
    pub(crate) changes: RawList<types::Change>,
    pub(crate) cells: RawList<types::Cell>,
    pub(crate) heap: WasmList<u8>,
}

impl ChangeBatch {
    /// The batch where it lies: nothing is copied.
    ///
    /// # Panics
    /// Where `store` is not the one that the batch came from.
    pub(crate) fn sent<'a>(&self, store: &'a StoreContextMut<'_, Call>) -> Sent<'a> {
        let (changes, _) = self.changes.bytes(store).as_chunks();
        let (cells, _) = self.cells.bytes(store).as_chunks();
        Sent { changes, cells, heap: self.heap.as_le_slice(store) }
    }
}

/// An event as the guest finds it in its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackedEvent([u8; EVENT_BYTES]);

impl PackedEvent {
    /// Lays out an event.
    #[inline]
    pub(crate) fn new(event: &types::Event) -> PackedEvent {
        let mut bytes = [0; EVENT_BYTES];
        bytes[0..8].copy_from_slice(&event.position.to_le_bytes());
        bytes[8..16].copy_from_slice(&event.version.to_le_bytes());
        bytes[16..24].copy_from_slice(&event.recorded_at.to_le_bytes());
        bytes[24..26].copy_from_slice(&event.kind.to_le_bytes());
        bytes[26..28].copy_from_slice(&event.schema.to_le_bytes());
        let spans = [event.kind_name, event.id, event.stream_id, event.payload, event.metadata];
        for (place, span) in bytes[28..68].as_chunks_mut::<8>().0.iter_mut().zip(spans) {
            place[..4].copy_from_slice(&span.offset.to_le_bytes());
            place[4..].copy_from_slice(&span.length.to_le_bytes());
        }
        PackedEvent(bytes)
    }
}

// SAFETY: size, alignment, flat form and type check are those that Wasmtime derived for the same record.
unsafe impl ComponentType for PackedEvent {
    type Lower = <types::Event as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <types::Event as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        types::Event::typecheck(ty, types)
    }
}

// SAFETY: `Ok` is returned only where exactly the bytes of the elements were written, through slices that are checked; the flat
// form, which would have to be initialised whole, is refused. The bytes are a valid event: it has no field with an invalid
// pattern.
unsafe impl Lower for PackedEvent {
    fn linear_lower_to_flat<T>(
        &self,
        _: &mut LowerContext<'_, T>,
        _: InterfaceType,
        _: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        Err(wasmtime::format_err!("an event crosses in a list only"))
    }

    fn linear_lower_to_memory<T>(
        &self,
        context: &mut LowerContext<'_, T>,
        _: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        *context.get::<EVENT_BYTES>(offset) = self.0;
        Ok(())
    }

    fn linear_store_list_to_memory<T>(
        context: &mut LowerContext<'_, T>,
        _: InterfaceType,
        offset: usize,
        items: &[PackedEvent],
    ) -> wasmtime::Result<()> {
        let places = context.as_slice_mut()[offset..][..items.len() * EVENT_BYTES].as_chunks_mut::<EVENT_BYTES>().0;
        for (place, event) in places.iter_mut().zip(items) {
            *place = event.0;
        }
        Ok(())
    }
}

/// A list of `T` in a guest's memory: known to lie there whole and aligned, its elements not looked at yet.
pub(crate) struct RawList<T> {
    bytes: WasmList<u8>,
    of: PhantomData<fn() -> T>,
}

impl<T: ComponentType> RawList<T> {
    /// The elements' bytes.
    ///
    /// # Panics
    /// Where `store` is not the one that the list came from.
    fn bytes<'a>(&self, store: &'a StoreContextMut<'_, Call>) -> &'a [u8] {
        self.bytes.as_le_slice(store)
    }

    /// `count` elements from `address` on.
    fn lift(context: &mut LiftContext<'_>, ty: InterfaceType, (address, count): (u32, u32)) -> wasmtime::Result<Self> {
        if !address.is_multiple_of(T::ALIGN32) {
            return Err(wasmtime::format_err!("list pointer is not aligned"));
        }
        let size = u32::try_from(u64::from(count) * T::SIZE32 as u64)
            .map_err(|_| wasmtime::format_err!("list pointer/length out of bounds of memory"))?;
        // The list's own bounds, and what lifting may cost, are judged here.
        let bytes = WasmList::linear_lift_from_flat(context, ty, &[ValRaw::u32(address), ValRaw::u32(size)])?;
        Ok(RawList { bytes, of: PhantomData })
    }
}

// SAFETY: size, alignment, flat form and type check are those of any list of `T`.
unsafe impl<T: ComponentType> ComponentType for RawList<T> {
    type Lower = <[T] as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <[T] as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        <[T] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: every pattern of the two words is either refused or a list of bytes that Wasmtime itself found to lie inside the
// memory; no element is taken for valid.
unsafe impl<T: ComponentType> Lift for RawList<T> {
    fn linear_lift_from_flat(
        context: &mut LiftContext<'_>,
        ty: InterfaceType,
        [address, count]: &Self::Lower,
    ) -> wasmtime::Result<Self> {
        Self::lift(context, ty, (address.get_u32(), count.get_u32()))
    }

    fn linear_lift_from_memory(
        context: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> wasmtime::Result<Self> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self::lift(context, ty, (word(0), word(4)))
    }
}
