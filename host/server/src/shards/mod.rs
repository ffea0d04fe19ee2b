//! A generation whose shards several hosts share: a member of its consumer group, with a task for each shard that the group gives this
//! host. Who runs a shard is decided by its checkpoint's epoch; the group only spreads the work.
//!
//! One host at a time, who holds the generation's lease, moves it through its life and through layouts.
//!
//! Not here: what a shard does (`shard`), what a layout's end means (`layout`).

mod layout;
mod shard;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reel_event_log::ReadLimit;
use reel_event_log::relay::state::Layout;
use reel_event_log::topic::foreign::ForeignTopic;
use reel_event_log::topic::kafka::consumer::{Member, Move};
use reel_event_log::topic::shard::{Ends, Partition};
use reel_events::Timestamp;
use reel_projector::{Checkpoint, Errand, Orders, Request, chain};
use reel_read_model::CatalogError;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use self::layout::{Plan, plan};
use self::shard::{Feeding, Reins, ShardTask, reins, run_apart};
use crate::config::{KafkaTopic, Topic};
use crate::lease;
use crate::lifecycle;
use crate::runner::{AbortOnDrop, Ended, Run, passing};

/// How often a host looks at layout, lease and checkpoints.
const PERIOD: Duration = Duration::from_secs(1);
/// The same while a layout ends.
const ENDING: Duration = Duration::from_millis(100);

impl Run {
    /// Runs this host's part of the generation's shards until it is told to stop.
    pub(crate) async fn share(&self, topic: &Topic, orders: &mut Orders) -> Result<(), Ended> {
        let mut group = match topic {
            Topic::Kafka(topic) => {
                let checkpoints = self.in_layout(topic).await?;
                let since = self.since(&checkpoints).await;
                let shards = checkpoints.len() as u32;
                let member = Member::join(&topic.url, &self.group_name(), shards, since);
                Group::of(self.clone(), Shared::Own(topic.clone()), &checkpoints, member)?
            }
            Topic::Foreign(topic) => {
                let checkpoints = self.in_partitions(topic).await?;
                let member = Member::spread(topic.url(), &self.group_name());
                Group::of(self.clone(), Shared::Foreign(topic.clone()), &checkpoints, member)?
            }
            Topic::Store => unreachable!("the store is tailed by one host alone"),
        };
        let ended = group.until_stopped(orders).await;
        group.leave().await;
        ended
    }

    /// The checkpoints, those of the newest layout wherever all stand at one point: so it is after a build.
    async fn in_layout(&self, topic: &KafkaTopic) -> Result<Vec<Checkpoint>, Ended> {
        let newest = newest(topic).await?;
        let id = self.generation.id;
        let checkpoints = self.checkpoints().await?;
        if plan(&checkpoints, newest) != Plan::Replace {
            return Ok(checkpoints);
        }
        self.target.relayout(id, &checkpoints, newest.from, newest.partitions).await.map_err(passing)
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, Ended> {
        let checkpoints = self.target.checkpoints(self.generation.id).await.map_err(passing)?;
        if checkpoints.is_empty() {
            return Err(Ended::Passing("the generation has no checkpoint".into()));
        }
        Ok(checkpoints)
    }

    /// The checkpoints, one for each partition of another producer's topic.
    async fn in_partitions(&self, topic: &ForeignTopic) -> Result<Vec<Checkpoint>, Ended> {
        self.same_topic(topic)?;
        let checkpoints = self.checkpoints().await?;
        let ends = topic.ends().await.map_err(|error| Ended::Passing(chain(&error)))?;
        self.same_partitions(topic, checkpoints.len() as u32, ends.len() as u32)?;
        Ok(checkpoints)
    }

    /// When the last event was recorded that every shard has applied; nothing where there is none, or the store does not say.
    async fn since(&self, checkpoints: &[Checkpoint]) -> Option<Timestamp> {
        let lowest = checkpoints.iter().map(|checkpoint| checkpoint.point.position).min()?;
        let before = lowest.checked_sub(1)?;
        let read = self.host.inner.store.read(before, ReadLimit::events(1)).await.ok()?;
        (!read.is_empty()).then(|| Timestamp::from_micros(read.get(0).recorded_at))
    }

    fn group_name(&self) -> String {
        let generation = &self.generation;
        // Two read databases may have the same name, and generations the same number: the moment tells them apart.
        let (target, made) = (self.target.name(), generation.created_at.micros());
        format!("reel-{target}-{}-{}-{made:x}", generation.projection, generation.number)
    }
}

/// The newest layout of the log, as the relay wrote it down.
async fn newest(topic: &KafkaTopic) -> Result<Layout, Ended> {
    let record = topic.relay.read().await.map_err(|error| Ended::Passing(chain(&error)))?;
    let newest = record.layouts.last().copied();
    newest.ok_or_else(|| {
        Ended::Passing(format!("no relay has published this log into {} yet: start a command service", topic.url))
    })
}

/// The topic whose partitions a group shares.
enum Shared {
    Own(KafkaTopic),
    Foreign(ForeignTopic),
}

/// This host's part of a generation.
struct Group {
    run: Run,
    topic: Shared,
    member: Member,
    layout: u64,
    shards: u32,
    reins: HashMap<u32, Reins>,
    tasks: JoinSet<(u32, Result<(), Ended>)>,
    ends: watch::Sender<Option<u64>>,
    /// Where the layout ends, once there is a newer one.
    layout_end: Option<u64>,
    /// Where the generation is held.
    held: watch::Receiver<Option<u64>>,
    suspected: Arc<Notify>,
    /// Moves the generation through its life, where this host has the lease.
    follow: Option<AbortOnDrop>,
    /// Partitions that the topic does not have any more; nobody else would run their shards to the layout's end.
    orphans: Vec<mpsc::Sender<reel_event_log::topic::shard::Piece>>,
}

impl Group {
    fn of(
        run: Run,
        topic: Shared,
        checkpoints: &[Checkpoint],
        member: Result<Member, impl std::error::Error>,
    ) -> Result<Group, Ended> {
        let member =
            member.map_err(|error| Ended::Passing(format!("the topic cannot be consumed: {}", chain(&error))))?;
        Ok(Group {
            held: run.gate.watch(),
            layout_end: None,
            run,
            topic,
            member,
            layout: checkpoints[0].layout,
            shards: checkpoints.len() as u32,
            reins: HashMap::new(),
            tasks: JoinSet::new(),
            ends: watch::Sender::new(None),
            suspected: Arc::default(),
            follow: None,
            orphans: Vec::new(),
        })
    }

