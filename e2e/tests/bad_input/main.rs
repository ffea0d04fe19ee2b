//! Bad input, each answered with an error that names the place and the remedy: nothing is lost, and nothing else stops.


mod components;
mod events;
mod queries;
mod start;
