//! The sample companies, grants and data that `make up` leaves in the stack.
//!
//! Everything is done as people do it: operators by `hubctl`, companies by intake's REST. Each step looks first whether
//! it was done, and intake knows records that it has had, so seeding a seeded stack changes nothing.

pub mod desk;
pub mod hubctl;
pub mod publish;
pub mod teller;
pub mod world;

use std::collections::BTreeMap;

use desk::{Desk, Done, Secret};
use publish::{Import, Publisher};
use teller::Teller;
use world::{CANCELLATION, COMPANIES, FILES, GRANTS, SampleFile};

use crate::{
    error::{LocalError, file},
    places,
    running::Running,
    samples::{CARDS, SEED, Samples},
};

/// What the seed did.
#[derive(Debug)]
pub struct Seeded {
    /// Steps of operators that had to be done; 0 when all was there.
    pub steps: usize,
    /// Logins and secrets by grant.
    pub secrets: BTreeMap<&'static str, Secret>,
    /// What intake said, by file.
    pub imports: Vec<(SampleFile, Import)>,
}

/// Puts everything in; changes nothing when it is there.
///
/// # Errors
/// When a service refuses.
pub async fn seed(running: &Running) -> Result<(), LocalError> {
    let samples = Samples::generate(SEED, CARDS);
    let folder = places::local().join("samples");
    samples.write(&folder).map_err(file("write the samples to", &folder))?;
    let seeded = seed_with(running, &samples, &Teller::quiet()).await?;
    let count = |outcome: &str| seeded.imports.iter().map(|(_, import)| import.count(outcome)).sum::<usize>();
    eprintln!(
        "  seeded: {} companies, {} grants, {} steps of operators; {} records published, {} rows needed no publishing, {} refused",
        COMPANIES.len(),
        GRANTS.len(),
        seeded.steps,
        count("accepted"),
        count("unchanged"),
        count("refused"),
    );
    Ok(())
}

/// The same with given samples, telling what is done.
///
/// # Errors
/// When a service refuses.
pub async fn seed_with(running: &Running, samples: &Samples, teller: &Teller) -> Result<Seeded, LocalError> {
    let desk = Desk::open(running, teller).await?;
    let mut steps = 0;
    let mut count = |done: Done| steps += usize::from(done == Done::Now);
    for company in &COMPANIES {
        count(desk.company(company).await?);
    }
    for company in COMPANIES.iter().filter(|company| company.notice) {
        count(desk.notice(company.id).await?.0);
    }
    let mut secrets = BTreeMap::new();
    for grant in &GRANTS {
        count(desk.grant(grant).await?);
        let (done, secret) = desk.credential(grant).await?;
        count(done);
        secrets.insert(grant.id, secret);
    }
    let publisher = Publisher::new(running)?;
    let mut imports = Vec::new();
    for sample in FILES.iter().chain([&CANCELLATION]) {
        teller.doing(&format!("publishing {}", sample.name));
        let import = publish_file(&publisher, &secrets, samples, sample).await?;
        imports.push((*sample, import));
    }
    Ok(Seeded { steps, secrets, imports })
}

/// Publishes one sample file with its publication's credential.
///
/// # Errors
/// When the authority or intake refuses.
pub async fn publish_file(
    publisher: &Publisher,
    secrets: &BTreeMap<&'static str, Secret>,
    samples: &Samples,
    sample: &SampleFile,
) -> Result<Import, LocalError> {
    let secret = secrets
        .get(sample.publication.id)
        .ok_or_else(|| LocalError::Step(format!("no credential of {}", sample.publication.id)))?;
    let token = publisher.token(secret).await?;
    publisher.file(&token, sample, samples.file(sample.name)).await
}
