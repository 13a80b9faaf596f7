//! The terminal: progress while something takes long, and only where a person watches.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::tcgetwinsize;

use crate::pipeline::progress::{Progress, Stage};
use crate::report::formats::contract::Style;

/// How often the line is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// How a report is shown on stdout: in colour and broken to lines where a terminal is there.
#[must_use]
pub fn style() -> Style {
    let stdout = std::io::stdout();
    let colour = !matches!(anstream::AutoStream::choice(&stdout), anstream::ColorChoice::Never);
    let width = tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
    Style { colour, width }
}

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
            (Some(bytes), "{prefix:>11} {bar:16.cyan/dim} {decimal_bytes}/{decimal_total_bytes}, {eta} left{wide_msg}")
        } else {
            (None, "{prefix:>11} {spinner} {elapsed}")
        };
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(stage.name());
        // One that nothing advances moves all the same: a folder is scanned without a word.
        bar.enable_steady_tick(TICK);
        self.with(|shown| *shown = bar);
    }

    fn advance(&self, bytes: u64) {
        self.with(|bar| bar.inc(bytes));
    }

    fn layer(&self, number: usize, total: usize) {
        self.with(|bar| bar.set_message(format!(", layer {number} of {total}")));
    }

    fn end(&self) {
        self.with(|bar| bar.finish_and_clear());
    }

    fn note(&self, text: &str) {
        self.with(|bar| bar.suspend(|| anstream::eprintln!("{text}")));
    }
}
