//! Snapshots of all statements.

use super::{Sqlite, tables};
use crate::statements::{manifest, queries};
use crate::target::GenerationId;

#[test]
fn statements_are_reviewed() {
    let (id, manifest) = (GenerationId(7), manifest());
    let mut said = tables::create(id, &manifest);
    for (number, table) in manifest.tables.iter().enumerate() {
        said.extend(tables::create_anew(id, table));
        said.extend([tables::insert(id, table, 2), tables::analyze(id, table)]);
        said.extend(tables::create_indexes(id, number, table));
        said.extend([tables::upsert(id, table), tables::delete(id, table), tables::select(id, table)]);
        said.extend([tables::first(id, table), tables::next(id, table)]);
        let view = tables::view_name("shop", table);
        said.extend([tables::create_view(&view, id, table), tables::drop_view(&view)]);
    }
    let table = &manifest.tables[0];
    said.push(tables::delete_where(id, table, &[7, 2]));
    said.extend(queries(&Sqlite, &manifest, &tables::physical(id, table)));
    said.extend(tables::drop(id, &manifest));
    insta::assert_snapshot!(said.join(";\n"));
}
