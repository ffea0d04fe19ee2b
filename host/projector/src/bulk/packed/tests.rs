//! What is packed comes out, whatever is changed of it; bytes that are no row are seen to be none.

use proptest::prelude::*;

use super::*;
use crate::bulk::every_type::{cell, key, row, table};

fn packed(layout: &Layout, key: &[u8], row: &Row) -> Packed {
    layout.pack(key, &row.iter().map(Taken::from).collect::<Vec<_>>())
}

/// A change of a cell that is not of the key.
fn change() -> impl Strategy<Value = (u16, Value)> {
    let table = table();
    let others = (0..table.columns.len()).filter(|number| !table.is_key(*number as u16)).collect::<Vec<_>>();
    prop::sample::select(others).prop_flat_map(move |number| (Just(number as u16), cell(&table, number)))
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(row in row()) {
        let (table, layout) = (table(), Layout::of(&table()));
        let key = key(&table, &row);
        let packed = packed(&layout, &key, &row);
        prop_assert!(packed.stands());
        prop_assert_eq!(packed.key(), &key[..]);
        let view = layout.view(&packed).unwrap();
        for (column, value) in (0..).zip(&row) {
            prop_assert_eq!(view.cell(column), Taken::from(value));
        }
        prop_assert_eq!(view.unpack(), row);
    }

    #[test]
    fn a_row_that_was_changed_is_the_row_that_was_packed_so(
        before in row(),
        changes in prop::collection::vec(change(), 0..12),
    ) {
        let layout = Layout::of(&table());
        let key = key(&table(), &before);
        let (mut changed, mut after) = (packed(&layout, &key, &before), before);
        for (column, value) in changes {
            layout.set(&mut changed, column, &value);
            after[usize::from(column)] = value;
        }
        prop_assert_eq!(changed, packed(&layout, &key, &after));
    }

    #[test]
    fn bytes_that_were_stored_are_looked_at(row in row(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let layout = Layout::of(&table());
        let packed = packed(&layout, &key(&table(), &row), &row);
        prop_assert_eq!(layout.restore(packed.bytes()), Some(packed.clone()));
        let end = at.index(packed.bytes().len());
        prop_assert_eq!(layout.restore(&packed.bytes()[..end]), None, "an early end");
        let mut spoiled = packed.bytes().to_vec();
        spoiled[end] ^= byte;
        // It is a row or none: reading it does not fail.
        if let Some(row) = layout.restore(&spoiled) {
            layout.view(&row).unwrap().unpack();
        }
        spoiled.push(0);
        prop_assert_eq!(layout.restore(&spoiled).filter(|_| byte == 0), None, "more than a row");
    }
}

#[test]
fn a_row_that_is_gone_leaves_its_key() {
    let layout = Layout::of(&table());
    let mut row = Packed::vacant(b"key");
    assert!(!row.stands() && layout.view(&row).is_none());
    assert_eq!((row.key(), layout.restore(row.bytes())), (&b"key"[..], None));
    let mut place = PackedPlace { layout: &layout, row: &mut row };
    place.put(None);
    assert!(!place.stands());
    assert_eq!(row, Packed::vacant(b"key"));
}
