//! KEKs in a hardware module, or whatever else speaks PKCS#11. They never leave it: every wrapping and unwrapping is a
//! call of the device.
//!
//! A KEK is an AES-256 secret key on the token whose label is its id, sensitive and not extractable
//! ([`Pkcs11::generate`]). The wrapped bytes are those of [`KeyFile`](super::KeyFile): nonce, ciphertext, tag, with the same
//! binding. The nonce comes from this process (PKCS#11 2.40, `CKM_AES_GCM`); modules in FIPS mode that insist on making it
//! themselves need the message interface of PKCS#11 3.0, which few have yet.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::rand;
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Module},
    error::{Error, RvError},
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, KeyType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    types::AuthPin,
};
use secret::{SecretError, SecretFile};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    Kek, KekError, KekId, Wrapped,
    aes::{NONCE, WRAPPED},
    binding,
};
use crate::{DataKey, KeyName, key::DATA_KEY};

const TAG_BITS: u64 = 128;

/// Which device, and which key of it wraps.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11Config {
    /// The module's shared library, e.g. `/usr/lib/softhsm/libsofthsm2.so`.
    pub module: PathBuf,
    /// Label of the token.
    pub token: String,
    /// File with the user's PIN.
    pub pin_file: SecretFile,
    /// Id (label) of the key that wraps.
    pub current: String,
}

