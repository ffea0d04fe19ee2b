//! Every rule of the value domain, by example.
