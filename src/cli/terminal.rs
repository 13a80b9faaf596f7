//! The terminal: progress while something takes long, and only where a person watches.

use std::io::IsTerminal as _;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::pipeline::progress::{Progress, Stage};

/// A bar on stderr for the stage under way. On anything but a terminal it draws nothing.
pub struct Terminal {
    bar: Mutex<ProgressBar>,
    shown: bool,
}

impl Terminal {
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        Self { bar: Mutex::new(ProgressBar::hidden()), shown: !quiet && std::io::stderr().is_terminal() }
    }

    fn with(&self, act: impl FnOnce(&mut ProgressBar)) {
        // A watcher that panicked while drawing is no reason to stop the work.
        act(&mut self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Progress for Terminal {
    fn begin(&self, stage: Stage, bytes: u64) {
        if !self.shown {
            return;
        }
        let (length, template) = if bytes > 0 {
            (Some(bytes), "{prefix:>11} {bar:20.cyan/dim} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}")
        } else {
            (None, "{prefix:>11} {spinner} {decimal_bytes}")
        };
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(stage.name());
        self.with(|shown| *shown = bar);
    }

    fn advance(&self, bytes: u64) {
        self.with(|bar| bar.inc(bytes));
    }

    fn end(&self) {
        self.with(|bar| bar.finish_and_clear());
    }

    fn note(&self, text: &str) {
        self.with(|bar| bar.suspend(|| anstream::eprintln!("{text}")));
    }
}
