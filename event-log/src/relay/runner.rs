//! Does what the machine says: reads and writes the record, surveys, reads the store, publishes, waits. Decides nothing itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reel_events::chain;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    RelayConfig, RelayError, RelayStatus,
    backlog::Backlog,
    machine::{Do, Machine},
    plan::Survey,
    state::{RelayRecord, RelayState, Stamp},
    survey::survey,
};
use crate::{
    store::{EventStore, StoreError},
    topic::kafka::{FoundTopic, Publisher},
};

/// Events that are sent before others get their turn.
const CHUNK: usize = 500;
/// How long what is on its way is awaited when the relay is stopped.
const GRACE: Duration = Duration::from_secs(5);
/// How often the same trouble is said again.
const REPEAT: Duration = Duration::from_secs(60);

pub(super) struct Runner {
    store: Arc<dyn EventStore>,
    state: Arc<dyn RelayState>,
    config: RelayConfig,
    machine: Machine,
    started: Instant,
    backlog: Backlog,
    surveying: Option<JoinHandle<Result<(FoundTopic, Survey), RelayError>>>,
    publisher: Option<Publisher>,
    status: watch::Sender<RelayStatus>,
    said: Option<Instant>,
    /// Through where it had published when trouble was said last.
    stuck: u64,
    /// Until when to wait for what is on its way, once it was asked to end.
    grace: Option<Instant>,
}