    async fn until_stopped(&mut self, orders: &mut Orders) -> Result<(), Ended> {
        let mut next_look = tokio::time::Instant::now();
        loop {
            tokio::select! {
                biased;
                () = crate::runner::asked(&mut orders.stop) => return Ok(()),
                Some(ended) = self.tasks.join_next() => {
                    let (number, ended) = ended.expect("a shard does not panic, and nobody aborts it");
                    self.reins.remove(&number);
                    ended?;
                }
                moved = self.member.next() => self.moved(moved).await?,
                Some(request) = orders.requests.recv() => self.ask(request).await,
                Ok(()) = self.held.changed() => self.set_ends(),
                () = self.suspected.notified() => next_look = next_look.min(tokio::time::Instant::now() + ENDING),
                () = tokio::time::sleep_until(next_look) => {
                    self.look().await?;
                    let pause = if self.layout_end.is_some() { ENDING } else { PERIOD };
                    next_look = tokio::time::Instant::now() + pause;
                }
            }
        }
    }

    /// The group gives partitions to this host, or takes them away.
    async fn moved(&mut self, moved: Move) -> Result<(), Ended> {
        match moved {
            Move::Given { partition, messages } if partition < self.shards => self.start(partition, messages).await,
            Move::Given { partition, .. } => match &self.topic {
                // A partition that the layout does not have yet: dropped, it is not read.
                Shared::Own(_) => Ok(()),
                Shared::Foreign(topic) => self.run.same_partitions(topic, self.shards, partition + 1),
            },
            Move::Taken { partitions, done } => {
                let stopped = self.stop(|shard| partitions.contains(&shard)).await;
                drop(done);
                stopped
            }
        }
    }

    async fn start(&mut self, number: u32, partition: Partition) -> Result<(), Ended> {
        self.stop(|shard| shard == number).await?;
        let (reins, orders) = reins();
        let feeding = match &self.topic {
            Shared::Own(_) => Feeding::Own {
                partition: Arc::new(Mutex::new(partition)),
                ends: Ends { through: self.ends.subscribe(), suspected: Arc::clone(&self.suspected) },
            },
            Shared::Foreign(topic) => Feeding::Foreign(topic.clone()),
        };
        let task = ShardTask { run: self.run.clone(), number, shards: self.shards, feeding };
        tracing::info!(shard = number, of = self.shards, "shard taken");
        self.reins.insert(number, reins);
        self.tasks.spawn(async move { (number, task.until_stopped(orders).await) }.in_current_span());
        Ok(())
    }

