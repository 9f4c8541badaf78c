//! What the authority says to the rest: REST types and a client ([`types`], [`client`]), the signed policy
//! ([`signed`], [`watch`]), the audit log ([`audit`]), access tokens ([`token`]), registered schemas by id ([`schemas`]) and ready client configurations
//! ([`client_config`]).

pub mod audit;
pub mod client;
pub mod client_config;
pub mod keys;
pub mod schemas;
pub mod signed;
pub mod token;
pub mod types;
pub mod watch;

pub use client::{AuthorityClient, ClientError};
pub use client_config::ClientConfig;
pub use keys::{KeyError, PublicKey, SigningKey};
pub use signed::{SignedSnapshot, SignedSnapshotError, SnapshotSigner};
pub use token::{Audience, Claims, TokenError, TokenSigner, verify_token};
pub use watch::{Offer, PolicyConfig, PolicyHandle, SnapshotWatch, WatchError};
