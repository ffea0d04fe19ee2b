//! Snapshots of all statements.

use sqlx::SqlSafeStr;

use super::{Postgres, Sql, tables};
use crate::statements::{manifest, queries};
use crate::target::GenerationId;

fn text(statement: impl Into<Sql>) -> String {
    statement.into().into_sql_str().as_str().to_owned()
}

#[test]
fn statements_are_reviewed() {
    let (id, manifest) = (GenerationId(7), manifest());
    let mut said: Vec<String> = tables::create(id, &manifest).into_iter().map(text).collect();
    for (number, table) in manifest.tables.iter().enumerate() {
        said.push(text(tables::lock(id, table)));
        said.extend(tables::create_anew(id, table).map(text));
        said.extend([tables::copy_frozen(id, table), tables::copy(id, table)]);
        said.push(text(tables::add_key(id, number, table)));
        said.extend(tables::create_indexes(id, number, table).into_iter().map(text));
        said.extend([tables::analyze(id, table), tables::upsert(id, table)].map(text));
        said.extend([tables::insert_missing(id, table), tables::delete(id, table)].map(text));
        said.extend([tables::select(id, table), tables::select_for_update(id, table)].map(text));
        said.extend([text(tables::hold(id, table)), tables::first(id, table), tables::next(id, table)]);
        let view = tables::view_name("shop", table);
        said.extend([tables::replace_view(&view, id, table), tables::drop_view(&view)].map(text));
    }
    let table = &manifest.tables[0];
    said.push(text(tables::delete_where(id, table, &[7], &[2, 5])));
    said.push(text(tables::delete_where(id, table, &[], &[2, 5])));
    said.extend(queries(&Postgres, &manifest, &tables::physical(id, table)));
    said.extend(tables::drop(id, &manifest).into_iter().map(text));
    insta::assert_snapshot!(said.join(";\n"));
}
