//! A user of the broker who may not do everything: what is refused is named, with what to do. A real broker only, with a user whom it
//! lets in and nothing else (`scripts/servers`).

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Instant,
};

use reel_event_log::topic::kafka::{TopicFault, TopicUrl, find, find_or_make};

use crate::bed::{Bed, Broker, PATIENCE, given};

/// Operations of Kafka's access control, by its protocol's numbers.
const READ: u8 = 3;
const WRITE: u8 = 4;
const DESCRIBE: u8 = 8;
/// What is granted, in the same way: a topic, by its whole name, allowed.
const TOPIC: u8 = 2;
const LITERAL: u8 = 3;
const ALLOW: u8 = 3;

/// The topic of `bed`, for the user who may do nothing that is not granted; nothing where no broker has one.
fn of_guest(bed: &Bed) -> Option<TopicUrl> {
    let broker = given("kafka_acl")?;
    Some(format!("kafka://guest:let%20me%20see@{broker}/{}", bed.url.topic()).parse().unwrap())
}

/// Lets the guest do something with a topic. The client that Reel is built with does not speak of permissions: this is the protocol's
/// `CreateAcls`, version 1.
fn grant(brokers: &str, topic: &str, operation: u8) {
    let text = |text: &str| [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat();
    let body = [
        &[0, 30, 0, 1, 0, 0, 0, 7][..],
        &text("reel-test"),
        &[0, 0, 0, 1, TOPIC],
        &text(topic),
        &[LITERAL],
        &text("User:guest"),
        &text("*"),
        &[operation, ALLOW],
    ]
    .concat();
    let mut broker = TcpStream::connect(brokers).unwrap();
    broker.set_read_timeout(Some(PATIENCE)).unwrap();
    broker.write_all(&[&(body.len() as u32).to_be_bytes()[..], &body].concat()).unwrap();
    // Length, number of the question, throttling, number of results, and the first one's error.
    let mut answer = [0; 18];
    broker.read_exact(&mut answer).unwrap();
    assert_eq!(answer[16..], [0, 0], "the broker refuses: {answer:?}");
}

/// What is found once the broker follows what was granted.
async fn found_in_the_end<T: std::fmt::Debug>(
    look: impl AsyncFn() -> Result<T, TopicFault>,
    is_it: impl Fn(&TopicFault) -> bool,
) -> TopicFault {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = look().await;
        match found {
            Err(fault) if is_it(&fault) => return fault,
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_user_may_not_do_is_named_with_what_to_do() {
    let Some(Broker::Real(brokers)) = Broker::real() else { return };
    let mut bed = Bed::new(Broker::Real(brokers.clone()), 0).await;
    let Some(guest) = of_guest(&bed) else { return };
    let not_seen =
        found_in_the_end(|| find_or_make(&guest, 3), |fault| matches!(fault, TopicFault::Refused { .. })).await;
    let said = not_seen.to_string();
    assert!(said.contains(&guest.to_string()) && said.contains("grant") && said.contains("Describe"), "{said}");

    grant(&brokers, guest.topic(), DESCRIBE);
    let not_made =
        found_in_the_end(|| find_or_make(&guest, 3), |fault| matches!(fault, TopicFault::NotMade { .. })).await;
    let said = not_made.to_string();
    assert!(said.contains("make it with 3 partitions") && said.contains("Create"), "{said}");
    assert!(matches!(find(&bed.url).await, Err(TopicFault::Missing { .. })), "and it is not made");

    bed.make_topic(3).await;
    bed.append(10).await;
    let owner = std::mem::replace(&mut bed.url, guest.clone());
    let relay = bed.relay();
    let mut status = relay.status();
    let refused = status.wait_for(|status| status.trouble.as_ref().is_some_and(|trouble| trouble.contains("Write")));
    let refused = tokio::time::timeout(PATIENCE, refused).await;
    assert!(refused.is_ok(), "{:?}", relay.status().borrow());
    drop(refused);

    for operation in [READ, WRITE] {
        grant(&brokers, guest.topic(), operation);
    }
    bed.caught_up(&relay).await;
    relay.stop().await;
    bed.url = owner;
    bed.delete_topic().await;
}
