//! Two places of key-encryption keys at once, on the way from one to the other.

use super::{Kek, KekError, KekId, Wrapped};
use crate::{DataKey, KeyName};

/// One place wraps. What the other has wrapped before is still opened there, until it is
/// [wrapped anew](crate::KeyStore::rewrap).
#[derive(Debug)]
pub(crate) struct Beside<C, O> {
    pub(crate) current: C,
    pub(crate) other: O,
}

impl<C: Kek, O: Kek> Kek for Beside<C, O> {
    fn current(&self) -> KekId {
        self.current.current()
    }

    fn wrap(&self, keys: &[(KeyName, DataKey)]) -> Result<Vec<Wrapped>, KekError> {
        self.current.wrap(keys)
    }

    fn unwrap_keys(&self, keys: &[Wrapped]) -> Result<Vec<Result<DataKey, KekError>>, KekError> {
        let mut opened = self.current.unwrap_keys(keys)?;
        let lacks = |one: &Result<DataKey, KekError>| matches!(one, Err(KekError::Missing { .. }));
        let rest: Vec<Wrapped> =
            keys.iter().zip(&opened).filter(|(_, one)| lacks(one)).map(|(wrapped, _)| wrapped.clone()).collect();
        if !rest.is_empty() {
            let slots = opened.iter_mut().filter(|one| lacks(one));
            for (slot, found) in slots.zip(self.other.unwrap_keys(&rest)?) {
                *slot = found;
            }
        }
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use secret::SecretFile;

    use super::*;
    use crate::{Contact, KeyFile, kek::create};

    #[test]
    fn one_wraps_and_both_open() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            create(&dir.path().join(name), name.parse().unwrap()).unwrap();
            KeyFile::read(SecretFile::new(dir.path().join(name))).unwrap()
        };
        let (new, old, lost) = (place("new"), place("old"), place("lost"));
        let wrap = |by: &dyn Kek, contact: u8| {
            let key = DataKey::random().unwrap();
            let bytes = *key.expose();
            let name = KeyName { contact: Contact::new([contact; 16]), version: 1 };
            (by.wrap(&[(name, key)]).unwrap().remove(0), bytes)
        };
        let (first, second, third) = (wrap(&old, 1), wrap(&new, 2), wrap(&lost, 3));
        let both = Beside { current: new, other: old };
        let (fourth, of_both) = wrap(&both, 4);
        assert_eq!((fourth.kek.as_str(), both.current().as_str()), ("new", "new"));
        let opened = both.unwrap_keys(&[first.0, third.0, second.0, fourth]).unwrap();
        let opened: Vec<_> = opened.into_iter().map(|one| one.map(|key| *key.expose())).collect();
        let missing = Err(KekError::Missing { kek: "lost".parse().unwrap() });
        assert_eq!(opened, [Ok(first.1), missing, Ok(second.1), Ok(of_both)]);
    }
}
