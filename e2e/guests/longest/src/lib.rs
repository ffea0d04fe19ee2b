//! A projection whose every name is as long as it may be: things and what was done to them.

use reel_sdk::{Event, Events, Reject, Rows, Table, projection};

/// A thing.
#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "things_in_a_table_of_32_characte", owner = the_key_column_whose_name_is_as_long_as_it_may_b)]
#[table(index(
    a_column_of_texts_with_a_name_at_its_limit_as_we,
    a_column_of_numbers_with_a_name_at_its_limit_too
))]
struct Thing {
    #[key(length = 36)]
    the_key_column_whose_name_is_as_long_as_it_may_b: String,
    a_column_of_numbers_with_a_name_at_its_limit_too: i64,
    #[length(64)]
    a_column_of_texts_with_a_name_at_its_limit_as_we: String,
}

/// One touch of a thing.
#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "entries_in_a_table_of_32_charact", owner = the_parent_column_that_refers_to_the_other_table)]
#[table(references(the_parent_column_that_refers_to_the_other_table => things_in_a_table_of_32_characte))]
struct Touch {
    #[key(length = 36)]
    the_parent_column_that_refers_to_the_other_table: String,
    #[key]
    the_number_of_the_entry_within_its_parent_row_00: i64,
}

#[derive(Events)]
enum ThingEvent {
    #[kind("thing-made")]
    Made { n: i64 },
    #[kind("thing-touched")]
    Touched { n: i64 },
}

/// Things and their touches.
#[projection(name = "names-as-long-as-they-go", version = "1.0.0", tables(Thing, Touch), queries(
    a_query_with_a_name_at_its_limit(
        Thing,
        "a_column_of_texts_with_a_name_at_its_limit_as_we=eq.{a_parameter_whose_name_has_all_of_48_characters_}",
        a_parameter_whose_name_has_all_of_48_characters_: String
    )
))]
pub fn longest(event: Event<ThingEvent>, rows: &mut Rows) -> Result<(), Reject> {
    let id = event.stream_key().to_owned();
    match event.payload {
        ThingEvent::Made { n } => rows.upsert(Thing {
            the_key_column_whose_name_is_as_long_as_it_may_b: id,
            a_column_of_numbers_with_a_name_at_its_limit_too: n,
            a_column_of_texts_with_a_name_at_its_limit_as_we: "new".into(),
        }),
        ThingEvent::Touched { n } => {
            rows.patch(Thing::key(&id), Thing::A_COLUMN_OF_TEXTS_WITH_A_NAME_AT_ITS_LIMIT_AS_WE.set("touched"));
            rows.upsert(Touch {
                the_parent_column_that_refers_to_the_other_table: id,
                the_number_of_the_entry_within_its_parent_row_00: n,
            });
        }
    }
    Ok(())
}
