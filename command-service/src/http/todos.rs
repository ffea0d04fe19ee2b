//! Todos over HTTP.

use axum::extract::State;
use reel_events::StreamId;
use reel_problem::{Json, OptionalJson, Path, Problem};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Service,
    answer::{Answer, invalid, refusal},
    caller::Caller,
    posts::Acting,
};
use crate::{
    domain::{
        text::{Name, Title, both},
        todos::{Todo, TodoCommand},
    },
    mediator::{Order, Outcome},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTodo {
    id: Option<Uuid>,
    #[serde(alias = "owner")]
    actor: Option<String>,
    title: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTitle {
    actor: Option<String>,
    title: String,
}

/// `POST /todos`.
pub(super) async fn add(
    State(service): State<Service>,
    caller: Caller,
    Json(body): Json<NewTodo>,
) -> Result<Answer, Problem> {
    let (owner, title) = both(caller.required_actor(body.actor.as_deref()), Title::new("title", &body.title))
        .map_err(|e| invalid(&e))?;
    let todo = body.id.unwrap_or_else(|| caller.new_id());
    let outcome = give(&service, caller, todo, (Some(owner.clone()), TodoCommand::Add { title, owner })).await?;
    Ok(Answer::made(outcome, todo, &format!("/todos/{todo}")))
}

/// `PATCH /todos/{todo}`.
pub(super) async fn rename(
    State(service): State<Service>,
    Path(todo): Path<Uuid>,
    caller: Caller,
    Json(body): Json<NewTitle>,
) -> Result<Answer, Problem> {
    let (actor, title) =
        both(caller.actor(body.actor.as_deref()), Title::new("title", &body.title)).map_err(|e| invalid(&e))?;
    give(&service, caller, todo, (actor, TodoCommand::Rename { title })).await.map(Answer::done)
}

/// `POST /todos/{todo}/complete`.
pub(super) async fn complete(
    State(service): State<Service>,
    Path(todo): Path<Uuid>,
    caller: Caller,
    body: OptionalJson<Acting>,
) -> Result<Answer, Problem> {
    plain(&service, caller, todo, (body, TodoCommand::Complete)).await
}

/// `POST /todos/{todo}/reopen`.
pub(super) async fn reopen(
    State(service): State<Service>,
    Path(todo): Path<Uuid>,
    caller: Caller,
    body: OptionalJson<Acting>,
) -> Result<Answer, Problem> {
    plain(&service, caller, todo, (body, TodoCommand::Reopen)).await
}

/// `DELETE /todos/{todo}`.
pub(super) async fn remove(
    State(service): State<Service>,
    Path(todo): Path<Uuid>,
    caller: Caller,
    body: OptionalJson<Acting>,
) -> Result<Answer, Problem> {
    plain(&service, caller, todo, (body, TodoCommand::Remove)).await
}

/// A command that says no more than who acts, if that.
async fn plain(
    service: &Service,
    caller: Caller,
    todo: Uuid,
    (OptionalJson(body), command): (OptionalJson<Acting>, TodoCommand),
) -> Result<Answer, Problem> {
    let actor = caller.actor(body.unwrap_or_default().actor.as_deref()).map_err(|e| invalid(&[e]))?;
    give(service, caller, todo, (actor, command)).await.map(Answer::done)
}

async fn give(
    service: &Service,
    caller: Caller,
    todo: Uuid,
    (actor, command): (Option<Name>, TodoCommand),
) -> Result<Outcome, Problem> {
    let stream = StreamId::new(&format!("todo-{todo}")).expect("a category and a UUID");
    let order = Order { stream, command, terms: caller.terms(actor.as_ref()) };
    service.mediator.dispatch::<Todo>(&order).await.map_err(|error| refusal(&error))
}
