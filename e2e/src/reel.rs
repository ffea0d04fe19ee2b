//! A Reel of one's own: the binary started on a data directory, spoken to by its own verbs and over HTTP, stopped or killed.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::binary;
use crate::deadline::{PATIENCE, until};

/// Whatever port is free.
const ANY_PORT: &str = "127.0.0.1:0";

/// What `reel up`, or one process of `reel serve`, is to be started with.
pub struct Up {
    command: Command,
    listen: String,
}

impl Up {
    /// On `data`, at a free port.
    #[must_use]
    pub fn on(data: &Path) -> Up {
        let mut command = reel();
        command.arg("up").arg("--data").arg(data);
        Up { command, listen: ANY_PORT.to_owned() }
    }

    /// One process alone (`host`), on `data`, at a free port.
    #[must_use]
    pub fn serve(process: &str, data: &Path) -> Up {
        let mut command = reel();
        command.args(["serve", process]).arg("--data").arg(data);
        Up { command, listen: ANY_PORT.to_owned() }
    }

    /// At this address (`127.0.0.1:7070`) instead of a free port.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Up {
        address.clone_into(&mut self.listen);
        self
    }

    /// With one more argument or two.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Up {
        self.command.args(arguments);
        self
    }

    /// With a read database, if it is not the default one.
    #[must_use]
    pub fn target(self, url: Option<&str>) -> Up {
        match url {
            Some(url) => self.with(&["--target", url]),
            None => self,
        }
    }

    /// With a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Up {
        self.command.env(name, value);
        self
    }

    /// With files that can grow no larger than so many blocks of 512 bytes: how a full disk looks to whoever writes.
    #[must_use]
    pub fn largest_file(mut self, blocks: u32) -> Up {
        let up = self.command.as_std();
        let mut limited = reel_by("sh");
        // The signal that comes with a write beyond the limit is not wanted, the error is.
        limited.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")).arg(up.get_program());
        limited.args(up.get_args());
        self.command = limited;
        self
    }

    /// Starts it, and waits until it serves.
    ///
    /// # Panics
    /// Where it ends instead.
    pub async fn start(self) -> Reel {
        self.start_until("serving ").await
    }

    /// Starts it, and waits until it listens: it need not be ready.
    ///
    /// # Panics
    /// Where it ends instead.
    pub async fn start_to_listen(self) -> Reel {
        self.start_until("listening on ").await
    }

    async fn start_until(self, said: &str) -> Reel {
        let mut command = self.command;
        let mut child = command
            .args(["--listen", &self.listen])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("it is piped");
        let kept = Arc::clone(&log);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = kept.lock().expect("nobody panics while holding it");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut reel = Reel { child, url: String::new(), token: None, log, http: client() };
        reel.url = until(said, async || {
            let log = reel.log();
            let ended = reel.child.try_wait().expect("it is our child");
            assert!(ended.is_none(), "it ended with {ended:?}:\n{log}");
            let at = log.split_once(said)?.1;
            at.split(['"', ' ', '\n']).next().map(str::to_owned)
        })
        .await;
        reel
    }

    /// Starts what must not serve, and waits for its end.
    ///
    /// # Panics
    /// Where it does not end.
    pub async fn ends(mut self) -> Ran {
        finish(self.command.args(["--listen", &self.listen]), b"").await
    }
}

/// A Reel that runs; killed when it is dropped.
pub struct Reel {
    child: Child,
    /// Where it listens.
    pub url: String,
    /// The token that verbs and requests bring.
    pub token: Option<String>,
    log: Arc<Mutex<String>>,
    http: reqwest::Client,
}

/// What a verb came to.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said besides.
    pub stderr: String,
}

/// What a request was answered with.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, JSON; null where it is none.
    pub body: Value,
}

impl Answer {
    /// A header, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The rows of a read.
    ///
    /// # Panics
    /// Where the answer is another.
    #[must_use]
    pub fn rows(&self) -> &[Value] {
        self.body.as_array().unwrap_or_else(|| panic!("no rows: {self:?}"))
    }
}

