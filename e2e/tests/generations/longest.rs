//! Names as long as they may be: what is made of them in each database fits there, through deploy, replay, flip, diff and drop.

use reel_e2e::components::longest;
use reel_e2e::database::SqlServer;
use reel_e2e::place::Place;
use reel_e2e::reel::{Reel, Up};
use reqwest::Method;
use serde_json::json;

const PROJECTION: &str = "names-as-long-as-they-go";
const THINGS: &str = "things_in_a_table_of_32_characte";
const TOUCHES: &str = "entries_in_a_table_of_32_charact";
const KEY: &str = "the_key_column_whose_name_is_as_long_as_it_may_b";
const NUMBER: &str = "a_column_of_numbers_with_a_name_at_its_limit_too";
const TEXT: &str = "a_column_of_texts_with_a_name_at_its_limit_as_we";
const PARENT: &str = "the_parent_column_that_refers_to_the_other_table";
const NTH: &str = "the_number_of_the_entry_within_its_parent_row_00";
const QUERY: &str = "a_query_with_a_name_at_its_limit";
const PARAMETER: &str = "a_parameter_whose_name_has_all_of_48_characters_";

/// Ten things, of which three are touched.
async fn things(reel: &Reel) -> String {
    let mut token = String::new();
    let made = (1..=10).map(|id| (id, "thing-made", 100 + id));
    for (id, kind, n) in made.chain([(3, "thing-touched", 1), (7, "thing-touched", 1), (9, "thing-touched", 2)]) {
        let body = json!({ "events": [{ "type": kind, "data": { "n": n } }] });
        let done = reel.command(Method::POST, &format!("/streams/thing-{id}"), &body).await;
        done["token"].as_str().unwrap().clone_into(&mut token);
    }
    token
}

async fn assert_read(reel: &Reel, token: &str, generation: u32) {
    let path = format!("/read/v1/{PROJECTION}/{THINGS}?{TEXT}=eq.touched&order={NUMBER}.desc");
    let read = reel.get(&format!("{path}&select={KEY},{NUMBER}&wait-for={token}")).await;
    assert_eq!(read.header("reel-generation"), format!("{PROJECTION}@{generation}"), "{read:?}");
    assert_eq!(read.rows(), [9, 7, 3].map(|id| json!({ KEY: id.to_string(), NUMBER: 100 + id })));
    let touches = reel.query(PROJECTION, TOUCHES, &format!("order={PARENT}")).await;
    assert_eq!(touches, [(3, 1), (7, 1), (9, 2)].map(|(id, n)| json!({ PARENT: id.to_string(), NTH: n })));
    let asked = reel.get(&format!("/read/v1/{PROJECTION}/{QUERY}?{PARAMETER}=new")).await;
    assert_eq!(asked.rows().len(), 7, "{asked:?}");
}

async fn all_verbs(reel: &Reel) {
    let token = things(reel).await;
    reel.deploy(&longest(), &[]).await;
    assert_read(reel, &token, 1).await;
    reel.ok(&["replay", PROJECTION, "--wait"]).await;
    assert_read(reel, &token, 2).await;
    let same = reel.json(&["diff", &format!("{PROJECTION}@1"), &format!("{PROJECTION}@2")]).await.remove(0);
    assert_eq!(same["equal"], true, "{same}");
    reel.ok(&["verify", PROJECTION]).await;
    reel.ok(&["rollback", PROJECTION]).await;
    // What comes live is written under these names, too.
    let body = json!({ "events": [{ "type": "thing-made", "data": { "n": 111 } }] });
    let token = reel.command(Method::POST, "/streams/thing-11", &body).await["token"].clone();
    let read =
        reel.get(&format!("/read/v1/{PROJECTION}/{THINGS}?{KEY}=eq.11&wait-for={}", token.as_str().unwrap())).await;
    assert_eq!((read.rows().len(), read.header("reel-generation")), (1, format!("{PROJECTION}@1").as_str()));
    reel.ok(&["drop", &format!("{PROJECTION}@2")]).await;
    let longer = reel.deploy_only(&longest(), &["--name", "names-longer-than-they-go"]).await;
    assert_ne!(longer.code, 0);
    assert!(longer.stderr.contains("\"names-longer-than-they-go\" must be 1 to 24"), "{}", longer.stderr);
    // As long, in the same database: nothing that is made of the two meets.
    reel.deploy(&longest(), &["--name", "names-as-long-as-they-gp"]).await;
}

async fn in_place(place: Place) {
    let reel = place.start().await;
    all_verbs(&reel).await;
    let contents = place.contents().await;
    for projection in [PROJECTION, "names-as-long-as-they-gp"] {
        for table in [THINGS, TOUCHES] {
            assert!(contents.views.contains(&format!("{}.{table}", projection.replace('-', "_"))), "{contents:?}");
        }
    }
    for projection in [PROJECTION, "names-as-long-as-they-gp"] {
        reel.ok(&["drop", projection]).await;
    }
    assert_eq!(place.contents().await, reel_e2e::place::Contents::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_names_fit_on_sqlite() {
    in_place(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_names_fit_on_postgres() {
    let Some(place) = Place::postgres().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    in_place(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_names_fit_on_mysql() {
    let Some(place) = Place::mysql().await else { return println!("passed over: REEL_TEST_MYSQL is not set") };
    in_place(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_names_fit_on_sql_server() {
    let Some(database) = SqlServer::new().await else {
        return println!("passed over: REEL_TEST_SQLSERVER is not set");
    };
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).target(Some(&database.url())).start().await;
    all_verbs(&reel).await;
    reel.stop().await;
}
