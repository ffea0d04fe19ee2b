//! Posts and their comments: streams `post-<uuid>`. Rules: only the author edits or removes a post, only the commenter edits or
//! removes a comment, nothing happens to a removed post, a like counts once for each call.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Aggregate, DomainEvent, Rejection, payload_of,
    text::{Name, Text, folded},
};

/// What a post says.
pub type Message = Text<10_000>;
/// What a comment says.
pub type CommentText = Text<4_000>;

/// What can be asked of a post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are named for what they are")]
pub enum PostCommand {
    /// Write it.
    Create { author: Name, message: Message },
    /// Write it anew.
    Edit { actor: Name, message: Message },
    /// Like it, once more.
    Like { by: Option<Name> },
    /// Comment on it.
    AddComment { comment: Uuid, author: Name, text: CommentText },
    /// Write a comment anew.
    EditComment { comment: Uuid, actor: Name, text: CommentText },
    /// Take a comment away.
    RemoveComment { comment: Uuid, actor: Name },
    /// Take it away, comments and all.
    Remove { actor: Name },
}

/// What can happen to a post. The fields are those of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostEvent {
    /// `post-created`.
    Created(Created),
    /// `post-edited`.
    Edited(Edited),
    /// `post-liked`.
    Liked(Liked),
    /// `comment-added`.
    CommentAdded(CommentAdded),
    /// `comment-edited`.
    CommentEdited(CommentEdited),
    /// `comment-removed`.
    CommentRemoved(CommentRemoved),
    /// `post-removed`.
    Removed,
}

/// Payload of `post-created`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are named for what they are")]
pub struct Created {
    pub author: String,
    pub message: String,
}

/// Payload of `post-edited`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are named for what they are")]
pub struct Edited {
    pub message: String,
}

/// Payload of `post-liked`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Liked {
    /// Who likes it, where they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Payload of `comment-added`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are named for what they are")]
pub struct CommentAdded {
    pub comment: Uuid,
    pub author: String,
    pub text: String,
}

/// Payload of `comment-edited`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are named for what they are")]
pub struct CommentEdited {
    pub comment: Uuid,
    pub text: String,
}

/// Payload of `comment-removed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are named for what they are")]
pub struct CommentRemoved {
    pub comment: Uuid,
}

