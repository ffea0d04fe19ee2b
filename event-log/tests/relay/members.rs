//! Members of a consumer group read what a relay published, on any broker: they share the partitions, give them up and go on where
//! the group left off; what the relay did not write is passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use reel_event_log::topic::{
    kafka::consumer::{Member, Move},
    shard::{Carries, Partition},
};
use tokio::time::timeout;

use crate::bed::{Bed, Broker, PATIENCE};

/// How long a member may be silent before the group gives its partitions to others.
const SESSION: Duration = Duration::from_secs(10);

/// A member with the partitions that it reads now, and the positions of the events that it heard.
pub(crate) struct Host {
    member: Member,
    partitions: BTreeMap<u32, Partition>,
    pub(crate) heard: BTreeSet<u64>,
}

impl Host {
    pub(crate) fn join(bed: &Bed, group: &str) -> Host {
        let member = Member::join(&bed.url, group, 4, None).unwrap();
        Host { member, partitions: BTreeMap::new(), heard: BTreeSet::new() }
    }

    /// Hears messages and follows the group, until what is asked holds.
    pub(crate) async fn until(&mut self, holds: impl Fn(&Host) -> bool) {
        let told = timeout(PATIENCE, async {
            while !holds(self) {
                self.step().await;
            }
        });
        assert!(told.await.is_ok(), "reads {:?}, heard {:?}", self.partitions.keys(), self.heard.len());
    }

    async fn step(&mut self) {
        if let Ok(moved) = timeout(Duration::from_millis(5), self.member.next()).await {
            match moved {
                Move::Given { partition, messages } => drop(self.partitions.insert(partition, messages)),
                Move::Taken { partitions, done } => {
                    partitions.iter().for_each(|partition| drop(self.partitions.remove(partition)));
                    drop(done);
                }
            }
        }
        for (number, partition) in &mut self.partitions {
            while let Ok(piece) = partition.pieces.try_recv() {
                let events = piece.marks.iter().filter(|mark| mark.carries == Carries::Event);
                assert_eq!(events.count(), piece.events.len(), "partition {number}");
                self.heard.extend(piece.events.iter().map(|event| event.position));
                (partition.hint)(piece.end);
            }
        }
    }

    pub(crate) async fn leave(self) {
        drop(self.partitions);
        self.member.leave().await;
    }
}

fn group(bed: &Bed) -> String {
    format!("{}-hosts", bed.url.topic())
}

/// Runs two members side by side until what is asked of them holds.
async fn both(one: &mut Host, other: &mut Host, holds: impl Fn(&Host, &Host) -> bool) {
    let told = timeout(PATIENCE, async {
        while !holds(one, other) {
            tokio::join!(one.step(), other.step());
        }
    });
    assert!(told.await.is_ok(), "{:?} and {:?}", one.partitions.keys(), other.partitions.keys());
}

async fn a_member_alone_reads_every_partition(broker: Broker) {
    let bed = Bed::new(broker, 3).await;
    bed.append(300).await;
    let relay = bed.relay();
    let mut host = Host::join(&bed, &group(&bed));
    host.until(|host| host.heard.len() == 300).await;
    assert_eq!(host.partitions.len(), 3);
    bed.append(200).await;
    host.until(|host| host.heard.len() == 500).await;
    host.leave().await;
    relay.stop().await;
    bed.delete_topic().await;
}

async fn members_share_the_partitions_and_take_over_those_of_who_leaves(broker: Broker) {
    let bed = Bed::new(broker, 4).await;
    let relay = bed.relay();
    bed.append(100).await;
    bed.caught_up(&relay).await;
    let (mut one, mut other) = (Host::join(&bed, &group(&bed)), Host::join(&bed, &group(&bed)));
    both(&mut one, &mut other, |one, other| (one.partitions.len(), other.partitions.len()) == (2, 2)).await;
    assert!(one.partitions.keys().all(|partition| !other.partitions.contains_key(partition)));
    bed.append(200).await;
    both(&mut one, &mut other, |one, other| one.heard.union(&other.heard).count() == 300).await;
    other.leave().await;
    one.until(|one| one.partitions.len() == 4).await;
    bed.append(100).await;
    one.until(|one| (301..=400).all(|position| one.heard.contains(&position))).await;
    one.leave().await;
    relay.stop().await;
    bed.delete_topic().await;
}

