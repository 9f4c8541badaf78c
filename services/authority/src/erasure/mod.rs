//! Erasing: a few steps, each on disk before the next begins, carried on after any crash until the certificate is signed.
//!
//! | step | what | why there |
//! |---|---|---|
//! | recorded | in the [`ledger`], a file that no restore reaches | before anything that a restore could undo |
//! | fenced | no query gives a key out any more | from here on nobody gets anything new |
//! | destroyed | the wrapped keys are deleted | the records on the bus are noise |
//! | heard | every cache has looked, or gives nothing out any more | opened keys are gone |
//! | tombstoned | the contact's record on the compacted topic | it is deleted there |
//! | forgotten | intake and history have nothing left, the hub opens nothing | they hear of fences by themselves |
//! | verified | all that, looked at again | |
//! | certified | signed | |
//!
//! At every start the [`replay`] comes first: what stands in the ledger is made so in the key store, and an erasure that
//! this database has lost by a restore is taken up again.

mod ledger;
mod replay;
mod worker;

use std::sync::Arc;

use authority_api::SigningKey;
use bus::{ProduceOptions, Producer};
use runtime::{BoxError, Context};
use seal::Fences;
use store::Store;

use self::worker::{Eraser, Parts};
use crate::state::AppState;

/// Starts the task.
pub(crate) fn spawn(ctx: &Context, app: &AppState, key: SigningKey) -> Result<(), BoxError> {
    let fences = Fences::new(Store::connect("authority", &app.config.keys.database)?);
    let options = ProduceOptions::low_latency();
    let eraser = Eraser::new(Parts {
        app: Arc::clone(app),
        fences,
        producer: Producer::new(&app.config.kafka, "authority-erasure", options)?,
        key,
        check: ctx.health().register("erasures"),
    });
    // Each step is on disk: the next start goes on.
    ctx.spawn("erasures", eraser.run(ctx.draining()));
    Ok(())
}
