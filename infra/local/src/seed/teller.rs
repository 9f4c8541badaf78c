//! Telling people what is being done: one spinner line for the seed, the whole story for the demo.
#![expect(clippy::print_stdout, reason = "the story is the output")]

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Where telling goes.
#[derive(Debug)]
pub struct Teller {
    loud: bool,
    bar: ProgressBar,
}

impl Teller {
    /// Only shows what is being done now, and nothing when it is done.
    pub fn quiet() -> Self {
        Self { loud: false, bar: spinner() }
    }

    /// Tells everything.
    pub fn loud() -> Self {
        Self { loud: true, bar: spinner() }
    }

    /// Something begins that may take a while.
    pub fn doing(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// A line of the story.
    pub fn say(&self, line: &str) {
        if self.loud {
            self.bar.suspend(|| println!("{line}"));
        }
    }

    /// A command as somebody would type it.
    pub fn command(&self, who: &str, line: &str) {
        self.doing(line);
        self.say(&format!("  \x1b[2m{who}$\x1b[0m {line}"));
    }

    /// What came of it.
    pub fn outcome(&self, text: &str) {
        for line in text.lines() {
            self.say(&format!("      {line}"));
        }
    }

    /// Ends the spinner.
    pub fn done(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.done();
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {wide_msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
