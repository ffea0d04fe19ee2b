//! Todos, a row each.

use reel_sdk::{Event, Events, Reject, Rows, Table, Timestamp, projection};

/// A todo that was not removed.
#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "todos", owner = id, index(owner, completed))]
struct Todo {
    /// Key of its stream.
    #[key(length = 36)]
    id: String,
    /// What is to be done.
    title: String,
    /// Who is to do it.
    #[length(64)]
    owner: String,
    /// Whether it is done.
    completed: bool,
    /// When it was added.
    added_at: Timestamp,
    /// When it was done; NULL while it is not.
    completed_at: Option<Timestamp>,
}

/// What happens to todos.
#[derive(Events)]
enum TodoEvent {
    /// There is something to do.
    #[kind("todo-added")]
    Added { title: String, owner: String },
    /// It is called something else.
    #[kind("todo-renamed")]
    Renamed { title: String },
    /// It is done.
    #[kind("todo-completed")]
    Completed,
    /// It is not done after all.
    #[kind("todo-reopened")]
    Reopened,
    /// Nobody needs it any more.
    #[kind("todo-removed")]
    Removed,
}

/// Todos: what is to be done, by whom, and since when it is done.
#[projection(
    name = "todos",
    version = "1.0.0",
    tables(Todo),
    queries(open(Todo, "owner=eq.{who}&completed=is.false&order=added_at", who: String))
)]
pub fn todos(event: Event<TodoEvent>, rows: &mut Rows) -> Result<(), Reject> {
    let id = event.stream_key();
    let at = event.recorded_at;
    match event.payload {
        TodoEvent::Added { title, owner } => {
            rows.upsert(Todo { id: id.to_owned(), title, owner, completed: false, added_at: at, completed_at: None });
        }
        TodoEvent::Renamed { title } => rows.patch(Todo::key(id), Todo::TITLE.set(title)),
        TodoEvent::Completed => rows.patch(Todo::key(id), (Todo::COMPLETED.set(true), Todo::COMPLETED_AT.set(at))),
        TodoEvent::Reopened => rows.patch(Todo::key(id), (Todo::COMPLETED.set(false), Todo::COMPLETED_AT.null())),
        TodoEvent::Removed => rows.delete(Todo::key(id)),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