impl Runner {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        state: Arc<dyn RelayState>,
        config: RelayConfig,
        status: watch::Sender<RelayStatus>,
    ) -> Runner {
        let holder = format!("{}/{}", config.name, Uuid::now_v7());
        Runner {
            machine: Machine::new(store.log_id(), holder, config.pace),
            backlog: Backlog::new(Arc::clone(&store)),
            store,
            state,
            config,
            started: Instant::now(),
            surveying: None,
            publisher: None,
            status,
            said: None,
            stuck: 0,
            grace: None,
        }
    }

    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            if *stop.borrow_and_update() && self.grace.is_none() {
                self.grace = Some(Instant::now() + GRACE);
                self.machine.stop();
            }
            self.collect();
            let now = self.now();
            let todo = self.machine.next(now);
            self.report();
            match todo {
                Do::End => return,
                Do::Look => self.look().await,
                Do::Write { from, record } => self.write(from, &record).await,
                Do::Survey { passed } => {
                    self.publisher = None;
                    let (store, config) = (Arc::clone(&self.store), self.config.clone());
                    self.surveying = Some(tokio::spawn(async move { survey(&*store, &config, passed).await }));
                }
                Do::Watermarks(watermarks) => {
                    for watermark in watermarks {
                        let place = watermark.place;
                        if let Some(publisher) = &self.publisher {
                            publisher.send_watermark(place.partition, watermark.through, place.placement);
                        }
                    }
                }
                Do::Read { after, most, until } => self.publish(after, most, until, &mut stop).await,
                Do::Wait(until) => self.wait(until, &mut stop).await,
            }
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Tells the machine what has arrived, or failed.
    fn collect(&mut self) {
        let Some(publisher) = &self.publisher else { return };
        for (partition, through) in publisher.arrived() {
            self.machine.delivered(partition, through);
        }
        if let Some(fault) = publisher.take_failure() {
            self.fail(fault.into());
        }
        if self.grace.is_some_and(|until| Instant::now() > until) {
            self.machine.failed(self.now());
        }
    }

    fn report(&mut self) {
        let leading = self.machine.leading();
        if leading.is_none() && self.surveying.is_none() && self.publisher.is_some() && !self.machine.is_planned() {
            self.publisher = None;
        }
        // Who leads again, and fails again at the same event, is still in trouble.
        let known = self.backlog.known();
        let is_well = leading.is_some_and(|through| through > self.stuck || through >= known);
        self.status.send_if_modified(|status| {
            let changed = status.leading != leading || (is_well && status.trouble.is_some());
            if leading.is_some() && status.leading.is_none() {
                tracing::info!(topic = %self.config.topic, through = leading, "this relay leads");
            }
            if is_well {
                status.trouble = None;
            }
            status.leading = leading;
            changed
        });
    }

    /// Gives up this term, and says why.
    fn fail(&mut self, error: RelayError) {
        self.machine.failed(self.now());
        self.say(&error);
    }

    fn say(&mut self, error: &RelayError) {
        let trouble = chain(error);
        self.stuck = self.status.borrow().leading.unwrap_or(self.stuck);
        let repeated = self.status.borrow().trouble.as_ref() == Some(&trouble)
            && self.said.is_some_and(|said| said.elapsed() < REPEAT);
        if !repeated {
            tracing::warn!("{trouble}; trying again");
            self.said = Some(Instant::now());
        }
        self.status.send_modify(|status| status.trouble = Some(trouble));
    }

    async fn look(&mut self) {
        let state = Arc::clone(&self.state);
        match self.answer(state.read()).await {
            Ok(record) => self.machine.looked(record, self.now()),
            Err(error) => self.fail(error.into()),
        }
    }

    async fn write(&mut self, from: Stamp, record: &RelayRecord) {
        let state = Arc::clone(&self.state);
        match self.answer(state.replace(from, record)).await {
            Ok(replaced) => self.machine.wrote(replaced, self.now()),
            Err(error) => {
                self.machine.unsure(self.now());
                self.say(&error.into());
            }
        }
    }

    /// The store's answer, if it comes before a lease would have lapsed.
    async fn answer<T>(&self, asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let late = |_| {
            let location = format!("log {}", self.store.log_id());
            Err(StoreError::Unavailable { location, source: "it does not answer".into() })
        };
        timeout(self.config.pace.lease, asked).await.unwrap_or_else(late)
    }

    async fn publish(&mut self, after: u64, most: u64, until: Duration, stop: &mut watch::Receiver<bool>) {
        let Some(publisher) = &self.publisher else { return self.machine.failed(self.now()) };
        match self.backlog.fill(after, most).await {
            Ok(true) if publisher.has_room() => {
                let mut left = CHUNK;
                while left > 0
                    && publisher.has_room()
                    && let Some(event) = self.backlog.next()
                {
                    if let Some(place) = self.machine.place(&event) {
                        publisher.send(place.partition, &event, place.placement);
                    }
                    left -= 1;
                }
                tokio::task::yield_now().await;
            }
            Ok(_) => self.wait(until, stop).await,
            Err(error) => self.fail(error.into()),
        }
    }

    /// Waits until then, or until something happened: an arrival, a failure, the end of a survey, an append, the wish to stop.
    async fn wait(&mut self, until: Duration, stop: &mut watch::Receiver<bool>) {
        let pause = until.saturating_sub(self.now()).max(Duration::from_millis(1));
        let arrival = async {
            match &self.publisher {
                Some(publisher) => publisher.changed().await,
                None => std::future::pending().await,
            }
        };
        let surveyed = async {
            match &mut self.surveying {
                Some(surveying) => surveying.await,
                None => std::future::pending().await,
            }
        };
        let surveyed = tokio::select! {
            () = sleep(pause) => None,
            () = arrival => None,
            () = self.backlog.appended() => None,
            Ok(()) = stop.changed() => None,
            surveyed = surveyed => Some(surveyed),
        };
        match surveyed {
            None => {}
            Some(Ok(surveyed)) => self.surveyed(surveyed),
            Some(Err(error)) => self.surveyed(Err(self.stopped(error).into())),
        }
    }

    fn surveyed(&mut self, surveyed: Result<(FoundTopic, Survey), RelayError>) {
        self.surveying = None;
        let opened = surveyed.and_then(|(found, survey)| Ok((Publisher::open(&self.config.topic, found)?, survey)));
        match opened {
            Ok((publisher, survey)) => {
                self.publisher = Some(publisher);
                self.backlog.forget();
                self.machine.surveyed(&survey);
            }
            Err(error) => self.fail(error),
        }
    }

    fn stopped(&self, error: tokio::task::JoinError) -> StoreError {
        StoreError::Unavailable { location: format!("log {}", self.store.log_id()), source: error.into() }
    }
}
