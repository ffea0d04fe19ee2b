//! `reel demo`: the tour. Everything is what a user would do: the examples are built and deployed, posts are written over HTTP, rows
//! are read, the log is replayed through another plugin.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::args::Demo;
use crate::client::{Client, escape};
use crate::config::{self, Topic};
use crate::error::CliError;
use crate::print;
use crate::processes::{Process, Running, stop_signal};
use crate::verbs::plugin;

/// How long a step of the tour may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The file that marks a data directory as one of ours, to be emptied at the next tour.
const MARK: &str = "made-by-reel-demo";

pub(crate) async fn run(demo: Demo) -> Result<(), CliError> {
    let config = config::load(&demo.flags, Process::Up)?;
    if let Topic::Foreign(url) = &config.topic {
        return Err(CliError::Usage(format!(
            "the demo writes posts, and {url} is another producer's topic: leave it out"
        )));
    }
    let examples = find_examples()?;
    empty(&config.data)?;
    step("Building the example plugins: Rust → WebAssembly components")?;
    let mut components = Vec::new();
    for name in ["posts", "posts-v2", "todos"] {
        let component = plugin::build(&examples.join(name)).await?;
        let bytes = std::fs::read(&component)
            .map_err(|error| CliError::caused(format!("{} cannot be read", component.display()), error))?;
        print::line(&format!("  {name}: {} kB", bytes.len() / 1000))?;
        components.push(bytes);
    }
    let token = config.token.as_ref().map(|secret| secret.0.clone());
    let running = Running::start(Process::Up, config).await?;
    let tour = Tour {
        client: Client::at(&format!("http://{}", running.address), token),
        address: running.address.to_string(),
    };
    tour.go(&components).await?;
    if !demo.exit {
        print::line("\nServing until Ctrl-C.")?;
        stop_signal().await;
    }
    running.stop().await;
    Ok(())
}

fn step(what: &str) -> Result<(), CliError> {
    print::line(&format!("\n▸ {what}"))
}

/// The folder of the example projections, here or further up.
fn find_examples() -> Result<PathBuf, CliError> {
    let here =
        std::env::current_dir().map_err(|error| CliError::caused("the current directory cannot be read", error))?;
    let found = here.ancestors().map(|dir| dir.join("projections")).find(|dir| dir.join("posts/Cargo.toml").exists());
    found.ok_or_else(|| {
        CliError::NotFound("the demo builds the examples in projections/: run it inside Reel's repository".into())
    })
}

/// The tour begins with nothing; what an earlier tour left is removed, what anybody else left is not.
fn empty(data: &Path) -> Result<(), CliError> {
    let shown = data.display();
    let caused = |error| CliError::caused(format!("the data directory {shown} cannot be prepared"), error);
    if data.join(MARK).exists() {
        std::fs::remove_dir_all(data).map_err(caused)?;
    }
    std::fs::create_dir_all(data).map_err(caused)?;
    if std::fs::read_dir(data).map_err(caused)?.next().is_some() {
        return Err(CliError::Conflict(format!(
            "{shown} holds data that is not the demo's: give the demo its own --data DIR"
        )));
    }
    std::fs::write(data.join(MARK), "`reel demo` empties this directory when it begins.\n").map_err(caused)
}

struct Tour {
    client: Client,
    address: String,
}

impl Tour {
    async fn go(&self, components: &[Vec<u8>]) -> Result<(), CliError> {
        let [posts, posts_v2, todos] = components else { unreachable!("three are built") };
        step("Deploying posts and todos")?;
        self.deploy("/admin/v1/projections", posts).await?;
        self.deploy("/admin/v1/projections", todos).await?;
        step("Writing posts, comments and likes over HTTP")?;
        let token = self.write().await?;
        step("The rows that the plugin made of them")?;
        self.show("posts", "posts", "select=author,message,likes,comments&order=likes.desc", &token).await?;
        self.show("posts", "comments", "select=author,text&order=commented_at,id", &token).await?;
        self.show("todos", "todos", "select=owner,title,completed&order=title", &token).await?;
        step("Replaying the same events through another plugin: posts-v2")?;
        self.deploy("/admin/v1/projections/posts/replay", posts_v2).await?;
        step("The new rows, under the same name; nobody saw a half-built table")?;
        self.show("posts", "posts", "select=author,message,score,latest_comments&order=score.desc", &token).await?;
        self.show("posts", "authors", "order=likes.desc,name", &token).await?;
        step("The old ones beside them: `reel rollback posts` is one flip, exact to the event")?;
        self.show("posts@1", "posts", "select=author,message,likes,comments&order=likes.desc", &token).await?;
        self.where_to_look()
    }

