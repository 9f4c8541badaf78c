//! What a contact may be linked by.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Name,
    normal::{self},
    roles,
};

/// An e-mail address or a number within one organisation, as a digest: equal digests, equal values.
///
/// An address and a number never have the same digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The digest.
    pub key: Uuid,
    /// Whether it is an e-mail address.
    pub by_email: bool,
}

/// What the clusterer knows of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Which contact.
    pub contact: Uuid,
    /// Its name.
    pub name: Name,
    /// Its links, sorted, each once: at most one e-mail address and two numbers.
    pub links: Vec<Link>,
}

impl Facts {
    /// The facts of a contact at an organisation (normalised name). Without organisation there are no links.
    pub fn new(
        contact: Uuid,
        name: Name,
        organisation: Option<&str>,
        email: Option<&str>,
        direct: Option<&str>,
        mobile: Option<&str>,
    ) -> Self {
        let mut links = Vec::new();
        if let Some(organisation) = organisation {
            let personal = |address: &String| address.rsplit_once('@').is_some_and(|(local, _)| !roles::is_role(local));
            if let Some(address) = email.and_then(normal::email).filter(personal) {
                links.push(Link { key: digest("email", organisation, &address), by_email: true });
            }
            for number in [direct, mobile].into_iter().flatten().filter_map(normal::telephone) {
                links.push(Link { key: digest("telephone", organisation, &number), by_email: false });
            }
        }
        links.sort_unstable();
        links.dedup();
        Self { contact, name, links }
    }
}

/// The key under which an organisation's main number would link, if it were allowed to.
pub fn main_number(organisation: &str, telephone: &str) -> Option<Uuid> {
    Some(digest("telephone", organisation, &normal::telephone(telephone)?))
}

fn digest(what: &str, organisation: &str, value: &str) -> Uuid {
    let mut hash = Sha256::new();
    for part in [what, organisation, value] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = from;
    }
    Uuid::from_bytes(bytes)
}
