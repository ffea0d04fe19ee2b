//! An import whose command service or event store goes away half-way and comes back: it goes on by itself, and every event is in the log
//! once.

use std::process::Stdio;

use reel_e2e::database;
use reel_e2e::deadline::{PATIENCE, until};
use reel_e2e::gate::Gate;
use reel_e2e::history;
use reel_e2e::reel::{Reel, Up};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin};
use tokio::time::timeout;
use uuid::Uuid;

/// So many events: some parts of an import.
const EVENTS: usize = 14_000;

/// `reel import -` that runs, and has been given the first half of the events.
struct Importing {
    child: Child,
    stdin: Option<ChildStdin>,
    stderr: Lines<BufReader<ChildStderr>>,
    rest: Vec<u8>,
    all: Vec<u8>,
}

impl Importing {
    /// Some of it is in the log.
    async fn half(reel: &Reel) -> Importing {
        let lines = &history::lines()[..EVENTS];
        let (first, rest) = lines.split_at(EVENTS / 2);
        let text = |lines: &[String]| lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
        let (first, rest, all): (Vec<u8>, Vec<u8>, Vec<u8>) = (text(first), text(rest), text(lines));
        let mut verb = reel.verb(&["import", "-"]);
        let mut child = verb.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        timeout(PATIENCE, stdin.write_all(&first)).await.unwrap().unwrap();
        until("events in the log", async || (head(reel).await > 0).then_some(())).await;
        Importing { child, stdin: Some(stdin), stderr, rest, all }
    }

    /// Is given the rest, and says that it sends again.
    async fn goes_on(&mut self) {
        let (mut stdin, rest) = (self.stdin.take().unwrap(), std::mem::take(&mut self.rest));
        tokio::spawn(async move {
            // What it does not read is missing from the log.
            let _ = stdin.write_all(&rest).await;
        });
        let said = timeout(PATIENCE, self.stderr.next_line()).await.unwrap().unwrap();
        let Some(said) = said else { panic!("it ended: {:?}", self.child.wait().await) };
        assert!(said.contains("the rest is sent again"), "{said}");
    }

    /// Has come to a good end, and every event is in the log once.
    async fn ends_well(self, reel: &Reel) {
        let ended = timeout(PATIENCE, self.child.wait_with_output()).await.unwrap().unwrap();
        let said = String::from_utf8(ended.stdout).unwrap();
        assert!(ended.status.success() && said.contains("ends at position 14000"), "{said}");
        assert_eq!(head(reel).await, EVENTS as u64);
        let again = reel.run_with(&["import", "-"], &self.all).await;
        assert!(again.stdout.starts_with("nothing to do"), "{again:?}");
    }
}

async fn head(reel: &Reel) -> u64 {
    reel.get("/commands/v1/head").await.body["position"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_outlives_a_command_service_that_is_killed() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    let address = reel.url.strip_prefix("http://").unwrap().to_owned();
    let mut import = Importing::half(&reel).await;
    reel.kill().await;
    import.goes_on().await;
    let reel = Up::on(data.path()).listen(&address).start().await;
    import.ends_well(&reel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_outlives_an_event_store_that_goes_away() {
    let Some(server) = database::server("mongodb", "REEL_TEST_MONGODB") else {
        return println!("passed over: REEL_TEST_MONGODB is not set");
    };
    let mut gate = Gate::to(server.strip_prefix("mongodb://").unwrap()).await;
    let store = format!(
        "mongodb://{}/import-{}?reel-standalone=true&directConnection=true",
        gate.address,
        Uuid::new_v4().simple()
    );
    let data = tempfile::tempdir().unwrap();
    let reel = Up::serve("command-service", data.path()).with(&["--store", &store]).start().await;
    let mut import = Importing::half(&reel).await;
    gate.shut().await;
    import.goes_on().await;
    gate.open().await;
    import.ends_well(&reel).await;
}
