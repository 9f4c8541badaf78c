//! Wrapping by AES-256-GCM in this process: nonce (12 bytes), wrapped key (32), tag (16).

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    rand,
};

use super::{KekError, KekId, Wrapped, binding};
use crate::{DataKey, KeyName, key::DATA_KEY};

pub(crate) const NONCE: usize = 12;
const TAG: usize = 16;
/// Bytes of a wrapped key.
pub(crate) const WRAPPED: usize = NONCE + DATA_KEY + TAG;

/// Expands a KEK; `None` when aws-lc refuses it.
pub(crate) fn expand(kek: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, kek).ok().map(LessSafeKey::new)
}

pub(crate) fn wrap(key: &LessSafeKey, kek: &KekId, name: KeyName, data: &DataKey) -> Result<Wrapped, KekError> {
    let no_luck = || KekError::Random { kek: kek.clone() };
    let mut bytes = vec![0; WRAPPED];
    let (head, tail) = bytes.split_at_mut(NONCE);
    let (body, tag) = tail.split_at_mut(DATA_KEY);
    let mut nonce = [0; NONCE];
    rand::fill(&mut nonce).map_err(|_| no_luck())?;
    head.copy_from_slice(&nonce);
    key.seal_out_of_place_scatter(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(binding(kek, name)),
        data.expose(),
        body,
        &[],
        tag,
    )
    .map_err(|_| no_luck())?;
    Ok(Wrapped { name, kek: kek.clone(), bytes })
}

pub(crate) fn unwrap(key: &LessSafeKey, wrapped: &Wrapped) -> Result<DataKey, KekError> {
    let wrong = || KekError::Wrong { kek: wrapped.kek.clone() };
    if wrapped.bytes.len() != WRAPPED {
        return Err(wrong());
    }
    let (nonce, tail) = wrapped.bytes.split_first_chunk::<NONCE>().ok_or_else(wrong)?;
    let (body, tag) = tail.split_last_chunk::<TAG>().ok_or_else(wrong)?;
    DataKey::unwrapped(|out| {
        key.open_separate_gather(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(binding(&wrapped.kek, wrapped.name)),
            body,
            tag,
            out,
        )
        .map_err(|_| wrong())
    })
}