impl Reel {
    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().expect("nobody panics while holding it").clone()
    }

    /// SIGKILL.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it is our child");
    }

    /// The number of its process.
    #[must_use]
    pub fn process_number(&self) -> String {
        self.child.id().expect("it runs").to_string()
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// SIGTERM, and waits for the end.
    pub async fn stop(mut self) -> ExitStatus {
        self.ends_in_order().await
    }

    /// The same, and its log can still be read.
    pub async fn ends_in_order(&mut self) -> ExitStatus {
        let id = self.process_number();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.expect("kill can be started");
        assert!(sent.success(), "SIGTERM could not be sent");
        timeout(PATIENCE, self.child.wait()).await.expect("it ends when it is told to").expect("it is our child")
    }

    /// A verb, to be run here.
    #[must_use]
    pub fn verb<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = reel();
        command.args(arguments).env("REEL_URL", &self.url);
        if let Some(token) = &self.token {
            command.env("REEL_TOKEN", token);
        }
        command
    }

    /// Runs a verb to its end.
    pub async fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        finish(&mut self.verb(arguments), b"").await
    }

    /// Runs a verb with something to read.
    pub async fn run_with<S: AsRef<OsStr>>(&self, arguments: &[S], stdin: &[u8]) -> Ran {
        finish(&mut self.verb(arguments), stdin).await
    }

    /// Runs a verb that must do what it is asked; what it printed.
    ///
    /// # Panics
    /// Where it fails.
    pub async fn ok<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        let shown: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
        let ran = self.run(arguments).await;
        assert_eq!(ran.code, 0, "reel {}: {}\nreel up says:\n{}", shown.join(" "), ran.stderr, self.log());
        ran.stdout
    }

    /// Runs a verb that must do what it is asked, with `--json`; the documents it printed.
    pub async fn json<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Vec<Value> {
        let mut all: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        all.push(OsStr::new("--json"));
        let stream = serde_json::Deserializer::from_str(&self.ok(&all).await).into_iter().collect::<Result<_, _>>();
        stream.expect("--json prints JSON")
    }

    /// Deploys a component, and waits until it is live.
    pub async fn deploy(&self, component: &Path, more: &[&str]) -> Value {
        let mut arguments = vec![OsStr::new("deploy"), component.as_os_str(), OsStr::new("--wait")];
        arguments.extend(more.iter().map(OsStr::new));
        self.json(&arguments).await.remove(0)
    }

    /// Deploys a component, and does not wait.
    pub async fn deploy_only(&self, component: &Path, more: &[&str]) -> Ran {
        let mut arguments = vec![OsStr::new("deploy"), component.as_os_str()];
        arguments.extend(more.iter().map(OsStr::new));
        self.run(&arguments).await
    }

    /// Rows by `reel query`.
    pub async fn query(&self, projection: &str, table: &str, query: &str) -> Vec<Value> {
        let mut documents = self.json(&["query", projection, table, query]).await;
        match documents.remove(0) {
            Value::Array(rows) => rows,
            other => panic!("{projection} {table}: no rows: {other}"),
        }
    }

    /// The status of one generation (`posts@2`), or of the newest of a projection.
    pub async fn status(&self, named: &str) -> Value {
        self.json(&["status", named]).await.pop().expect("it is there")
    }

    /// Waits until a generation's status is as wanted.
    pub async fn until_status(&self, named: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/admin/v1/projections/{named}");
        let mut last = Value::Null;
        let began = std::time::Instant::now();
        loop {
            let answer = self.get(&path).await;
            if let Some(status) = answer.body.as_array().and_then(|all| all.last()) {
                if wanted(status) {
                    return status.clone();
                }
                last = status.clone();
            }
            assert!(began.elapsed() < PATIENCE, "{named} does not get there: {last}\nreel up says:\n{}", self.log());
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// A request.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Reads a path.
    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    /// Gives a command; it must be taken.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn command(&self, method: Method, path: &str, body: &Value) -> Value {
        let given = answer(self.request(method, &format!("/commands/v1{path}")).json(body)).await;
        assert!(given.status.is_success(), "{path}: {given:?}");
        given.body
    }
}

/// Sends a request.
///
/// # Panics
/// Where nobody answers.
pub async fn answer(request: RequestBuilder) -> Answer {
    try_answer(request).await.expect("reel answers")
}

/// Sends a request.
///
/// # Errors
/// Where nobody answers.
pub async fn try_answer(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
    Ok(Answer { status, headers, body })
}

/// The binary, without what the environment says about Reel.
#[must_use]
pub fn reel() -> Command {
    reel_by(binary::reel())
}

fn reel_by(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REEL_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").current_dir(binary::repository()).kill_on_drop(true);
    command
}

/// Runs a command to its end.
///
/// # Panics
/// Where it does not end.
pub async fn finish(command: &mut Command, stdin: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut pipe = child.stdin.take().expect("it is piped");
    let stdin = stdin.to_vec();
    let writing = tokio::spawn(async move {
        // Whoever reads no further has said why.
        let _ = pipe.write_all(&stdin).await;
    });
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("the verb ends").expect("it is our child");
    writing.abort();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("reel prints UTF-8");
    Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client without TLS needs nothing from outside")
}
