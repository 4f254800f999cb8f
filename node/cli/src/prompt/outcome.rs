//! What the mistakes of a script lead to: an exit code at the end, or the end at once.

use crate::arguments::OnMistake;
use crate::exit::ExitCode;

/// The first mistake or failure of a script, and what it leads to.
#[derive(Debug)]
pub(super) struct ScriptOutcome {
    on_mistake: OnMistake,
    /// The code of the first mistake or failure.
    code: ExitCode,
}

impl ScriptOutcome {
    /// No mistake was made yet.
    pub(super) fn new(on_mistake: OnMistake) -> ScriptOutcome {
        ScriptOutcome { on_mistake, code: ExitCode::Done }
    }

    /// Takes in that something that was asked for cannot be done: the first such thing decides the code.
    pub(super) fn fail(&mut self, code: ExitCode) {
        if self.code == ExitCode::Done {
            self.code = code;
        }
    }

    /// What a script leaves with.
    pub(super) fn code(&self) -> ExitCode {
        self.code
    }

    /// Whether a script carries out no further line.
    pub(super) fn is_stopped(&self) -> bool {
        self.on_mistake == OnMistake::Stop && self.code != ExitCode::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_mistake_decides_the_code_and_may_stop_a_script() {
        for (on_mistake, is_stopped) in [(OnMistake::GoOn, false), (OnMistake::Stop, true)] {
            let mut outcome = ScriptOutcome::new(on_mistake);
            outcome.fail(ExitCode::Done);
            assert!(!outcome.is_stopped());
            outcome.fail(ExitCode::NotFound);
            outcome.fail(ExitCode::Usage);
            assert_eq!((outcome.code(), outcome.is_stopped()), (ExitCode::NotFound, is_stopped));
        }
    }
}