/// The payload of any post event, as it is written.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "one variant for each payload")]
pub enum PostPayload<'a> {
    Created(&'a Created),
    Edited(&'a Edited),
    Liked(&'a Liked),
    CommentAdded(&'a CommentAdded),
    CommentEdited(&'a CommentEdited),
    CommentRemoved(&'a CommentRemoved),
    Removed {},
}

impl DomainEvent for PostEvent {
    type Payload<'a> = PostPayload<'a>;

    fn kind(&self) -> &'static str {
        match self {
            PostEvent::Created(_) => "post-created",
            PostEvent::Edited(_) => "post-edited",
            PostEvent::Liked(_) => "post-liked",
            PostEvent::CommentAdded(_) => "comment-added",
            PostEvent::CommentEdited(_) => "comment-edited",
            PostEvent::CommentRemoved(_) => "comment-removed",
            PostEvent::Removed => "post-removed",
        }
    }

    fn payload(&self) -> PostPayload<'_> {
        match self {
            PostEvent::Created(payload) => PostPayload::Created(payload),
            PostEvent::Edited(payload) => PostPayload::Edited(payload),
            PostEvent::Liked(payload) => PostPayload::Liked(payload),
            PostEvent::CommentAdded(payload) => PostPayload::CommentAdded(payload),
            PostEvent::CommentEdited(payload) => PostPayload::CommentEdited(payload),
            PostEvent::CommentRemoved(payload) => PostPayload::CommentRemoved(payload),
            PostEvent::Removed => PostPayload::Removed {},
        }
    }

    fn read(kind: &str, payload: &str) -> Result<Option<PostEvent>, serde_json::Error> {
        Ok(match kind {
            "post-created" => payload_of(payload)?.map(PostEvent::Created),
            "post-edited" => payload_of(payload)?.map(PostEvent::Edited),
            // Decides nothing, so what it says does not matter here.
            "post-liked" => Some(PostEvent::Liked(Liked::default())),
            "comment-added" => payload_of(payload)?.map(PostEvent::CommentAdded),
            "comment-edited" => payload_of(payload)?.map(PostEvent::CommentEdited),
            "comment-removed" => payload_of(payload)?.map(PostEvent::CommentRemoved),
            "post-removed" => Some(PostEvent::Removed),
            _ => None,
        })
    }
}

/// What the rules need to know of a post.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Post {
    /// Not written yet.
    #[default]
    Absent,
    /// There to be acted on.
    Live(LivePost),
    /// Gone for good.
    Removed,
}

/// What a name takes beside its place, as names are.
const NAME_BYTES: usize = 32;

/// A post that is there. Texts are kept as digests: enough to see that an edit changes nothing, whatever their length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePost {
    author: String,
    message: blake3::Hash,
    /// None = removed; its id is not taken again.
    comments: HashMap<Uuid, Option<Comment>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comment {
    author: String,
    text: blake3::Hash,
}

impl Aggregate for Post {
    const CATEGORY: &'static str = "post";
    type Command = PostCommand;
    type Event = PostEvent;

    fn evolve(self, event: PostEvent) -> Post {
        match (self, event) {
            (Post::Absent, PostEvent::Created(Created { author, message })) => {
                Post::Live(LivePost { author: folded(&author), message: digest(&message), comments: HashMap::new() })
            }
            (Post::Live(_), PostEvent::Removed) => Post::Removed,
            (Post::Live(post), event) => Post::Live(post.evolve(event)),
            (state, _) => state,
        }
    }

    fn decide(&self, command: &PostCommand) -> Result<Vec<PostEvent>, Rejection> {
        match (self, command) {
            (Post::Absent, PostCommand::Create { author, message }) => Ok(vec![PostEvent::Created(Created {
                author: author.as_str().into(),
                message: message.as_str().into(),
            })]),
            (Post::Absent, _) => Err(Rejection::NotFound("post")),
            (Post::Removed, _) => Err(Rejection::Removed("post")),
            (Post::Live(post), command) => post.decide(command).map(|event| event.into_iter().collect()),
        }
    }

    fn bytes(&self) -> usize {
        let comments = match self {
            Post::Live(post) => post.comments.capacity(),
            Post::Absent | Post::Removed => 0,
        };
        size_of::<Post>() + comments * (size_of::<(Uuid, Option<Comment>)>() + NAME_BYTES)
    }
}

impl LivePost {
    fn evolve(mut self, event: PostEvent) -> LivePost {
        match event {
            PostEvent::Edited(Edited { message }) => self.message = digest(&message),
            PostEvent::CommentAdded(CommentAdded { comment, author, text }) => {
                let added = Comment { author: folded(&author), text: digest(&text) };
                self.comments.entry(comment).or_insert(Some(added));
            }
            PostEvent::CommentEdited(CommentEdited { comment, text }) => {
                if let Some(Some(found)) = self.comments.get_mut(&comment) {
                    found.text = digest(&text);
                }
            }
            PostEvent::CommentRemoved(CommentRemoved { comment }) => {
                self.comments.entry(comment).and_modify(|found| *found = None);
            }
            PostEvent::Created(_) | PostEvent::Liked(_) | PostEvent::Removed => {}
        }
        self
    }

    fn decide(&self, command: &PostCommand) -> Result<Option<PostEvent>, Rejection> {
        match command {
            PostCommand::Create { .. } => Err(Rejection::Exists("post")),
            PostCommand::Edit { actor, message } => self.edit(actor, message),
            PostCommand::Like { by } => {
                Ok(Some(PostEvent::Liked(Liked { by: by.as_ref().map(|name| name.as_str().into()) })))
            }
            PostCommand::AddComment { comment, author, text } => self.add_comment(*comment, author, text),
            PostCommand::EditComment { comment, actor, text } => self.edit_comment(*comment, actor, text),
            PostCommand::RemoveComment { comment, actor } => {
                self.own_comment(*comment, actor, "remove a comment")?;
                Ok(Some(PostEvent::CommentRemoved(CommentRemoved { comment: *comment })))
            }
            PostCommand::Remove { actor } => {
                self.only_author(actor, "remove a post")?;
                Ok(Some(PostEvent::Removed))
            }
        }
    }

    fn edit(&self, actor: &Name, message: &Message) -> Result<Option<PostEvent>, Rejection> {
        self.only_author(actor, "edit a post")?;
        let changed = digest(message.as_str()) != self.message;
        Ok(changed.then(|| PostEvent::Edited(Edited { message: message.as_str().into() })))
    }

    fn add_comment(&self, comment: Uuid, author: &Name, text: &CommentText) -> Result<Option<PostEvent>, Rejection> {
        if self.comments.contains_key(&comment) {
            return Err(Rejection::Exists("comment"));
        }
        let (author, text) = (author.as_str().into(), text.as_str().into());
        Ok(Some(PostEvent::CommentAdded(CommentAdded { comment, author, text })))
    }

    fn edit_comment(&self, comment: Uuid, actor: &Name, text: &CommentText) -> Result<Option<PostEvent>, Rejection> {
        let found = self.own_comment(comment, actor, "edit a comment")?;
        let changed = digest(text.as_str()) != found.text;
        Ok(changed.then(|| PostEvent::CommentEdited(CommentEdited { comment, text: text.as_str().into() })))
    }

    fn only_author(&self, actor: &Name, what: &'static str) -> Result<(), Rejection> {
        let allowed = folded(actor.as_str()) == self.author;
        if allowed { Ok(()) } else { Err(Rejection::Forbidden { who: "its author", what }) }
    }

    fn own_comment(&self, comment: Uuid, actor: &Name, what: &'static str) -> Result<&Comment, Rejection> {
        let found = self.comments.get(&comment).ok_or(Rejection::NotFound("comment"))?;
        let found = found.as_ref().ok_or(Rejection::Removed("comment"))?;
        let allowed = folded(actor.as_str()) == found.author;
        if allowed { Ok(found) } else { Err(Rejection::Forbidden { who: "the commenter", what }) }
    }
}

fn digest(text: &str) -> blake3::Hash {
    blake3::hash(text.as_bytes())
}

#[cfg(test)]
#[path = "posts_tests.rs"]
mod tests;
