//! Given these events, when this is asked, then that happens.

use proptest::prelude::*;

use super::*;

fn title(text: &str) -> Title {
    Title::new("title", text).unwrap()
}

fn added() -> TodoEvent {
    TodoEvent::Added(Added { title: "Milk".into(), owner: "Ada".into() })
}

fn add() -> TodoCommand {
    TodoCommand::Add { title: title("Milk"), owner: Name::new("actor", "Ada").unwrap() }
}

fn rename(to: &str) -> TodoCommand {
    TodoCommand::Rename { title: title(to) }
}

fn renamed(title: &str) -> TodoEvent {
    TodoEvent::Renamed(Renamed { title: title.into() })
}

fn given(events: impl IntoIterator<Item = TodoEvent>) -> Todo {
    events.into_iter().fold(Todo::default(), Todo::evolve)
}

#[test]
fn what_is_allowed_happens() {
    let done = || vec![added(), TodoEvent::Completed];
    let table = [
        (vec![], add(), vec![added()]),
        (vec![added()], rename("Bread"), vec![renamed("Bread")]),
        (vec![added()], rename("Milk"), vec![]),
        (vec![added(), renamed("Bread")], rename("Milk"), vec![renamed("Milk")]),
        (vec![added()], TodoCommand::Complete, vec![TodoEvent::Completed]),
        (done(), TodoCommand::Complete, vec![]),
        (done(), rename("Bread"), vec![renamed("Bread")]),
        (done(), TodoCommand::Reopen, vec![TodoEvent::Reopened]),
        (vec![added()], TodoCommand::Reopen, vec![]),
        (done(), TodoCommand::Remove, vec![TodoEvent::Removed]),
    ];
    for (events, command, then) in table {
        assert_eq!(given(events).decide(&command).unwrap(), then, "{command:?}");
    }
}

#[test]
fn what_is_not_is_refused() {
    let every = [rename("Bread"), TodoCommand::Complete, TodoCommand::Reopen, TodoCommand::Remove];
    for command in &every {
        assert_eq!(Todo::default().decide(command), Err(Rejection::NotFound("todo")));
    }
    for command in every.iter().chain([&add()]) {
        assert_eq!(given([added(), TodoEvent::Removed]).decide(command), Err(Rejection::Removed("todo")));
    }
    assert_eq!(given([added()]).decide(&add()), Err(Rejection::Exists("todo")));
}

#[test]
fn events_are_read_as_they_were_written() {
    let kinds = [
        (added(), r#"todo-added {"title":"Milk","owner":"Ada"}"#),
        (renamed("Bread"), r#"todo-renamed {"title":"Bread"}"#),
        (TodoEvent::Completed, "todo-completed {}"),
        (TodoEvent::Reopened, "todo-reopened {}"),
        (TodoEvent::Removed, "todo-removed {}"),
    ];
    for (event, written) in kinds {
        let payload = serde_json::to_string(&event.payload()).unwrap();
        assert_eq!(format!("{} {payload}", event.kind()), written);
        assert_eq!(TodoEvent::read(event.kind(), &payload).unwrap(), Some(event));
    }
    assert_eq!(TodoEvent::read("post-liked", "{}").unwrap(), None);
}

fn any_event() -> impl Strategy<Value = TodoEvent> {
    prop_oneof![
        ".*".prop_map(|title| TodoEvent::Added(Added { title, owner: "Ada".into() })),
        ".*".prop_map(|title| renamed(&title)),
        Just(TodoEvent::Completed),
        Just(TodoEvent::Reopened),
        Just(TodoEvent::Removed),
    ]
}

fn any_command() -> impl Strategy<Value = TodoCommand> {
    prop_oneof![
        Just(add()),
        "[ab]".prop_map(|title| rename(&title)),
        Just(TodoCommand::Complete),
        Just(TodoCommand::Reopen),
        Just(TodoCommand::Remove),
    ]
}

proptest! {
    #[test]
    fn any_history_can_be_folded_and_removed_is_for_ever(
        events in prop::collection::vec(any_event(), 0..12),
        more in any_event(),
        command in any_command(),
    ) {
        let state = given(events);
        if state == Todo::Removed {
            prop_assert_eq!(state.decide(&command), Err(Rejection::Removed("todo")));
            prop_assert_eq!(state.evolve(more), Todo::Removed);
        } else if let Ok(decided) = state.decide(&command) {
            let after = decided.iter().cloned().fold(state.clone(), Todo::evolve);
            prop_assert_eq!(after == state, decided.is_empty());
        }
    }
}
