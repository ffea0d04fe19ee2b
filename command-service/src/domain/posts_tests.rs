//! Given these events, when this is asked, then that happens.

use proptest::prelude::*;

use super::*;

const FIRST: Uuid = Uuid::from_u128(1);
const SECOND: Uuid = Uuid::from_u128(2);

fn name(text: &str) -> Name {
    Name::new("actor", text).unwrap()
}

fn message(text: &str) -> Message {
    Message::new("message", text).unwrap()
}

fn text(text: &str) -> CommentText {
    CommentText::new("text", text).unwrap()
}

fn created() -> PostEvent {
    PostEvent::Created(Created { author: "Ada".into(), message: "Hello".into() })
}

fn comment_added(comment: Uuid, author: &str) -> PostEvent {
    PostEvent::CommentAdded(CommentAdded { comment, author: author.into(), text: "Nice".into() })
}

fn comment_removed(comment: Uuid) -> PostEvent {
    PostEvent::CommentRemoved(CommentRemoved { comment })
}

fn edit(actor: &str, said: &str) -> PostCommand {
    PostCommand::Edit { actor: name(actor), message: message(said) }
}

fn add_comment(comment: Uuid) -> PostCommand {
    PostCommand::AddComment { comment, author: name("Bob"), text: text("Nice") }
}

fn edit_comment(comment: Uuid, actor: &str, said: &str) -> PostCommand {
    PostCommand::EditComment { comment, actor: name(actor), text: text(said) }
}

fn remove_comment(comment: Uuid, actor: &str) -> PostCommand {
    PostCommand::RemoveComment { comment, actor: name(actor) }
}

fn every_command() -> Vec<PostCommand> {
    vec![
        PostCommand::Create { author: name("Ada"), message: message("Hello") },
        edit("Ada", "Other"),
        PostCommand::Like { by: None },
        add_comment(SECOND),
        edit_comment(FIRST, "Bob", "Other"),
        remove_comment(FIRST, "Bob"),
        PostCommand::Remove { actor: name("Ada") },
    ]
}

fn given(events: impl IntoIterator<Item = PostEvent>) -> Post {
    events.into_iter().fold(Post::default(), Post::evolve)
}

fn refused(state: &Post, command: &PostCommand) -> String {
    state.decide(command).unwrap_err().to_string()
}

#[test]
fn what_is_allowed_happens() {
    let with_comment = || vec![created(), comment_added(FIRST, "Bob")];
    let liked_by = |by: Option<&str>| PostEvent::Liked(Liked { by: by.map(Into::into) });
    let table = [
        (vec![], PostCommand::Create { author: name("Ada"), message: message("Hello") }, vec![created()]),
        (vec![created()], edit("Ada", "Bye"), vec![PostEvent::Edited(Edited { message: "Bye".into() })]),
        (vec![created()], edit("aDA", "Bye"), vec![PostEvent::Edited(Edited { message: "Bye".into() })]),
        (vec![created()], edit("Ada", "Hello"), vec![]),
        (vec![created()], PostCommand::Like { by: None }, vec![liked_by(None)]),
        (
            vec![created(), liked_by(Some("Bob"))],
            PostCommand::Like { by: Some(name("Bob")) },
            vec![liked_by(Some("Bob"))],
        ),
        (vec![created()], add_comment(FIRST), vec![comment_added(FIRST, "Bob")]),
        (
            with_comment(),
            edit_comment(FIRST, "BOB", "Hm"),
            vec![PostEvent::CommentEdited(CommentEdited { comment: FIRST, text: "Hm".into() })],
        ),
        (with_comment(), edit_comment(FIRST, "Bob", "Nice"), vec![]),
        (with_comment(), remove_comment(FIRST, "bob"), vec![comment_removed(FIRST)]),
        (with_comment(), PostCommand::Remove { actor: name("ADA") }, vec![PostEvent::Removed]),
    ];
    for (events, command, then) in table {
        assert_eq!(given(events).decide(&command).unwrap(), then, "{command:?}");
    }
}

#[test]
fn what_is_not_is_refused() {
    let with_comment = || vec![created(), comment_added(FIRST, "Bob")];
    let without_again = || vec![created(), comment_added(FIRST, "Bob"), comment_removed(FIRST)];
    let create = || PostCommand::Create { author: name("Ada"), message: message("Hello") };
    let table = [
        (vec![created()], create(), "a post with this id exists already"),
        (vec![created()], edit("Bob", "Bye"), "only its author may edit a post"),
        (vec![created()], PostCommand::Remove { actor: name("Bob") }, "only its author may remove a post"),
        (vec![created()], edit_comment(FIRST, "Bob", "Hm"), "there is no such comment"),
        (with_comment(), add_comment(FIRST), "a comment with this id exists already"),
        (with_comment(), edit_comment(FIRST, "Ada", "Hm"), "only the commenter may edit a comment"),
        (with_comment(), remove_comment(FIRST, "Ada"), "only the commenter may remove a comment"),
        (with_comment(), remove_comment(SECOND, "Bob"), "there is no such comment"),
        (without_again(), remove_comment(FIRST, "Bob"), "the comment was removed"),
        (without_again(), edit_comment(FIRST, "Bob", "Hm"), "the comment was removed"),
        (without_again(), add_comment(FIRST), "a comment with this id exists already"),
    ];
    for (events, command, then) in table {
        assert_eq!(refused(&given(events), &command), then, "{command:?}");
    }
}

