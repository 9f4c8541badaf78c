//! `make profile`: where the hub's processor time goes while it opens sealed records, by `perf`.

use std::path::Path;

use testkit::process::{Launch, Process};

use crate::{
    Failure, Result,
    bed::{Bed, Way},
    consume::{Client, read},
    report,
    sealed::Writer,
};

const TOPIC: &str = "jointuse.contact";
const RECORDS: u64 = 1_200_000;
const SECONDS: u64 = 12;

/// Reads again and again through the hub while `perf` samples it; leaves `perf`'s own file.
pub(crate) async fn run(data: &Path) -> Result<()> {
    report::say("starting a broker, a database and the services");
    let mut bed = Bed::start().await?;
    bed.stop_history().await?;
    report::say("writing 1.2 million sealed contacts");
    let begin = Writer::new(&bed, TOPIC).await?.fill(Bed::KEYS / 2, RECORDS).await?;
    bed.narrow().await?;
    let count = RECORDS - RECORDS / crate::sealed::OUTSIDE;
    read(&mut bed, Client::Librdkafka, Way::Blanked, TOPIC, &begin, count).await?;
    let hub = bed.between(Way::Blanked).ok_or(Failure::Setup("the hub does not run"))?;
    report::say("sampling: keys at hand, 1 % withheld, 3 items blanked");
    // The release build has no frame pointers: stacks are unwound by the tables that it has.
    let launch = Launch::new("perf").args([
        "record".to_owned(),
        "--freq=399".to_owned(),
        "--call-graph=dwarf,16384".to_owned(),
        format!("--output={}", data.display()),
        format!("--pid={hub}"),
        "--".to_owned(),
        "sleep".to_owned(),
        SECONDS.to_string(),
    ]);
    let mut perf = Process::start("perf", launch, bed.stack.directory().join("perf.log"))?;
    while perf.pid().is_some() && perf.is_running() {
        read(&mut bed, Client::Librdkafka, Way::Blanked, TOPIC, &begin, count).await?;
    }
    Ok(())
}
