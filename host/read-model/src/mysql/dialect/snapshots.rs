//! Snapshots of all statements.

use sqlx::SqlSafeStr;

use super::{MySql, Sql, tables};
use crate::statements::{manifest, queries};
use crate::target::GenerationId;

fn text(statement: impl Into<Sql>) -> String {
    statement.into().into_sql_str().as_str().to_owned()
}

#[test]
fn statements_are_reviewed() {
    let (id, manifest) = (GenerationId(7), manifest());
    let mut said: Vec<String> = tables::create(id, &manifest, "COLLATION").into_iter().map(text).collect();
    for table in &manifest.tables {
        said.extend([tables::analyze(id, table), tables::hold(id, table)].map(text));
        let repeated = [
            tables::upsert(id, table),
            tables::insert(id, table),
            tables::delete(id, table),
            tables::select(id, table),
            tables::select_for_update(id, table),
        ];
        said.extend(repeated.map(|statement| text(statement.of(2))));
        said.extend([tables::first(id, table), tables::next(id, table)]);
        let view = tables::view_name("shop", table);
        said.extend([tables::create_view(&view, id, table), tables::drop_view(&view)].map(text));
        let stand_by = tables::stand_by_name(id, table);
        said.push(text(tables::rename(&[(view.clone(), "other".to_owned()), (stand_by, view)])));
        said.push(text(tables::drop_table(&tables::table_name(id, table))));
    }
    let table = &manifest.tables[0];
    said.push(text(tables::delete_where(id, table, &[7], &[2, 5]).of(1)));
    let one = [tables::delete(id, table), tables::select(id, table), tables::select_for_update(id, table)];
    said.extend(one.map(|statement| text(statement.of(1))));
    said.push(text(tables::delete_null(id, table, &[2, 5])));
    said.extend(queries(&MySql { collation: "COLLATION" }, &manifest, &tables::physical(id, table)));
    insta::assert_snapshot!(said.join(";\n"));
}

#[test]
fn a_statement_takes_as_many_rows_as_its_arguments_allow() {
    let manifest = manifest();
    let (wide, narrow) = (&manifest.tables[0], &manifest.tables[1]);
    let fit = |table, rows| tables::insert(GenerationId(7), table).fit(rows);
    assert_eq!([0, 1, 3, 511, 512, 10_000].map(|rows| fit(narrow, rows)), [1, 1, 2, 256, 512, 512]);
    assert_eq!([600, 10_000].map(|rows| fit(wide, rows)), [512, 512], "16 columns");
}