#[test]
fn nothing_happens_to_a_post_that_is_not_there() {
    for command in every_command().iter().skip(1) {
        assert_eq!(refused(&Post::default(), command), "there is no such post");
    }
    let removed = given([created(), comment_added(FIRST, "Bob"), PostEvent::Removed]);
    for command in every_command() {
        assert_eq!(refused(&removed, &command), "the post was removed");
    }
}

#[test]
fn events_are_read_as_they_were_written() {
    let kinds = [
        (created(), r#"post-created {"author":"Ada","message":"Hello"}"#),
        (PostEvent::Edited(Edited { message: "x".into() }), r#"post-edited {"message":"x"}"#),
        (PostEvent::Liked(Liked { by: None }), "post-liked {}"),
        (
            comment_added(FIRST, "Bob"),
            r#"comment-added {"comment":"00000000-0000-0000-0000-000000000001","author":"Bob","text":"Nice"}"#,
        ),
        (
            PostEvent::CommentEdited(CommentEdited { comment: FIRST, text: "x".into() }),
            r#"comment-edited {"comment":"00000000-0000-0000-0000-000000000001","text":"x"}"#,
        ),
        (comment_removed(FIRST), r#"comment-removed {"comment":"00000000-0000-0000-0000-000000000001"}"#),
        (PostEvent::Removed, "post-removed {}"),
    ];
    for (event, written) in kinds {
        let payload = serde_json::to_string(&event.payload()).unwrap();
        assert_eq!(format!("{} {payload}", event.kind()), written);
        assert_eq!(PostEvent::read(event.kind(), &payload).unwrap(), Some(event));
    }
    assert_eq!(PostEvent::read("of-somebody-else", "[]").unwrap(), None);
    assert_eq!(PostEvent::read("post-created", "").unwrap(), None);
    assert_eq!(PostEvent::read("post-removed", "").unwrap(), Some(PostEvent::Removed));
    assert!(PostEvent::read("post-created", r#"{"author":5}"#).is_err());
}

fn any_event() -> impl Strategy<Value = PostEvent> {
    let comment = || (0..3u128).prop_map(Uuid::from_u128);
    let author = || "[abAB]";
    prop_oneof![
        (author(), ".*").prop_map(|(author, message)| PostEvent::Created(Created { author, message })),
        ".*".prop_map(|message| PostEvent::Edited(Edited { message })),
        Just(PostEvent::Liked(Liked::default())),
        (comment(), author(), ".*").prop_map(|(comment, author, text)| PostEvent::CommentAdded(CommentAdded {
            comment,
            author,
            text
        })),
        (comment(), ".*").prop_map(|(comment, text)| PostEvent::CommentEdited(CommentEdited { comment, text })),
        comment().prop_map(comment_removed),
        Just(PostEvent::Removed),
    ]
}

fn any_command() -> impl Strategy<Value = PostCommand> {
    let comment = || (0..3u128).prop_map(Uuid::from_u128);
    let actor = || "[abAB]".prop_map(|text| name(&text));
    let said = || "[a-z]{1,3}";
    prop_oneof![
        (actor(), said()).prop_map(|(author, said)| PostCommand::Create { author, message: message(&said) }),
        (actor(), said()).prop_map(|(actor, said)| PostCommand::Edit { actor, message: message(&said) }),
        prop::option::of(actor()).prop_map(|by| PostCommand::Like { by }),
        (comment(), actor(), said()).prop_map(|(comment, author, said)| PostCommand::AddComment {
            comment,
            author,
            text: text(&said)
        }),
        (comment(), actor(), said()).prop_map(|(comment, actor, said)| PostCommand::EditComment {
            comment,
            actor,
            text: text(&said)
        }),
        (comment(), actor()).prop_map(|(comment, actor)| PostCommand::RemoveComment { comment, actor }),
        actor().prop_map(|actor| PostCommand::Remove { actor }),
    ]
}

proptest! {
    /// Whatever somebody appended to the stream, folding and deciding end; and a removed post stays removed.
    #[test]
    fn any_history_can_be_folded(events in prop::collection::vec(any_event(), 0..20), more in any_event(), command in any_command()) {
        let state = given(events);
        let was_removed = state == Post::Removed;
        let decided = state.decide(&command);
        if was_removed {
            prop_assert_eq!(decided, Err(Rejection::Removed("post")));
            prop_assert_eq!(state.evolve(more), Post::Removed);
        }
    }

    /// What was decided changes the state (but for a like), and giving the same edit again changes nothing more.
    #[test]
    fn decisions_take_effect(commands in prop::collection::vec(any_command(), 1..30)) {
        let mut state = Post::default();
        for command in commands {
            let Ok(events) = state.decide(&command) else { continue };
            let after = events.iter().cloned().fold(state.clone(), Post::evolve);
            let like = matches!(command, PostCommand::Like { .. });
            prop_assert_eq!(after == state, events.is_empty() || like);
            if matches!(command, PostCommand::Edit { .. } | PostCommand::EditComment { .. }) {
                prop_assert_eq!(after.decide(&command), Ok(vec![]));
            }
            state = after;
        }
    }
}
