//! Items, a row each: something to begin with. The rules are in Reel's docs/plugins.md.

use reel_sdk::{Event, Events, Reject, Rows, Table, Timestamp, projection};

/// An item that was not removed.
#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "items", owner = id, index(added_at))]
struct Item {
    /// Key of its stream: what is behind the first `-` of the stream's id.
    #[key(length = 36)]
    id: String,
    #[length(200)]
    title: String,
    /// How often it got another title.
    renamed: i64,
    added_at: Timestamp,
}

/// The kinds of events that are wanted, and what their payloads hold.
#[derive(Events)]
enum ItemEvent {
    #[kind("item-added")]
    Added { title: String },
    #[kind("item-renamed")]
    Renamed { title: String },
    #[kind("item-removed")]
    Removed,
}

/// Items that were not removed.
#[projection(
    name = "starter",
    version = "0.1.0",
    tables(Item),
    queries(latest(Item, "order=added_at.desc&limit={most}", most: i64 = 10))
)]
pub fn items(event: Event<ItemEvent>, rows: &mut Rows) -> Result<(), Reject> {
    let id = event.stream_key();
    match event.payload {
        ItemEvent::Added { title } => {
            rows.upsert(Item { id: id.into(), title, renamed: 0, added_at: event.recorded_at });
        }
        ItemEvent::Renamed { title } => {
            rows.patch(Item::key(id), Item::TITLE.set(title));
            rows.add(Item::key(id), Item::RENAMED, 1);
        }
        ItemEvent::Removed => rows.delete(Item::key(id)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use reel_sdk::testing::{event, given, json, second};

    use super::*;

    #[test]
    fn an_item_has_its_last_title() {
        given([
            event("item-1", "item-added", json!({"title": "A chair"})),
            event("item-1", "item-renamed", json!({"title": "An old chair"})),
        ])
        .when(items)
        .then([Item { id: "1".into(), title: "An old chair".into(), renamed: 1, added_at: second(1) }]);
    }

    #[test]
    fn an_item_that_was_removed_is_gone() {
        given([event("item-1", "item-added", json!({"title": "A chair"})), event("item-1", "item-removed", json!({}))])
            .when(items)
            .then_none::<Item>();
    }
}
