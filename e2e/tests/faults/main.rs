//! Faults: plugins that misbehave, stores that are not what they were, databases that go away. What is at fault is named and stops;
//! everything else goes on; nothing is lost.


mod away;
mod disk;
mod store;
mod unruly;
