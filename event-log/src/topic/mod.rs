//! The topic port: events in order of position, from a place in the log, waiting for more at its end.
