//! Another producer's topic: plain messages of a plain producer become rows, through a host that is killed in the midst.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use reel_e2e::components::example;
use reel_e2e::database;
use reel_e2e::deadline::until;
use reel_e2e::dice::Dice;
use reel_e2e::reel::{Reel, Up};
use serde_json::{Value, json};
use uuid::Uuid;

const POSTS: usize = 60;
const PARTITIONS: i32 = 4;
const KILLS: usize = 5;
/// Likes of every post between two kills.
const LIKES: usize = 40;
const BROKEN: &[u8] = b"{\"by\":\xff}";
const PATIENCE: Duration = Duration::from_secs(20);

/// A topic that somebody else fills.
struct Shop {
    brokers: String,
    topic: String,
    producer: BaseProducer,
    admin: AdminClient<DefaultClientContext>,
}

impl Shop {
    /// Nothing where no broker is given.
    async fn new() -> Option<Shop> {
        let brokers = database::server("kafka", "REEL_TEST_KAFKA")?;
        let topic = format!("shop-{}", Uuid::new_v4().simple());
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &brokers);
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let new = NewTopic::new(&topic, PARTITIONS, TopicReplication::Fixed(1));
        admin.create_topics([&new], &options()).await.unwrap().remove(0).unwrap();
        // Idempotent: what is published twice is twice in the topic, and twice in the rows.
        let producer = config.set("enable.idempotence", "true").create().unwrap();
        Some(Shop { brokers, topic, producer, admin })
    }

    /// Its topic goes; one that a test that failed leaves there disturbs nobody.
    async fn closes(self) {
        let _ = self.admin.delete_topics(&[&self.topic], &options()).await;
    }

    fn publishes(&self, post: usize, kind: &str, value: &[u8]) {
        let (key, id) = (post.to_string(), Uuid::now_v7().to_string());
        let attributes =
            [("ce_specversion", "1.0"), ("ce_id", &id), ("ce_source", "/shop"), ("ce_type", kind), ("till", "7")];
        let headers = attributes
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
        let record = BaseRecord::to(&self.topic).key(&key).headers(headers).payload(value);
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    fn likes_all(&self, times: usize) {
        for _ in 0..times {
            (0..POSTS).for_each(|post| self.publishes(post, "post-liked", b"{}"));
        }
        self.producer.flush(PATIENCE).unwrap();
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

async fn host(data: &std::path::Path, shop: &Shop) -> Reel {
    let topic = format!("kafka://{}/{}?foreign=cloudevents", shop.brokers, shop.topic);
    Up::serve("host", data).with(&["--topic", &topic]).start().await
}

/// Waits until everything that is in the topic now is in the rows.
async fn until_current(host: &Reel, messages: u64) -> Value {
    host.until_status("posts", |status| status["position"] == messages && status["lagEvents"] == 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_plain_producer_become_rows_whatever_the_host_suffers() {
    let Some(shop) = Shop::new().await else { return println!("passed over: REEL_TEST_KAFKA is not set") };
    let mut dice = Dice::new();
    println!("REEL_TEST_SEED={}", dice.seed);
    let data = tempfile::tempdir().unwrap();
    for post in 0..POSTS {
        let made = json!({ "author": "ann", "message": format!("number {post}") });
        shop.publishes(post, "post-created", made.to_string().as_bytes());
    }
    shop.likes_all(1);
    let mut reel = host(data.path(), &shop).await;
    reel.deploy(&example("posts"), &["--on-failure", "skip"]).await;
    for kill in 0..KILLS {
        shop.likes_all(LIKES / 2);
        if kill == 2 {
            shop.publishes(7, "post-liked", BROKEN);
        }
        shop.likes_all(LIKES / 2);
        tokio::time::sleep(Duration::from_millis(dice.below(400))).await;
        reel.kill().await;
        reel = host(data.path(), &shop).await;
    }
    let likes = 1 + LIKES * KILLS;
    let messages = POSTS * (1 + likes) + 1;
    until_current(&reel, messages as u64).await;
    let reads = Up::serve("read-api", data.path()).start().await;
    let rows = reads.query("posts", "posts", "select=id,message,likes").await;
    assert_eq!(rows.len(), POSTS);
    for row in &rows {
        let post = row["id"].as_str().unwrap();
        assert_eq!(
            *row,
            json!({ "id": post, "message": format!("number {post}"), "likes": likes }),
            "nothing lost or doubled"
        );
    }
    assert_dead_letter(&reel).await;

    // What waits has an age, by when it was published.
    assert_eq!(reel.status("posts").await["lagSeconds"], 0.0);
    reel.ok(&["pause", "posts"]).await;
    shop.likes_all(1);
    let age = |status: &Value| status["lagSeconds"].as_f64().unwrap();
    let behind = reel.until_status("posts", |status| age(status) > 1.0).await;
    assert!(behind["lagEvents"] == POSTS && age(&behind) < 60.0, "{behind}");
    reel.ok(&["resume", "posts"]).await;
    let current = until_current(&reel, (messages + POSTS) as u64).await;
    assert_eq!(age(&current), 0.0, "{current}");
    shop.closes().await;
}

/// The one message that is no event is kept as it came: its bytes, its key and its headers.
async fn assert_dead_letter(reel: &Reel) {
    let letters = until("the dead letter", async || {
        Some(reel.json(&["dead-letters", "list", "posts"]).await).filter(|letters| !letters.is_empty())
    })
    .await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    let place = letters[0]["position"].as_str().unwrap();
    let shown = reel.json(&["dead-letters", "show", "posts", place]).await.remove(0);
    assert_eq!((&shown["code"], &shown["reason"]), (&json!("not-json"), &json!("skipped")), "{shown}");
    // BROKEN, in base 64.
    assert_eq!(shown["original"]["valueBase64"], "eyJieSI6/30=", "{shown}");
    let text = shown["original"].to_string();
    assert!(text.contains("till") && text.contains("/shop") && text.contains("post-liked"), "{text}");
}
