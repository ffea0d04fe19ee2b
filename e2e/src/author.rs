//! Somebody who writes posts and comments over HTTP, and keeps the token of the last command.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::dice::Dice;
use crate::reel::Reel;

/// An author, with what they wrote and did not remove.
pub struct Author {
    reel: Arc<Reel>,
    name: &'static str,
    dice: Dice,
    posts: Vec<String>,
    comments: Vec<(String, String)>,
    /// Of the last command.
    pub token: String,
}

impl Author {
    /// Somebody who has written nothing yet; what they will write, the seed that is printed decides.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "whoever looks at a failed test needs the seed")]
    pub fn new(reel: Arc<Reel>, name: &'static str) -> Author {
        let dice = Dice::new();
        println!("{name}: REEL_TEST_SEED={}", dice.seed);
        Author { reel, name, dice, posts: Vec::new(), comments: Vec::new(), token: String::new() }
    }

    /// Writes until it is told to stop.
    pub async fn goes_on_until(mut self, stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            self.adds_something().await;
        }
    }

    /// A post, a comment, a like, an edit: nothing by which a count goes back.
    pub async fn adds_something(&mut self) {
        let text = format!("Häuser №{} \"quoted\"\n", self.dice.below(1_000_000));
        match self.dice.below(10) {
            _ if self.posts.is_empty() => self.posts(&text).await,
            0 => self.posts(&text).await,
            1..4 => {
                let post = self.any_post();
                let made = self
                    .gives(
                        Method::POST,
                        &format!("/posts/{post}/comments"),
                        json!({ "author": self.name, "text": text }),
                    )
                    .await;
                self.comments.push((post, member(&made, "id").to_owned()));
            }
            4 if !self.comments.is_empty() => {
                let place = self.dice.below(self.comments.len() as u64) as usize;
                let path = format!("/posts/{}/comments/{}", self.comments[place].0, self.comments[place].1);
                self.gives(Method::PATCH, &path, json!({ "actor": self.name, "text": text })).await;
            }
            5 => {
                let path = format!("/posts/{}", self.any_post());
                self.gives(Method::PATCH, &path, json!({ "actor": self.name, "message": text })).await;
            }
            _ => {
                let path = format!("/posts/{}/likes", self.any_post());
                self.gives(Method::POST, &path, json!({})).await;
            }
        }
    }

    /// A comment of one's own; now and then a post with all its comments.
    pub async fn removes_something(&mut self) {
        if self.dice.below(8) == 0 && self.posts.len() > 1 {
            let place = self.dice.below(self.posts.len() as u64) as usize;
            let post = self.posts.swap_remove(place);
            self.comments.retain(|(of, _)| *of != post);
            self.gives(Method::DELETE, &format!("/posts/{post}"), json!({ "actor": self.name })).await;
        } else if !self.comments.is_empty() {
            let place = self.dice.below(self.comments.len() as u64) as usize;
            let (post, comment) = self.comments.swap_remove(place);
            self.gives(Method::DELETE, &format!("/posts/{post}/comments/{comment}"), json!({ "actor": self.name }))
                .await;
        }
    }

    async fn posts(&mut self, text: &str) {
        let made = self.gives(Method::POST, "/posts", json!({ "author": self.name, "message": text })).await;
        self.posts.push(member(&made, "id").to_owned());
    }

    fn any_post(&mut self) -> String {
        let place = self.dice.below(self.posts.len() as u64) as usize;
        self.posts[place].clone()
    }

    async fn gives(&mut self, method: Method, path: &str, body: Value) -> Value {
        let done = self.reel.command(method, path, &body).await;
        self.token = member(&done, "token").to_owned();
        done
    }
}

fn member<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("an answer without {name}: {answer}"))
}
