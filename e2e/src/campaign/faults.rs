//! Carries faults out, and mends them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::sleep;

use super::chronicle::Chronicle;
use super::plan::{Fault, How, Victim};
use super::processes::{Held, Processes, Slot, signal};
use super::servers::{Server, Servers};
use crate::dice::Dice;

/// How long whoever is stopped stands still.
const STILL: Duration = Duration::from_secs(10);
/// How long whoever was killed is down, at most.
const DOWN: u64 = 4_000;

/// Where faults happen.
pub(super) struct Field {
    pub(super) servers: Arc<Servers>,
    pub(super) processes: Arc<Processes>,
    pub(super) chronicle: Arc<Chronicle>,
}

/// What a fault holds while it lasts.
pub(super) enum Hold {
    Process(Place, Held),
    Server(Server, OwnedMutexGuard<()>),
    Topic,
}

/// Which process.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Commands(usize),
    Host(usize),
    Guest,
}

impl Field {
    /// Takes hold of what a fault is to happen to; nothing where that is not possible now: something else happens to it, there is no
    /// leader, the rows are in a file, the host that is to join has joined.
    pub(super) async fn hold(&self, fault: Fault) -> Option<Hold> {
        let place = match fault {
            Fault::Hit(Victim::Broker, _) => return self.server(Server::Broker),
            Fault::Hit(Victim::MongoDb, _) => return self.server(Server::MongoDb),
            Fault::Hit(Victim::ReadDatabase, _) => return self.server(self.servers.read_database()?),
            Fault::TopicDeleted => return self.processes.topic.delete().await.then_some(Hold::Topic),
            Fault::TopicDoubled => return self.processes.topic.double().await.then_some(Hold::Topic),
            Fault::Hit(Victim::Host(nth), _) => Place::Host(nth),
            Fault::Hit(Victim::CommandService(nth), _) => Place::Commands(nth),
            Fault::Hit(Victim::Leader, _) => {
                let leader = self.processes.leader().await?;
                Place::Commands(self.processes.commands.iter().position(|slot| slot.url == leader.url)?)
            }
            Fault::HostJoins | Fault::HostLeaves => Place::Guest,
        };
        let held = self.slot(place).hold()?;
        (held.is_none() == (fault == Fault::HostJoins)).then_some(Hold::Process(place, held))
    }

    /// Lets a fault happen, to its end.
    pub(super) async fn happens(&self, fault: Fault, hold: Hold, dice: &mut Dice) -> Result<(), String> {
        match (hold, fault) {
            (Hold::Process(place, mut held), Fault::HostJoins) => {
                self.processes.run(self.slot(place), &mut held).await;
            }
            (Hold::Process(place, mut held), Fault::HostLeaves) => self.slot(place).stop(&mut held).await?,
            (Hold::Process(place, held), Fault::Hit(_, how)) => {
                self.hit_process(self.slot(place), held, (how, dice)).await?;
            }
            (Hold::Server(server, _held), Fault::Hit(_, how)) => self.hit_server(server, how, dice).await,
            (Hold::Topic, _) | (_, Fault::TopicDeleted | Fault::TopicDoubled) => {}
            (Hold::Server(..), Fault::HostJoins | Fault::HostLeaves) => {}
        }
        self.processes.assert_running().await
    }

    async fn hit_process(&self, slot: &Slot, mut held: Held, (how, dice): (How, &mut Dice)) -> Result<(), String> {
        match how {
            How::Killed => {
                slot.kill(&mut held).await;
                sleep(Duration::from_millis(dice.below(DOWN))).await;
                self.processes.run(slot, &mut held).await;
            }
            How::Stopped => {
                let number = held.as_ref().map(crate::reel::Reel::process_number).into_iter().collect::<Vec<_>>();
                signal("STOP", &number).await;
                sleep(STILL).await;
                signal("CONT", &number).await;
            }
            How::Restarted => {
                slot.stop(&mut held).await?;
                self.processes.run(slot, &mut held).await;
            }
        }
        Ok(())
    }

    async fn hit_server(&self, server: Server, how: How, dice: &mut Dice) {
        match how {
            How::Killed => {
                self.servers.kill(server).await;
                sleep(Duration::from_millis(dice.below(DOWN))).await;
                self.servers.start_again(server).await;
            }
            How::Stopped => {
                self.servers.halt(server).await;
                sleep(STILL).await;
                self.servers.resume(server).await;
            }
            How::Restarted => {
                self.servers.stop(server).await;
                self.servers.start_again(server).await;
            }
        }
    }

    fn server(&self, server: Server) -> Option<Hold> {
        self.servers.hold(server).map(|held| Hold::Server(server, held))
    }

    fn slot(&self, place: Place) -> &Slot {
        match place {
            Place::Commands(nth) => &self.processes.commands[nth],
            Place::Host(nth) => &self.processes.hosts[nth],
            Place::Guest => &self.processes.guest,
        }
    }
}
