//! Real brokers, real databases, real services and clients that we did not write, for tests, `make up` and `make demo`.
//!
//! Everything here starts processes of its own on free loopback ports with private directories, waits for a
//! **state** with a deadline (never for a time), and stops what it started: in `Drop`, on Ctrl-C, and, because each
//! child asks the kernel to be killed with its parent, even when the parent is killed with `-9`.
//!
//! | module | what |
//! |---|---|
//! | [`kafka`] | one or three Apache Kafka nodes with logins, ACLs and the console tools |
//! | [`postgres`] | a private PostgreSQL, copied from a template so that it is up within a second |
//! | [`keys`] | a key store and its key file |
//! | [`authority`] | certificates for all of them |
//! | [`stack`] | both, and the services wired together from generated configuration |
//! | [`clients`] | confluent-kafka, kafka-python, KafkaJS and the Java client as JSON-speaking processes |
//! | [`process`] | one supervised child: start, wait until ready, stop, kill, start again |
//! | [`raw`] | the Kafka protocol by hand, for what stock clients never send |
//! | [`revocation`] | how long a live reader still gets something |
//! | [`net`] | who is connected to a port, and who ever was |
//! | [`seeded`] | the same "random" values in every run |
//!
//! A test keeps its directory (logs, configuration, data) when it fails and prints where; set `JOINTUSE_KEEP=1` to
//! keep it always. The programs come from `infra/local/setup.sh` (`make setup`).
pub mod authority;
pub mod clients;
pub mod dir;
mod error;
pub mod kafka;
pub mod keys;
pub mod net;
pub mod paths;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod raw;
pub mod revocation;
pub mod seeded;
pub mod stack;
pub mod wait;

pub use error::{Error, Result};
