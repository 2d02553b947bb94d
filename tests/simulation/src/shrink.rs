//! The smallest round that still fails, as far as it can be found.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use crate::round::{Outcome, Question, run};

/// A round that fails, made small.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The smallest round that was found, with its story.
    pub question: Question,
    /// What came of it.
    pub outcome: Outcome,
    /// What came of the whole round of the seed.
    pub whole: Outcome,
}

/// Runs the round of `seed`, every fourth seed's twice; what fails is made small.
///
/// # Errors
/// The smallest failing round found.
pub fn check(seed: u64) -> Result<Outcome, Box<Failure>> {
    let question = Question::of(seed);
    let mut outcome = run(&question);
    if outcome.problems.is_empty()
        && seed.is_multiple_of(4)
        && run(&question).trace.hash() != outcome.trace.hash()
    {
        outcome.problems.push("the same seed gave another story the second time".to_owned());
        return Err(Box::new(Failure { question, whole: outcome.clone(), outcome }));
    }
    if outcome.problems.is_empty() { Ok(outcome) } else { Err(Box::new(shrink(question, outcome))) }
}

fn shrink(mut question: Question, whole: Outcome) -> Failure {
    question.spared.from = Some(smallest(whole.strikes, |from| {
        let mut smaller = question.clone();
        smaller.spared.from = Some(from);
        smaller
    }));
    question.puts_max =
        smallest(whole.counts.records as usize, |puts_max| Question { puts_max, ..question.clone() });
    for number in (0..whole.strikes).rev() {
        let mut smaller = question.clone();
        smaller.spared.numbers.insert(number);
        if is_failing(&smaller) {
            question = smaller;
        }
    }
    let left = question.puts_max;
    question.puts_max = smallest(left, |puts_max| Question { puts_max, ..question.clone() });
    question.keeps_lines = true;
    let outcome = run(&question);
    Failure { question, outcome, whole }
}

fn is_failing(question: &Question) -> bool {
    !run(question).problems.is_empty()
}

/// The smallest number up to `most` with which the round fails, by halving; `most` if none is found.
fn smallest(most: usize, question: impl Fn(usize) -> Question) -> usize {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low.midpoint(high);
        if is_failing(&question(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    high
}

impl Failure {
    /// The numbers of the strikes that are left, at most.
    fn struck(&self) -> BTreeSet<usize> {
        let all = 0..self.question.spared.from.unwrap_or(self.outcome.strikes).min(self.outcome.strikes);
        all.filter(|number| !self.question.spared.numbers.contains(number)).collect()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { question, outcome, whole } = self;
        for line in outcome.trace.lines() {
            writeln!(f, "{line}")?;
        }
        let mut text = String::new();
        for problem in whole.problems.iter().take(3) {
            writeln!(text, "seed {}: {problem}", question.seed)?;
        }
        let (records, strikes) = (whole.counts.records, whole.strikes);
        writeln!(
            text,
            "smallest round found: {} of {records} records, strikes {:?} of {strikes}; its story is above",
            outcome.counts.records,
            self.struck(),
        )?;
        write!(text, "again: cargo xtask sim --seed {} --rounds 1", question.seed)?;
        f.write_str(&text)
    }
}