    async fn deploy(&self, path: &str, component: &[u8]) -> Result<(), CliError> {
        let began = Instant::now();
        let answer: Value =
            self.client.json(self.client.request(Method::POST, path, &[]).body(component.to_vec())).await?;
        let generation = answer["generation"].as_str().unwrap_or_default().to_owned();
        let path = format!("/admin/v1/projections/{}", escape(&generation));
        loop {
            let statuses: Vec<Value> = self.client.json(self.client.request(Method::GET, &path, &[])).await?;
            let status = statuses.first().cloned().unwrap_or_default();
            if status["state"] == "live" {
                break;
            }
            if status["condition"] == "halted" || began.elapsed() > PATIENCE {
                return Err(CliError::Failed(format!(
                    "{generation} did not go live: {}",
                    status["problem"]["message"]
                )));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        print::line(&format!("  {generation} is live after {} ms", began.elapsed().as_millis()))
    }

    /// Writes what the tour shows; answers with the token of the last command.
    async fn write(&self) -> Result<String, CliError> {
        let hello = self.post("ann", "Event sourcing without a rebuild weekend").await?;
        let flip = self.post("bob", "Flip, look, flip back").await?;
        for (author, text) in [("cleo", "Does it replay?"), ("bob", "In seconds."), ("ann", "And back again.")] {
            self.command(&format!("/posts/{hello}/comments"), json!({ "author": author, "text": text })).await?;
        }
        self.command(&format!("/posts/{flip}/comments"), json!({ "author": "ann", "text": "Nice." })).await?;
        for (post, likes) in [(&hello, 5), (&flip, 2)] {
            for _ in 0..likes {
                self.command(&format!("/posts/{post}/likes"), json!({})).await?;
            }
        }
        let todo = self.command("/todos", json!({ "title": "Write a projection", "owner": "ann" })).await?;
        let todo = key(&todo);
        self.command("/todos", json!({ "title": "Replay it", "owner": "bob" })).await?;
        let last = self.command(&format!("/todos/{todo}/complete"), json!({})).await?;
        let position = &last["position"];
        print::line(&format!("  the log ends at position {position}"))?;
        Ok(last["token"].as_str().unwrap_or_default().to_owned())
    }

    async fn post(&self, author: &str, message: &str) -> Result<String, CliError> {
        Ok(key(&self.command("/posts", json!({ "author": author, "message": message })).await?))
    }

    async fn command(&self, path: &str, body: Value) -> Result<Value, CliError> {
        self.client.json(self.client.request(Method::POST, &format!("/commands/v1{path}"), &[]).json(&body)).await
    }

    async fn show(&self, projection: &str, table: &str, query: &str, token: &str) -> Result<(), CliError> {
        let path = format!("/read/v1/{projection}/{table}?{query}");
        let request = self.client.request(Method::GET, &path, &[]).header("Reel-Wait-For", token);
        let rows: Vec<crate::verbs::query::Ordered> = self.client.json(request).await?;
        print::line(&format!("\n  GET /read/v1/{projection}/{table}?{query}"))?;
        if rows.is_empty() {
            return print::line("  (no rows)");
        }
        crate::verbs::query::Ordered::show(&rows)
    }

    fn where_to_look(&self) -> Result<(), CliError> {
        let at = &self.address;
        step("Look around")?;
        print::line(&format!("  http://{at}/read/v1/posts/posts?order=score.desc"))?;
        print::line(&format!("  http://{at}/admin/v1/projections"))?;
        let url = if at == "127.0.0.1:7070" { String::new() } else { format!(" --url http://{at}") };
        print::line(&format!("  reel status{url}    reel rollback posts{url}    reel query posts posts{url}"))
    }
}

/// The key of the stream that a command answered with.
fn key(answer: &Value) -> String {
    let stream = answer["stream"].as_str().unwrap_or_default();
    stream.split_once('-').map_or(stream, |(_, key)| key).to_owned()
}
