//! What becomes of todos.

use super::{Todo, todos};
use reel_sdk::testing::{GivenEvent, event, given, json, second};

fn added() -> GivenEvent {
    event("todo-1", "todo-added", json!({"title": "Water the plants", "owner": "ann"}))
}

fn todo() -> Todo {
    Todo {
        id: "1".into(),
        title: "Water the plants".into(),
        owner: "ann".into(),
        completed: false,
        added_at: second(1),
        completed_at: None,
    }
}

#[test]
fn a_todo_is_added_renamed_and_completed() {
    given([
        added(),
        event("todo-1", "todo-renamed", json!({"title": "Water all plants"})),
        event("todo-1", "todo-completed", json!({})),
    ])
    .when(todos)
    .then([Todo { title: "Water all plants".into(), completed: true, completed_at: Some(second(3)), ..todo() }]);
}

#[test]
fn a_reopened_todo_was_never_completed() {
    given([added(), event("todo-1", "todo-completed", json!({})), event("todo-1", "todo-reopened", json!({}))])
        .when(todos)
        .then([todo()]);
}

#[test]
fn a_removed_todo_is_gone() {
    given([added(), event("todo-1", "todo-removed", json!({}))]).when(todos).then_none::<Todo>();
}

#[test]
fn a_payload_without_a_title_is_rejected_by_name() {
    let outcome = given([event("todo-1", "todo-added", json!({"owner": "ann"}))]).when(todos).then_rejects("payload");
    assert!(outcome.rejection_message().contains("missing field `title`"), "{}", outcome.rejection_message());
}

#[test]
fn completing_what_is_not_there_is_the_events_fault() {
    given([event("todo-9", "todo-completed", json!({}))]).when(todos).then_rejects("row-missing");
}
