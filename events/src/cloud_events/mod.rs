//! CloudEvents 1.0: JSON (structured mode) and Kafka headers (binary mode).
