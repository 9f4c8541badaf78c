//! The hub's word in an erasure: that nothing of whom it was told to erase can be opened at this door.

use seal::{CacheError, Contact, KeyCache};

/// Why the word is not given. It is asked for again.
#[derive(Debug, thiserror::Error)]
enum NotErased {
    #[error(transparent)]
    Keys(#[from] CacheError),
    #[error("{0} fenced contacts are not erased at the door")]
    Left(usize),
}

/// Looks every fenced contact up by what opens records here, and notes in the key store that it is erased. Never ends by itself.
pub(crate) async fn tell(keys: KeyCache) {
    let look = |contacts: Vec<Contact>| {
        let keys = keys.clone();
        async move {
            match keys.verify_gone(&contacts).await?.len() {
                0 => Ok::<_, NotErased>(()),
                left => Err(NotErased::Left(left)),
            }
        }
    };
    keys.forgetter("hub").run(look).await;
}
