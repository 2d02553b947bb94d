//! One request, until it is answered or given up: within its time, and asked again where that may help.

use std::time::Duration;

use crate::fault::{Fault, FaultKind};
use crate::ports::{Answer, Scorer, Timer};

use super::driver::Turn;

impl<S: Scorer, T: Timer, W> Turn<'_, S, T, W> {
    /// The scores of `rows`, checked, after as many attempts as the budget grants; one if `once`.
    pub(super) async fn ask(&self, scorer: &S, rows: &[&[f64]], once: bool) -> Result<Answer, Fault> {
        self.budget().request();
        let mut attempt = 1;
        loop {
            let fault = match self.attempt(scorer, rows).await {
                Ok(answer) => return check(scorer.model(), rows.len(), answer),
                Err(Unanswered::Late(fault)) => return Err(fault),
                Err(Unanswered::Failed(fault)) => fault,
            };
            let wait = if once { None } else { self.wait_after(fault.kind, attempt) };
            let Some(wait) = wait else { return Err(fault) };
            self.driver.timer.sleep(wait).await;
            attempt += 1;
        }
    }

    fn wait_after(&self, kind: FaultKind, attempt: u32) -> Option<Duration> {
        let roll = self.driver.roll();
        self.budget().retry(kind, attempt, self.left(), roll)
    }

    async fn attempt(&self, scorer: &S, rows: &[&[f64]]) -> Result<Answer, Unanswered> {
        match self.in_time(scorer.score(rows)).await {
            Some(answer) => answer.map_err(Unanswered::Failed),
            None => {
                let operation = format!("ask {}", scorer.model());
                Err(Unanswered::Late(Fault::transient(operation, "no answer within the function's time")))
            }
        }
    }
}

/// Why there is no answer.
enum Unanswered {
    /// The endpoint, or the way to it, failed.
    Failed(Fault),
    /// The time is over.
    Late(Fault),
}

/// One score per row, or no score at all is believed: a score must never stand beside the wrong row. A score
/// that is no finite number is taken for a refusal, because it is the row that made it so.
fn check(model: &str, rows: usize, answer: Answer) -> Result<Answer, Fault> {
    let operation = || format!("read the scores of {model}");
    if answer.scores.len() != rows {
        let detail = format!("{} scores for {rows} rows", answer.scores.len());
        return Err(Fault::permanent(operation(), detail));
    }
    match answer.scores.iter().find(|score| !score.is_finite()) {
        Some(score) => Err(Fault::refused(operation(), format!("its score is {score}"))),
        None => Ok(answer),
    }
}
