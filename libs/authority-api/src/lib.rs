//! What the authority says to the rest: REST types and a client ([`types`], [`client`]), the signed policy
//! ([`signed`], [`watch`]) and stop list ([`restrictions`]), the audit log ([`audit`]), access tokens ([`token`]), registered
//! schemas by id ([`schemas`]), ready client configurations ([`client_config`]) and HTTP clients that know whom to believe
//! ([`http`]).

pub mod audit;
pub mod client;
pub mod client_config;
pub mod erasure;
pub mod http;
pub mod keys;
pub mod restrictions;
pub mod schemas;
pub mod signed;
pub mod token;
pub mod types;
pub mod watch;

pub use client::{AuthorityClient, ClientError};
pub use client_config::{ClientConfig, Mechanism};
pub use erasure::{Certificate, SignedCertificate};
pub use http::{HttpError, RegistryConfig};
pub use keys::{KeyError, PublicKey, SigningKey};
pub use restrictions::{InForce, RestrictionOffer, RestrictionSigner, RestrictionWatch, Restrictions};
pub use signed::{SignedSnapshot, SignedSnapshotError, SnapshotSigner};
pub use token::{Audience, Claims, DisclosureClaims, ProofClaims, TokenError, TokenSigner, verify_token};
pub use watch::{Offer, PolicyConfig, PolicyHandle, SnapshotWatch, WatchError};