/// The device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Pkcs11Error {
    /// The module cannot be loaded, or a call of it failed.
    #[error("PKCS#11 {what}: {source}")]
    Module { what: &'static str, source: Error },
    /// The PIN file.
    #[error(transparent)]
    Pin(#[from] SecretError),
    /// No token has the label.
    #[error("no PKCS#11 token is labelled {token}")]
    NoToken { token: String },
    /// Two keys have one label.
    #[error("the PKCS#11 token has two keys labelled {kek}")]
    Twice { kek: KekId },
    /// The key that should wrap is not there, or its id is none.
    #[error(transparent)]
    Kek(#[from] KekError),
}

/// Says what was being done.
trait During<T> {
    fn during(self, what: &'static str) -> Result<T, Pkcs11Error>;
}

impl<T> During<T> for Result<T, Error> {
    fn during(self, what: &'static str) -> Result<T, Pkcs11Error> {
        self.map_err(|source| Pkcs11Error::Module { what, source })
    }
}

/// KEKs on a PKCS#11 token.
pub struct Pkcs11 {
    module: Module,
    config: Pkcs11Config,
    current: KekId,
    /// One session, used by one at a time; `None` after a failure, until the next call.
    device: Mutex<Option<Device>>,
}

struct Device {
    session: Session,
    keys: BTreeMap<KekId, ObjectHandle>,
}

impl Pkcs11 {
    /// Loads the module, logs in and looks for the keys.
    ///
    /// # Errors
    /// [`Pkcs11Error`].
    pub fn open(config: Pkcs11Config) -> Result<Self, Pkcs11Error> {
        let current: KekId = config.current.parse()?;
        let module = load(&config)?;
        let device = Device::connect(&module, &config)?;
        if !device.keys.contains_key(&current) {
            return Err(KekError::Missing { kek: current }.into());
        }
        Ok(Self { module, config, current, device: Mutex::new(Some(device)) })
    }

    /// Makes a new key on the token that cannot leave it. It wraps once a configuration says that it is current.
    ///
    /// # Errors
    /// [`Pkcs11Error`].
    pub fn generate(config: &Pkcs11Config, id: &KekId) -> Result<(), Pkcs11Error> {
        let device = Device::connect(&load(config)?, config)?;
        if device.keys.contains_key(id) {
            return Err(Pkcs11Error::Twice { kek: id.clone() });
        }
        let template = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::ValueLen(32.into()),
            Attribute::Label(id.as_str().as_bytes().to_vec()),
        ];
        device.session.generate_key(&Mechanism::AesKeyGen, &template).during("generating a key").map(drop)
    }

    /// Runs `f` with a session that works as far as is known.
    fn with<T>(&self, f: impl FnOnce(&mut Device) -> Result<T, KekError>) -> Result<T, KekError> {
        let mut held = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        let mut device = match held.take() {
            Some(device) => device,
            None => Device::connect(&self.module, &self.config).map_err(|error| self.unavailable(&error))?,
        };
        let done = f(&mut device);
        if !matches!(done, Err(KekError::Unavailable { .. })) {
            *held = Some(device);
        }
        done
    }

    fn unavailable(&self, reason: &dyn fmt::Display) -> KekError {
        KekError::Unavailable { kek: self.current.clone(), reason: reason.to_string() }
    }
}

impl fmt::Debug for Pkcs11 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Kek for Pkcs11 {
    fn current(&self) -> KekId {
        self.current.clone()
    }

    fn wrap(&self, keys: &[(KeyName, DataKey)]) -> Result<Vec<Wrapped>, KekError> {
        self.with(|device| keys.iter().map(|(name, key)| device.wrap(&self.current, *name, key)).collect())
    }

    fn unwrap_keys(&self, keys: &[Wrapped]) -> Result<Vec<Result<DataKey, KekError>>, KekError> {
        self.with(|device| {
            if keys.iter().any(|wrapped| !device.keys.contains_key(&wrapped.kek)) {
                // It may have been made since.
                device.keys = find(&device.session).map_err(|error| self.unavailable(&error))?;
            }
            let unwrap = |wrapped: &Wrapped| match device.unwrap(wrapped) {
                Err(error @ KekError::Unavailable { .. }) => Err(error),
                done => Ok(done),
            };
            keys.iter().map(unwrap).collect()
        })
    }
}

impl Device {
    fn connect(module: &Module, config: &Pkcs11Config) -> Result<Self, Pkcs11Error> {
        let slots = module.get_slots_with_initialized_token().during("listing tokens")?;
        let labelled = |slot: &cryptoki::slot::Slot| {
            module.get_token_info(*slot).is_ok_and(|token| token.label().trim_end() == config.token)
        };
        let no_token = || Pkcs11Error::NoToken { token: config.token.clone() };
        let slot = slots.into_iter().find(labelled).ok_or_else(no_token)?;
        let session = module.open_rw_session(slot).during("opening a session")?;
        let pin = AuthPin::new(config.pin_file.read()?.into_exposed().into());
        match session.login(UserType::User, Some(&pin)) {
            // Logging in is a matter of the process, not of the session.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(source) => return Err(Pkcs11Error::Module { what: "logging in", source }),
        }
        let keys = find(&session)?;
        Ok(Self { session, keys })
    }

    fn key(&self, kek: &KekId) -> Result<ObjectHandle, KekError> {
        self.keys.get(kek).copied().ok_or_else(|| KekError::Missing { kek: kek.clone() })
    }

    fn wrap(&self, kek: &KekId, name: KeyName, data: &DataKey) -> Result<Wrapped, KekError> {
        let key = self.key(kek)?;
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce).map_err(|_| KekError::Random { kek: kek.clone() })?;
        let mut bytes = Vec::with_capacity(WRAPPED);
        bytes.extend_from_slice(&nonce);
        let aad = binding(kek, name);
        let sealed = GcmParams::new(&mut nonce, &aad, TAG_BITS.into())
            .and_then(|params| self.session.encrypt(&Mechanism::AesGcm(params), key, data.expose()));
        bytes.extend_from_slice(&sealed.map_err(|error| unavailable(kek, &error))?);
        Ok(Wrapped { name, kek: kek.clone(), bytes })
    }

    fn unwrap(&self, wrapped: &Wrapped) -> Result<DataKey, KekError> {
        let key = self.key(&wrapped.kek)?;
        let wrong = || KekError::Wrong { kek: wrapped.kek.clone() };
        if wrapped.bytes.len() != WRAPPED {
            return Err(wrong());
        }
        let (nonce, sealed) = wrapped.bytes.split_first_chunk::<NONCE>().ok_or_else(wrong)?;
        let (mut nonce, aad) = (*nonce, binding(&wrapped.kek, wrapped.name));
        let opened = GcmParams::new(&mut nonce, &aad, TAG_BITS.into())
            .and_then(|params| self.session.decrypt(&Mechanism::AesGcm(params), key, sealed));
        match opened {
            Ok(data) => {
                let data = Zeroizing::new(data);
                let data: &[u8; DATA_KEY] = data.as_slice().try_into().map_err(|_| wrong())?;
                DataKey::unwrapped(|out| {
                    out.copy_from_slice(data);
                    Ok(())
                })
            }
            // Modules disagree on the code for a tag that does not fit. If the key works otherwise, that is what it is.
            Err(error) => Err(if self.works(&wrapped.kek) { wrong() } else { unavailable(&wrapped.kek, &error) }),
        }
    }

    /// Whether the device can use the key at all.
    fn works(&self, kek: &KekId) -> bool {
        DataKey::random().is_ok_and(|probe| self.wrap(kek, super::PROOF, &probe).is_ok())
    }
}

fn unavailable(kek: &KekId, error: &Error) -> KekError {
    KekError::Unavailable { kek: kek.clone(), reason: error.to_string() }
}

/// AES keys of the token whose label is an id.
fn find(session: &Session) -> Result<BTreeMap<KekId, ObjectHandle>, Pkcs11Error> {
    let template = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::KeyType(KeyType::AES)];
    let mut keys = BTreeMap::new();
    for object in session.find_objects(&template).during("looking for keys")? {
        let attributes =
            session.get_attributes(object, &[cryptoki::object::AttributeType::Label]).during("reading a label")?;
        let label = attributes.into_iter().find_map(|attribute| match attribute {
            Attribute::Label(label) => String::from_utf8(label).ok(),
            _ => None,
        });
        let Some(Ok(kek)) = label.map(|label| label.parse::<KekId>()) else { continue };
        if keys.insert(kek.clone(), object).is_some() {
            return Err(Pkcs11Error::Twice { kek });
        }
    }
    Ok(keys)
}

fn load(config: &Pkcs11Config) -> Result<Module, Pkcs11Error> {
    let module = Module::new(&config.module).during("loading the module")?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(source) => Err(Pkcs11Error::Module { what: "initialising the module", source }),
    }
}
