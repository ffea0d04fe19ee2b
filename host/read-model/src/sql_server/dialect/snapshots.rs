//! Snapshots of all statements.

use super::tables::Source;
use super::{SqlServer, tables};
use crate::statements::{manifest, queries};
use crate::target::GenerationId;

#[test]
fn statements_are_reviewed() {
    let (id, manifest) = (GenerationId(7), manifest());
    let mut said = tables::create(id, &manifest);
    for (number, table) in manifest.tables.iter().enumerate() {
        let all: Vec<u16> = (0..table.columns.len() as u16).collect();
        let stage = tables::stage_name(id, number, &all);
        said.extend([tables::create_stage(&stage, table, &all), tables::clear_stage(&stage)]);
        for source in [Source::stage(&stage), Source::arguments(2, table, &all)] {
            said.push(tables::upsert(id, table, &source));
        }
        said.push(tables::insert(id, table, &Source::stage(&stage)));
        let source = Source::arguments(2, table, &table.key);
        said.extend([tables::delete(id, table, &source), tables::select(id, table, &source)]);
        said.push(tables::select_for_update(id, table, &source));
        said.extend([tables::first(id, table), tables::next(id, table), tables::analyze(id, table)]);
        let view = tables::view_name("shop", table);
        said.extend([tables::create_view(&view, id, table), tables::drop_view(&view), tables::drop_table(id, table)]);
    }
    let table = &manifest.tables[0];
    said.push(tables::delete_where(id, table, (&[7], &[2, 5]), &Source::arguments(1, table, &[7])));
    said.push(tables::delete_null(id, table, &[2, 5]));
    let grant = |state: &str, column: Option<&str>| tables::Grant {
        role: "the reader".to_owned(),
        right: "SELECT".to_owned(),
        state: state.to_owned(),
        column: column.map(str::to_owned),
    };
    let grants = [grant("G", None), grant("W", Some("key")), grant("D", Some("note"))];
    said.extend(grants.iter().filter_map(|grant| tables::grant("[shop].[order]", grant)));
    said.extend([tables::create_schema("shop"), tables::drop_schema("shop")]);
    said.extend(queries(&SqlServer, &manifest, &tables::queried(id, table)));
    insta::assert_snapshot!(said.join(";\n"));
}

#[test]
fn stages_have_names_that_are_short_enough() {
    let wide: Vec<u16> = (0..1_000).collect();
    let name = |columns: &[u16]| tables::stage_name(GenerationId(i64::MAX), 999, columns);
    assert!(name(&wide).len() <= 116, "{}", name(&wide));
    assert_ne!(name(&wide), name(&wide[1..]));
    assert_eq!(tables::stage_name(GenerationId(7), 0, &[3, 1]), "#reel_7_0_3_1");
}

/// SQL Server takes 2,100.
#[test]
fn arguments_of_a_statement_are_not_too_many() {
    for columns in 1..=1_000 {
        assert!(tables::Source::fit(columns) * 2 * columns <= 2_100, "{columns} columns");
    }
}
