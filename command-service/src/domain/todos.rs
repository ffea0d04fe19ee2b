//! Todos: streams `todo-<uuid>`. Anybody may act on any todo; nothing happens to a removed one; completing what is completed,
//! reopening what is open and giving the title it has changes nothing.

use serde::{Deserialize, Serialize};

use super::{
    Aggregate, DomainEvent, Rejection, payload_of,
    text::{Name, Title},
};

/// What can be asked of a todo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are named for what they are")]
pub enum TodoCommand {
    /// Note it down.
    Add { title: Title, owner: Name },
    /// Give it another title.
    Rename { title: Title },
    /// Tick it off.
    Complete,
    /// Take the tick away.
    Reopen,
    /// Take it away.
    Remove,
}

/// What can happen to a todo. The fields are those of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TodoEvent {
    /// `todo-added`.
    Added(Added),
    /// `todo-renamed`.
    Renamed(Renamed),
    /// `todo-completed`.
    Completed,
    /// `todo-reopened`.
    Reopened,
    /// `todo-removed`.
    Removed,
}

/// Payload of `todo-added`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are named for what they are")]
pub struct Added {
    pub title: String,
    pub owner: String,
}

/// Payload of `todo-renamed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are named for what they are")]
pub struct Renamed {
    pub title: String,
}

/// The payload of any todo event, as it is written.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "one variant for each payload")]
pub enum TodoPayload<'a> {
    Added(&'a Added),
    Renamed(&'a Renamed),
    Nothing {},
}

impl DomainEvent for TodoEvent {
    type Payload<'a> = TodoPayload<'a>;

    fn kind(&self) -> &'static str {
        match self {
            TodoEvent::Added(_) => "todo-added",
            TodoEvent::Renamed(_) => "todo-renamed",
            TodoEvent::Completed => "todo-completed",
            TodoEvent::Reopened => "todo-reopened",
            TodoEvent::Removed => "todo-removed",
        }
    }

    fn payload(&self) -> TodoPayload<'_> {
        match self {
            TodoEvent::Added(payload) => TodoPayload::Added(payload),
            TodoEvent::Renamed(payload) => TodoPayload::Renamed(payload),
            TodoEvent::Completed | TodoEvent::Reopened | TodoEvent::Removed => TodoPayload::Nothing {},
        }
    }

    fn read(kind: &str, payload: &str) -> Result<Option<TodoEvent>, serde_json::Error> {
        Ok(match kind {
            "todo-added" => payload_of(payload)?.map(TodoEvent::Added),
            "todo-renamed" => payload_of(payload)?.map(TodoEvent::Renamed),
            "todo-completed" => Some(TodoEvent::Completed),
            "todo-reopened" => Some(TodoEvent::Reopened),
            "todo-removed" => Some(TodoEvent::Removed),
            _ => None,
        })
    }
}

/// What the rules need to know of a todo.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields are named for what they are")]
pub enum Todo {
    /// Not noted down yet.
    #[default]
    Absent,
    /// To be done.
    Open { title: String },
    /// Done.
    Done { title: String },
    /// Gone for good.
    Removed,
}

impl Aggregate for Todo {
    const CATEGORY: &'static str = "todo";
    type Command = TodoCommand;
    type Event = TodoEvent;

    fn evolve(self, event: TodoEvent) -> Todo {
        match (self, event) {
            (Todo::Absent, TodoEvent::Added(Added { title, .. })) => Todo::Open { title },
            (Todo::Open { .. }, TodoEvent::Renamed(Renamed { title })) => Todo::Open { title },
            (Todo::Done { .. }, TodoEvent::Renamed(Renamed { title })) => Todo::Done { title },
            (Todo::Open { title }, TodoEvent::Completed) => Todo::Done { title },
            (Todo::Done { title }, TodoEvent::Reopened) => Todo::Open { title },
            (Todo::Open { .. } | Todo::Done { .. }, TodoEvent::Removed) => Todo::Removed,
            (state, _) => state,
        }
    }

    fn decide(&self, command: &TodoCommand) -> Result<Vec<TodoEvent>, Rejection> {
        let (title, done) = match (self, command) {
            (Todo::Absent, TodoCommand::Add { title, owner }) => {
                return Ok(vec![TodoEvent::Added(Added {
                    title: title.as_str().into(),
                    owner: owner.as_str().into(),
                })]);
            }
            (Todo::Absent, _) => return Err(Rejection::NotFound("todo")),
            (Todo::Removed, _) => return Err(Rejection::Removed("todo")),
            (Todo::Open { title }, _) => (title, false),
            (Todo::Done { title }, _) => (title, true),
        };
        let event = match command {
            TodoCommand::Add { .. } => return Err(Rejection::Exists("todo")),
            TodoCommand::Rename { title: new } => {
                (new.as_str() != title).then(|| TodoEvent::Renamed(Renamed { title: new.as_str().into() }))
            }
            TodoCommand::Complete => (!done).then_some(TodoEvent::Completed),
            TodoCommand::Reopen => done.then_some(TodoEvent::Reopened),
            TodoCommand::Remove => Some(TodoEvent::Removed),
        };
        Ok(event.into_iter().collect())
    }
}

#[cfg(test)]
#[path = "todos_tests.rs"]
mod tests;
