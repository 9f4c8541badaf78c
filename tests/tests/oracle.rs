//! The short form of `make chaos`: some faults of each kind on the whole stack, and a model of what each subscription may see
//! beside every byte that its client was given. `JOINTUSE_SEED` draws other faults.

use chaos::{Plan, schedule::Fault};
use tokio_util::sync::CancellationToken;

const FAULTS: usize = 24;
/// The day on which the amended Act came into force.
const SEED: u64 = 20_170_530;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_leaves_that_must_not() {
    let seed = std::env::var("JOINTUSE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let (enough, progress): (_, fn(&str)) = (CancellationToken::new(), |what| println!("{what}"));
    let report = chaos::run(Plan { seed, faults: FAULTS, enough, progress }).await.unwrap();
    println!("{}", report.text());
    assert!(!report.failed(), "seed {seed}: see above");
    // A run in which nothing happened would prove nothing.
    assert!(Fault::KINDS.iter().all(|kind| report.faults.contains_key(kind)), "{:?}", report.faults);
    assert_eq!(report.readings.len(), 8, "four live clients, and all four subscriptions read once more");
    for tally in &report.readings {
        assert!(tally.delivered > 100 && tally.published >= tally.delivered, "{tally:?}");
    }
    assert!(report.readings.iter().any(|tally| tally.withheld_erased > 0), "{:?}", report.readings);
}
