//! A listener that speaks TLS and asks for a login by SCRAM. A real broker only: the mock speaks no TLS; and only in a build with the
//! feature `kafka-tls`, whose client has OpenSSL.

use reel_event_log::topic::foreign::ForeignTopic;
use reel_event_log::topic::kafka::{TopicFault, TopicUrl, find};

use crate::bed::{Bed, Broker, fault_of, given};
use crate::members::Host;

/// A certificate that nothing was signed with.
const STRANGER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBgjCCASegAwIBAgIUXSHOanPBrvfQAHEhiXzvyYqY5zAwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKYSBzdHJhbmdlcjAgFw0yNjExMjkwNjIwMDRaGA8yMTI2MTEw
NTA2MjAwNFowFTETMBEGA1UEAwwKYSBzdHJhbmdlcjBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABJpxb8dJK9pY0eooOC549haiS9/HWWFthmadzi3xdluFvZpphk8c
VBQR8OPxd2mrg/GK7QW7oymzjyaP0LNYFdejUzBRMB0GA1UdDgQWBBSl04mqFJ1G
KfgVMYRciUAJwTWCuzAfBgNVHSMEGDAWgBSl04mqFJ1GKfgVMYRciUAJwTWCuzAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCoKZKnOpL5DMdn38Ar
LdVZb8p5DZ/FwedGAT0IrbFLSQIhALUBPSG5Hq69f21nbaBZR3KBmIq0bqyBs7zb
wDUHMjkI
-----END CERTIFICATE-----
";

/// The listener's `HOST:PORT`, and the setting that names who vouches for its certificate.
struct Listener {
    broker: String,
    ca: String,
}

/// The listener of `scripts/servers`; nothing where none is given, or this build has no TLS.
fn listener() -> Option<Listener> {
    let given = given("kafka_tls")?;
    if cfg!(not(feature = "kafka-tls")) {
        let required = std::env::var("REEL_TEST_REQUIRE").unwrap_or_default();
        assert!(!required.contains("kafka_tls"), "REEL_TEST_REQUIRE names kafka_tls: build with --features kafka-tls");
        println!("passed over: built without --features kafka-tls");
        return None;
    }
    let (broker, ca) = given.split_once('?').expect("HOST:PORT?ssl.ca.location=FILE");
    Some(Listener { broker: broker.to_owned(), ca: ca.to_owned() })
}

impl Listener {
    fn url(&self, login: &str, topic: &str, settings: &str) -> TopicUrl {
        let text = format!("kafkas://{login}@{}/{topic}?{}&{settings}", self.broker, self.ca);
        text.parse().unwrap()
    }

    /// A log, and a topic that only this test uses, reached through this listener by SCRAM.
    async fn bed(&self) -> Bed {
        let mut bed = Bed::new(Broker::Real(self.broker.clone()), 0).await;
        bed.url = self.url("reel:let%20me%20in", bed.url.topic(), "sasl.mechanisms=SCRAM-SHA-512");
        bed
    }
}

/// Everything that is said of it, and that it holds no secret.
fn told(fault: &TopicFault) -> String {
    use std::error::Error as _;
    let told = format!("{fault}: {}", fault.source().map(ToString::to_string).unwrap_or_default());
    assert!(!format!("{fault:?} {told}").contains("hush"), "{fault:?} {told}");
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_publishes_and_a_host_reads_over_tls_with_scram() {
    let Some(listener) = listener() else { return };
    let bed = listener.bed().await;
    bed.append(300).await;
    // It finds no topic and makes it, all over TLS.
    let relay = bed.relay();
    bed.caught_up(&relay).await;
    assert_eq!(bed.whole().await.iter().filter(|seen| seen.stream.is_some()).count(), 300);
    let mut host = Host::join(&bed, &format!("{}-hosts", bed.url.topic()));
    host.until(|host| host.heard.len() == 300).await;
    bed.append(100).await;
    host.until(|host| host.heard.len() == 400).await;
    host.leave().await;
    relay.stop().await;
    bed.delete_topic().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_wrong_is_named_whatever_its_mechanism() {
    let Some(listener) = listener() else { return };
    let bed = listener.bed().await;
    bed.make_topic(1).await;
    let plain = listener.url("reel:let%20me%20in", bed.url.topic(), "sasl.mechanisms=PLAIN");
    assert_eq!(find(&plain).await.unwrap().partitions, 1, "and PLAIN is taken as well");
    for (login, mechanism) in [
        ("reel:hush", "SCRAM-SHA-512"),
        ("nobody:hush", "SCRAM-SHA-512"),
        ("reel:hush", "PLAIN"),
        ("reel:hush", "SCRAM-SHA-256"),
    ] {
        let url = listener.url(login, bed.url.topic(), &format!("sasl.mechanisms={mechanism}"));
        let fault = fault_of(&url).await;
        assert!(matches!(fault, TopicFault::NotLetIn { .. }), "{fault:?}");
        let told = told(&fault);
        assert!(told.contains(&url.to_string()) && told.contains("user and password"), "{told}");
    }
    bed.delete_topic().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_nobody_vouches_for_is_named_with_what_to_do() {
    let Some(listener) = listener() else { return };
    let broker = &listener.broker;
    // This machine's own certificates; and those of nobody.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("stranger.pem"), STRANGER).unwrap();
    let stranger = format!("?ssl.ca.location={}", folder.path().join("stranger.pem").display());
    for settings in ["", &stranger] {
        let url: TopicUrl = format!("kafkas://reel:hush@{broker}/topic{settings}").parse().unwrap();
        let fault = fault_of(&url).await;
        assert!(matches!(fault, TopicFault::NoTls { .. }), "{fault:?}");
        let told = told(&fault);
        assert!(told.contains("ssl.ca.location names") && told.contains("certificate verify failed"), "{told}");
    }
    let url: TopicUrl = format!("kafkas://{broker}/topic?foreign=cloudevents").parse().unwrap();
    let fault = ForeignTopic::new(&url).unwrap().ends().await.unwrap_err();
    assert!(matches!(fault, TopicFault::NoTls { .. }), "another producer's topic: {fault:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_there_is_named() {
    let Some(listener) = listener() else { return };
    let url: TopicUrl = format!("kafkas://{}/topic?ssl.ca.location=/no/such.pem", listener.broker).parse().unwrap();
    let fault = fault_of(&url).await;
    assert!(matches!(fault, TopicFault::NoClient { .. }), "{fault:?}");
    assert!(told(&fault).contains("ssl.ca.location failed"), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_without_tls_is_named() {
    let (Some(_), Some(Broker::Real(plain))) = (listener(), Broker::real()) else { return };
    let url: TopicUrl = format!("kafkas://reel:hush@{plain}/topic").parse().unwrap();
    let fault = fault_of(&url).await;
    assert!(matches!(fault, TopicFault::HungUp { .. }), "{fault:?}");
    assert!(told(&fault).contains("listens without TLS"), "{fault:?}");
}