async fn a_group_goes_on_where_it_left_off(broker: Broker) {
    let bed = Bed::new(broker, 2).await;
    bed.append(1000).await;
    let relay = bed.relay();
    let mut first = Host::join(&bed, &group(&bed));
    first.until(|host| host.heard.len() == 1000).await;
    first.leave().await;
    bed.append(10).await;
    let mut second = Host::join(&bed, &group(&bed));
    second.until(|host| (1001..=1010).all(|position| host.heard.contains(&position))).await;
    assert!(second.heard.len() < 1010, "it began behind the start: {}", second.heard.len());
    second.leave().await;
    relay.stop().await;
    bed.delete_topic().await;
}

/// Who leaves says so: the others do not wait until its silence is noticed. (librdkafka's mock lets them wait all the same.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_keeps_nobody_waiting() {
    let Some(broker) = Broker::real() else { return };
    let bed = Bed::new(broker, 2).await;
    bed.append(200).await;
    let relay = bed.relay();
    let (mut one, mut other) = (Host::join(&bed, &group(&bed)), Host::join(&bed, &group(&bed)));
    both(&mut one, &mut other, |one, other| one.heard.union(&other.heard).count() == 200).await;
    both(&mut one, &mut other, |one, other| (one.partitions.len(), other.partitions.len()) == (1, 1)).await;
    bed.append(200).await;
    both(&mut one, &mut other, |one, other| one.heard.union(&other.heard).count() == 400).await;
    let left = Instant::now();
    other.leave().await;
    one.until(|one| one.partitions.len() == 2).await;
    assert!(left.elapsed() < SESSION / 2, "{:?}", left.elapsed());
    one.leave().await;
    relay.stop().await;
    bed.delete_topic().await;
}

/// Everything that is no message of a relay: without headers, without a payload, large, with headers that are cut short.
async fn what_the_relay_did_not_write_is_passed_over(broker: Broker) {
    let bed = Bed::new(broker, 1).await;
    let relay = bed.relay();
    bed.append(10).await;
    bed.caught_up(&relay).await;
    let producer: BaseProducer = bed.url.configure(&[]).create().unwrap();
    let large = vec![b'x'; 900_000];
    for payload in [b"{}".as_slice(), b"", b"{\"specversion\": \"1.0\"", &large] {
        producer.send(BaseRecord::to(bed.url.topic()).partition(0).key("post-1").payload(payload)).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    bed.append(10).await;
    let mut host = Host::join(&bed, &group(&bed));
    host.until(|host| host.heard.len() == 20).await;
    host.leave().await;
    relay.stop().await;
    bed.delete_topic().await;
}

/// A message of 50 MB, where the topic takes such: it is read, passed over, and what is behind it is heard. A real broker only: the mock
/// takes none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_fifty_megabytes_is_passed_over() {
    let Some(broker) = Broker::real() else { return };
    let bed = Bed::new(broker, 1).await;
    bed.limit_messages(60_000_000).await;
    let relay = bed.relay();
    bed.append(10).await;
    bed.caught_up(&relay).await;
    let producer: BaseProducer = bed.url.configure(&[("message.max.bytes", "60000000")]).create().unwrap();
    let huge = vec![b'x'; 50_000_000];
    producer.send(BaseRecord::to(bed.url.topic()).partition(0).key("post-1").payload(&huge)).unwrap();
    producer.flush(PATIENCE).unwrap();
    assert_eq!(producer.in_flight_count(), 0);
    bed.append(10).await;
    let mut host = Host::join(&bed, &group(&bed));
    host.until(|host| host.heard.len() == 20).await;
    host.leave().await;
    relay.stop().await;
    bed.delete_topic().await;
}

/// The broker is away for a while: the member goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_goes_away_and_comes_back() {
    let bed = Bed::new(Broker::mock(), 2).await;
    let relay = bed.relay();
    bed.append(100).await;
    let mut host = Host::join(&bed, &group(&bed));
    host.until(|host| host.heard.len() == 100).await;
    bed.mock().broker_down(1).unwrap();
    bed.append(100).await;
    host.step().await;
    bed.mock().broker_up(1).unwrap();
    host.until(|host| host.heard.len() == 200).await;
    host.leave().await;
    relay.stop().await;
}

crate::cases::against_every_broker!(
    a_member_alone_reads_every_partition,
    members_share_the_partitions_and_take_over_those_of_who_leaves,
    a_group_goes_on_where_it_left_off,
    what_the_relay_did_not_write_is_passed_over,
);
