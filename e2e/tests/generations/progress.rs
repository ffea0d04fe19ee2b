//! What a build says of itself while it goes on: in `status`, for people and for programs, and in the metrics.

use reel_e2e::components::example;
use reel_e2e::deadline::until;
use reel_e2e::place::Place;
use reqwest::Method;
use serde_json::{Value, json};

/// Posts whose rows take some MiB.
fn posts() -> String {
    let post = |number: u64| {
        json!({
            "specversion": "1.0", "id": uuid::Uuid::from_u128(u128::from(number) + 1), "source": "test",
            "type": "post-created", "subject": format!("post-{number}"), "time": "2026-01-01T00:00:00Z",
            "data": { "author": "ann", "message": "x".repeat(200) },
        })
    };
    (0..POSTS).map(|number| post(number).to_string() + "\n").collect()
}

const POSTS: u64 = 12_000;

/// A build whose rows do not fit into memory reads history several times: its position begins again with each, so it says which it is at.
#[tokio::test(flavor = "multi_thread")]
async fn a_build_in_several_passes_says_which_it_is_at() {
    let place = Place::sqlite();
    let reel = place.up().with(&["--memory", "1", "--throttle", "5000"]).start().await;
    assert_eq!(reel.run_with(&["import", "-"], posts().as_bytes()).await.code, 0);
    let deployed = reel.deploy_only(&example("posts"), &[]).await;
    assert_eq!(deployed.code, 0, "{}", deployed.stderr);
    let second = reel.until_status("posts@1", |status| status["pass"] == 2).await;
    assert!(second["passes"].as_u64() >= Some(2), "{second}");
    assert_eq!((&second["state"], &second["phase"]), (&json!("build"), &json!("folding")), "{second}");
    let shown = reel.ok(&["status", "posts"]).await;
    assert!(shown.contains("build (folding, pass ") && shown.contains(" of "), "{shown}");
    let metrics = until("metrics tell of the passes", async || {
        let text = reel.request(Method::GET, "/metrics").send().await.expect("it answers").text().await.ok()?;
        let value = |name: &str| {
            let series = format!("{name}{{target=\"default\",generation=\"posts@1\"");
            let line = text.lines().find(|line| line.starts_with(&series) && !line.contains("phase=\"loading\""))?;
            line.rsplit_once(' ')?.1.parse::<f64>().ok()
        };
        let told =
            [value("reel_generation_pass")?, value("reel_generation_passes")?, value("reel_generation_eta_seconds")?];
        (told[1] >= 2.0).then_some(told)
    })
    .await;
    assert!(metrics[0] >= 1.0 && metrics[0] <= metrics[1] && metrics[2] > 0.0, "{metrics:?}");
    let live = reel.until_status("posts@1", |status| status["state"] == "live").await;
    assert_eq!((&live["pass"], &live["passes"], &live["phase"]), (&Value::Null, &Value::Null, &Value::Null), "{live}");
    assert_eq!(reel.query("posts", "posts", "select=id").await.len() as u64, POSTS);
}

/// The same log, however it was applied: at once and in parts that do not fit into memory, or as it came in batches of any size.
#[tokio::test(flavor = "multi_thread")]
async fn fingerprints_are_equal_however_the_log_was_applied() {
    let mut fingerprints = Vec::new();
    for (arguments, built) in [
        (&[][..], true),
        (&["--memory", "1", "--throttle", "10000"], true),
        (&["--batch", "13"], false),
        (&["--batch", "5000"], false),
    ] {
        let place = Place::sqlite();
        let reel = place.up().with(arguments).start().await;
        if !built {
            reel.deploy(&example("posts"), &[]).await;
        }
        assert_eq!(reel.run_with(&["import", "-"], posts().as_bytes()).await.code, 0);
        if built {
            reel.deploy(&example("posts"), &[]).await;
        }
        let current = reel.until_status("posts", |status| status["position"] == POSTS).await;
        assert_eq!(current["state"], "live", "{current}");
        assert_eq!(reel.log().contains("rows do not fit into memory"), arguments.contains(&"--memory"));
        fingerprints.push(reel.json(&["fingerprint", "posts"]).await[0]["tables"].clone());
    }
    assert_eq!(fingerprints[0][0]["rows"], POSTS);
    assert!(fingerprints.iter().all(|tables| *tables == fingerprints[0]), "{fingerprints:?}");
}
