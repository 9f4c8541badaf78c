//! TLS for every connection: a service's own certificate ([`Identity`]), whom it believes when it connects ([`Trust`]), and
//! a socket that is either of both kinds ([`Stream`]).
//!
//! One provider (aws-lc-rs), TLS 1.2 and 1.3. A certificate is read again when its files change, and a broken one never
//! replaces one that works. Plain text is for loopback only: [`is_loopback`] is what the checks of configurations ask.

mod error;
mod identity;
mod loopback;
mod stream;
mod trust;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use error::{HandshakeError, TlsError};
pub use identity::{Identity, IdentityConfig};
pub use loopback::{address_is_loopback, is_loopback, url_is_plain_abroad};
pub use stream::{Reader, Stream, Writer};
pub use trust::Trust;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
