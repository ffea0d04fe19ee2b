//! Posts and their comments over HTTP.

use axum::extract::State;
use reel_events::StreamId;
use reel_problem::{Json, OptionalJson, Path, Problem};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Service,
    answer::{Answer, invalid, refusal},
    caller::Caller,
};
use crate::{
    domain::{
        posts::{CommentText, Message, Post, PostCommand},
        text::{Name, both},
    },
    mediator::{Order, Outcome},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPost {
    id: Option<Uuid>,
    #[serde(alias = "author")]
    actor: Option<String>,
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMessage {
    actor: Option<String>,
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewComment {
    id: Option<Uuid>,
    #[serde(alias = "author")]
    actor: Option<String>,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewText {
    actor: Option<String>,
    text: String,
}

/// A body that says who acts, and no more.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Acting {
    pub(super) actor: Option<String>,
}

/// `POST /posts`.
pub(super) async fn create(
    State(service): State<Service>,
    caller: Caller,
    Json(body): Json<NewPost>,
) -> Result<Answer, Problem> {
    let (author, message) = both(caller.required_actor(body.actor.as_deref()), Message::new("message", &body.message))
        .map_err(|e| invalid(&e))?;
    let post = body.id.unwrap_or_else(|| caller.new_id());
    let outcome = give(&service, caller, post, (Some(author.clone()), PostCommand::Create { author, message })).await?;
    Ok(Answer::made(outcome, post, &format!("/posts/{post}")))
}

/// `PATCH /posts/{post}`.
pub(super) async fn edit(
    State(service): State<Service>,
    Path(post): Path<Uuid>,
    caller: Caller,
    Json(body): Json<NewMessage>,
) -> Result<Answer, Problem> {
    let (actor, message) = both(caller.required_actor(body.actor.as_deref()), Message::new("message", &body.message))
        .map_err(|e| invalid(&e))?;
    give(&service, caller, post, (Some(actor.clone()), PostCommand::Edit { actor, message })).await.map(Answer::done)
}

/// `POST /posts/{post}/likes`.
pub(super) async fn like(
    State(service): State<Service>,
    Path(post): Path<Uuid>,
    caller: Caller,
    OptionalJson(body): OptionalJson<Acting>,
) -> Result<Answer, Problem> {
    let by = caller.actor(body.unwrap_or_default().actor.as_deref()).map_err(|e| invalid(&[e]))?;
    give(&service, caller, post, (by.clone(), PostCommand::Like { by })).await.map(Answer::done)
}

/// `DELETE /posts/{post}`.
pub(super) async fn remove(
    State(service): State<Service>,
    Path(post): Path<Uuid>,
    caller: Caller,
    OptionalJson(body): OptionalJson<Acting>,
) -> Result<Answer, Problem> {
    let actor = caller.required_actor(body.unwrap_or_default().actor.as_deref()).map_err(|e| invalid(&[e]))?;
    give(&service, caller, post, (Some(actor.clone()), PostCommand::Remove { actor })).await.map(Answer::done)
}

/// `POST /posts/{post}/comments`.
pub(super) async fn add_comment(
    State(service): State<Service>,
    Path(post): Path<Uuid>,
    caller: Caller,
    Json(body): Json<NewComment>,
) -> Result<Answer, Problem> {
    let (author, text) = both(caller.required_actor(body.actor.as_deref()), CommentText::new("text", &body.text))
        .map_err(|e| invalid(&e))?;
    let comment = body.id.unwrap_or_else(|| caller.new_id());
    let command = PostCommand::AddComment { comment, author: author.clone(), text };
    let outcome = give(&service, caller, post, (Some(author), command)).await?;
    Ok(Answer::made(outcome, comment, &format!("/posts/{post}/comments/{comment}")))
}

/// `PATCH /posts/{post}/comments/{comment}`.
pub(super) async fn edit_comment(
    State(service): State<Service>,
    Path((post, comment)): Path<(Uuid, Uuid)>,
    caller: Caller,
    Json(body): Json<NewText>,
) -> Result<Answer, Problem> {
    let (actor, text) = both(caller.required_actor(body.actor.as_deref()), CommentText::new("text", &body.text))
        .map_err(|e| invalid(&e))?;
    let command = PostCommand::EditComment { comment, actor: actor.clone(), text };
    give(&service, caller, post, (Some(actor), command)).await.map(Answer::done)
}

/// `DELETE /posts/{post}/comments/{comment}`.
pub(super) async fn remove_comment(
    State(service): State<Service>,
    Path((post, comment)): Path<(Uuid, Uuid)>,
    caller: Caller,
    OptionalJson(body): OptionalJson<Acting>,
) -> Result<Answer, Problem> {
    let actor = caller.required_actor(body.unwrap_or_default().actor.as_deref()).map_err(|e| invalid(&[e]))?;
    let command = PostCommand::RemoveComment { comment, actor: actor.clone() };
    give(&service, caller, post, (Some(actor), command)).await.map(Answer::done)
}

async fn give(
    service: &Service,
    caller: Caller,
    post: Uuid,
    (actor, command): (Option<Name>, PostCommand),
) -> Result<Outcome, Problem> {
    let stream = StreamId::new(&format!("post-{post}")).expect("a category and a UUID");
    let order = Order { stream, command, terms: caller.terms(actor.as_ref()) };
    service.mediator.dispatch::<Post>(&order).await.map_err(|error| refusal(&error))
}