    /// Stops shards, each behind the batch it is at.
    async fn stop(&mut self, which: impl Fn(u32) -> bool) -> Result<(), Ended> {
        for (shard, reins) in &self.reins {
            if which(*shard) {
                reins.stop.send_replace(true);
            }
        }
        while self.reins.keys().any(|shard| which(*shard)) {
            let Some(ended) = self.tasks.join_next().await else { break };
            let (number, ended) = ended.expect("a shard does not panic, and nobody aborts it");
            self.reins.remove(&number);
            ended?;
        }
        Ok(())
    }

    async fn leave(mut self) {
        // What a shard says now was said before, or comes too late.
        while self.stop(|_| true).await.is_err() {}
        self.member.leave().await;
        lease::release(&self.run.target, self.run.generation.id, self.run.host.inner.holder).await;
    }

    /// Hands a request to its shard, whoever runs that.
    async fn ask(&mut self, request: Request) {
        let number = match &request.errand {
            Errand::Retry(retry) => retry.shard(self.shards),
            Errand::Rederive(rederive) => rederive.shard,
        };
        if number >= self.shards {
            // The shards were laid out anew: whoever asked hears that nobody took it.
            return;
        }
        match self.reins.get(&number) {
            Some(reins) => {
                // A shard that has just ended answers by dropping the question.
                let _ = reins.requests.send(request).await;
            }
            None => {
                tokio::spawn(run_apart(self.run.clone(), (number, self.shards), request));
            }
        }
    }

    /// Looks at layout, lease and checkpoints. What does not answer is asked again soon.
    async fn look(&mut self) -> Result<(), Ended> {
        match self.look_now().await {
            Err(Ended::Passing(why)) => {
                tracing::debug!(%why, "not looked at");
                Ok(())
            }
            looked => looked,
        }
    }

    async fn look_now(&mut self) -> Result<(), Ended> {
        let id = self.run.generation.id;
        let leads = self.run.target.lease(id, self.run.host.inner.holder, lease::LASTS).await.map_err(passing)?;
        let checkpoints = self.run.target.checkpoints(id).await.map_err(passing)?;
        let own = |checkpoint: &Checkpoint| checkpoint.layout == self.layout;
        if checkpoints.len() != self.shards as usize || !checkpoints.iter().all(own) {
            return Err(Ended::Again);
        }
        self.lead(leads);
        let Shared::Own(topic) = &self.topic else { return Ok(()) };
        let newest = newest(topic).await?;
        match plan(&checkpoints, newest) {
            Plan::Stay => {}
            Plan::Replace if leads => return self.replace(&checkpoints, newest).await,
            Plan::Replace => self.end_layout(checkpoints[0].point.position),
            Plan::End { through } => {
                self.end_layout(through);
                if leads {
                    self.adopt_orphans(newest.partitions).await?;
                }
            }
        }
        Ok(())
    }

    fn end_layout(&mut self, through: u64) {
        self.layout_end = Some(through);
        self.set_ends();
    }

    /// Whoever is held runs there from history, and no further, as to a layout's end.
    fn set_ends(&mut self) {
        let held = *self.held.borrow_and_update();
        self.ends.send_replace(self.layout_end.into_iter().chain(held).min());
    }

    /// Starts or ends what the holder of the lease does.
    fn lead(&mut self, leads: bool) {
        if !leads {
            self.follow = None;
        } else if self.follow.is_none() {
            self.follow = Some(AbortOnDrop(tokio::spawn(lifecycle::follow(self.run.clone()))));
        }
    }

    /// Puts the checkpoints of the new layout in their place; whoever runs a shard of the old one is fenced, and looks again.
    async fn replace(&mut self, checkpoints: &[Checkpoint], newest: Layout) -> Result<(), Ended> {
        let id = self.run.generation.id;
        self.end_layout(checkpoints[0].point.position);
        match self.run.target.relayout(id, checkpoints, newest.from, newest.partitions).await {
            Ok(_) => {
                tracing::info!(layout = newest.from, shards = newest.partitions, "the generation has a new layout");
                Err(Ended::Again)
            }
            Err(CatalogError::Conflict { .. }) => Ok(()),
            Err(error) => Err(passing(error)),
        }
    }

    /// Runs the shards whose partitions the topic does not have any more.
    async fn adopt_orphans(&mut self, partitions: u32) -> Result<(), Ended> {
        for number in partitions..self.shards {
            if !self.reins.contains_key(&number) {
                let (silent, pieces) = mpsc::channel(1);
                self.orphans.push(silent);
                self.start(number, Partition { pieces, hint: Box::new(|_| {}) }).await?;
            }
        }
        Ok(())
    }
}
