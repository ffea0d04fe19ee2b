//! The processes of `reel serve`: each for itself on one configuration, what they say of themselves, and what they do where something
//! that they need is not there.

mod apart;
mod doctor;
mod observed;
mod readiness;
