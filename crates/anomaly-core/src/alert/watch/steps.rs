//! How a rule's alerts come and go: what a finding, or that there is none, does to them.

use super::{Asked, Stepped, Watch};
use crate::alert::life::{Ended, Life, Worst};
use crate::alert::{AlertId, Open, Step};
use crate::config::{Missing, Rule, Severity};
use crate::rule::held::{Last, Verdict};
use crate::rule::{self, Basis, Margin};
use crate::time::Timestamp;

impl Watch {
    #[cold]
    pub(super) fn strange(
        &mut self,
        asked: Asked<'_>,
        margin: Margin,
        severity: Severity,
    ) -> Option<Box<Stepped>> {
        let Asked { rule, at, .. } = asked;
        let worst = Worst { severity, peak: margin, peak_at: at };
        self.since.get_or_insert(at);
        let enough = self.push(asked, Some(true));
        if self.open.is_some() {
            rule.clear.hold.push(&mut self.calm, false);
            return self.worsen(asked, worst);
        }
        if enough {
            return Some(self.fire(asked, worst));
        }
        self.life_mut().pend(worst);
        None
    }

    #[inline(always)]
    pub(super) fn normal(&mut self, asked: Asked<'_>, margin: &Margin, calm: bool) -> Option<Box<Stepped>> {
        let enough = self.push(asked, Some(false));
        if self.open.is_none() {
            return self.without_a_reading(asked, enough);
        }
        self.calm(asked, *margin, calm)
    }

    /// There is no number. Nothing comes of it unless the rule says what that counts.
    #[cold]
    pub(super) fn missing(&mut self, asked: Asked<'_>) -> Option<Box<Stepped>> {
        let missing = asked.rule.missing;
        if missing == Missing::Skip {
            return None;
        }
        let enough = self.push(asked, None);
        match (self.open.is_some(), missing) {
            (false, _) => self.without_a_reading(asked, enough),
            (true, Missing::Breaching) => {
                asked.rule.clear.hold.push(&mut self.calm, false);
                None
            }
            (true, Missing::NotBreaching) => self.calm(asked, self.of_missing(asked), true),
            (true, _) => None,
        }
    }

    /// Fires on a reading that is not anomalous itself, because of those that are missing; else forgets when an
    /// episode began of which nothing is left.
    fn without_a_reading(&mut self, asked: Asked<'_>, enough: bool) -> Option<Box<Stepped>> {
        if enough {
            self.since.get_or_insert(asked.at);
            let peak = self.of_missing(asked);
            let severity = rule::severity(&asked.rule.severity, &peak);
            return Some(self.fire(asked, Worst { severity, peak, peak_at: asked.at }));
        }
        self.since = self.since.filter(|_| self.strange != 0);
        None
    }

    /// How many of the last readings are anomalous or missing, against how many it takes.
    #[cold]
    fn of_missing(&self, Asked { rule, .. }: Asked<'_>) -> Margin {
        let last = u64::MAX >> (64 - rule.hold.n());
        let missing = (!self.there & last).count_ones();
        let judged = f64::from(missing + (self.strange & self.there & last).count_ones());
        let threshold = f64::from(rule.hold.m());
        Margin::new(judged >= threshold, judged, threshold, judged / threshold, Basis::Missing { missing })
    }

    /// Remembers a reading, and those that should have come before it, and says whether the rule's `for` is met.
    #[inline]
    fn push(&mut self, asked: Asked<'_>, strange: Option<bool>) -> bool {
        match asked.rule.missing {
            Missing::Skip => asked.rule.hold.push(&mut self.strange, strange == Some(true)),
            _ => self.push_among_missing(asked, strange),
        }
    }

    #[inline(never)]
    fn push_among_missing(&mut self, Asked { rule, at, .. }: Asked<'_>, strange: Option<bool>) -> bool {
        let before = self.last.replace(self.last.map_or(at, |before| before.max(at)));
        // A series that begins was calm before: a start is no alert.
        let there = if before.is_none() { u64::MAX } else { self.there };
        let mut last = Last { strange: self.strange, there };
        if let Some(every) = rule.every {
            (0..absent(before, at, every.as_millis())).for_each(|_| last.push(None));
        }
        last.push(strange);
        let last = last.within(rule.hold);
        (self.strange, self.there) = (last.strange, last.there);
        last.evaluate(rule.hold, rule.missing) == Verdict::Alarm
    }

    #[cold]
    fn fire(&mut self, asked: Asked<'_>, worst: Worst) -> Box<Stepped> {
        let Asked { rule, series, at, calendar } = asked;
        let margin = worst.peak;
        let previous = self.previous.take();
        let (since, anomalous) = (self.since.unwrap_or(at), self.strange.count_ones());
        let life = self.life_mut();
        let Worst { severity, peak, peak_at } = life.end_pending(worst);
        let id = AlertId::new(series, &rule.name, at, previous.as_ref());
        let alert = Open { id, step_number: 1, since, fired_at: at, severity, peak, peak_at, anomalous };
        let flapping = rule.flapping.filter(|flapping| life.fire(flapping, at));
        let held = life.holds(rule, &alert, at, calendar);
        life.tell(rule, &alert, at, held.as_ref());
        self.calm = 0;
        self.previous = Some(alert.id.clone());
        self.open = Some(Box::new(alert.clone()));
        let step = if flapping.is_some() { Step::Flapping } else { Step::Fired };
        Box::new(Stepped {
            step,
            alert,
            margin,
            held,
            flapping,
            is_new_normal: false,
            was_held: false,
            seen: None,
        })
    }

    /// Fires at the deadline, which `asked` names, because nothing came since the time `heard`.
    pub(crate) fn fall_silent(&mut self, asked: Asked<'_>, heard: Timestamp, margin: Margin) -> Box<Stepped> {
        self.since = Some(heard);
        let severity = rule::severity(&asked.rule.severity, &margin);
        let stepped = self.fire(asked, Worst { severity, peak: margin, peak_at: asked.at });
        self.tidy();
        stepped
    }

    /// The silence lasts, at the time that `asked` names, as `margin` says, and is worse for it. `None` if it is not.
    pub(crate) fn be_silent_still(&mut self, asked: Asked<'_>, margin: Margin) -> Option<Box<Stepped>> {
        let reached = asked.rule.severity.iter().filter(|band| margin.excess >= band.at);
        let severity = reached.map(|band| band.level).max()?;
        let open = self.open.as_mut().filter(|open| severity > open.severity)?;
        (open.severity, open.peak, open.peak_at) = (severity, margin, asked.at);
        if let Some(life) = &mut self.life {
            life.go_on(asked.at, true);
        }
        let stepped = self.tell_again(asked, Step::Escalated, margin);
        self.tidy();
        stepped
    }

    /// Is over at `at`, because something came; `margin` is of the whole silence.
    pub(crate) fn be_heard(&mut self, rule: &Rule, at: Timestamp, margin: Margin) -> Option<Box<Stepped>> {
        let mut alert = *self.open.take()?;
        alert.severity = alert.severity.max(rule::severity(&rule.severity, &margin));
        (alert.peak, alert.peak_at) = (margin, at);
        self.since = None;
        let stepped = self.resolve(alert, margin);
        self.tidy();
        Some(stepped)
    }

    /// A reading is anomalous while the alert is open.
    #[cold]
    fn worsen(&mut self, asked: Asked<'_>, worst: Worst) -> Option<Box<Stepped>> {
        let open = self.open.as_mut()?;
        let before = open.severity;
        open.grow(worst);
        let is_worse = open.severity > before;
        if let Some(life) = &mut self.life {
            life.go_on(asked.at, is_worse);
        }
        match is_worse {
            true => self.tell_again(asked, Step::Escalated, worst.peak),
            false => self.remind(asked, worst.peak),
        }
    }

    /// Tells people of the open alert again, if it is time.
    #[cold]
    fn remind(&mut self, asked: Asked<'_>, margin: Margin) -> Option<Box<Stepped>> {
        let (open, life) = (self.open.as_ref()?, self.life.as_ref()?);
        let is_time = life.is_to_repeat(asked.rule, open, asked.at, asked.calendar);
        if is_time { self.tell_again(asked, Step::Repeated, margin) } else { None }
    }

    #[cold]
    fn tell_again(&mut self, asked: Asked<'_>, step: Step, margin: Margin) -> Option<Box<Stepped>> {
        let Asked { rule, at, calendar, .. } = asked;
        let alert = self.open.as_mut()?;
        alert.step_number += 1;
        let alert = Open::clone(alert);
        let life = self.life_mut();
        let was_held = step == Step::Repeated && life.holds_something();
        let held = life.holds(rule, &alert, at, calendar);
        life.tell(rule, &alert, at, held.as_ref());
        let (seen, flapping, is_new_normal) = (life.lapse(at), None, false);
        Some(Box::new(Stepped { step, alert, margin, held, flapping, is_new_normal, was_held, seen }))
    }

    #[cold]
    fn calm(&mut self, asked: Asked<'_>, margin: Margin, calm: bool) -> Option<Box<Stepped>> {
        let Asked { rule, at, .. } = asked;
        let enough = rule.clear.hold.push(&mut self.calm, calm);
        if let Some(life) = self.life.as_deref_mut().filter(|_| !calm) {
            life.go_on(at, false);
        }
        if !enough || self.life.as_ref().is_some_and(|life| life.flaps_on(rule, at)) {
            // A reminder on a reading that is as it should be would only confuse.
            return if calm { None } else { self.remind(asked, margin) };
        }
        let alert = *self.open.take()?;
        (self.strange, self.since) = (0, None);
        Some(self.resolve(alert, margin))
    }

    /// The step with which `alert`, which was open until now, is over.
    fn resolve(&mut self, alert: Open, margin: Margin) -> Box<Stepped> {
        let Ended { held, is_new_normal, seen } =
            self.life.as_deref_mut().map(Life::resolve).unwrap_or_default();
        Box::new(Stepped {
            step: Step::Resolved,
            alert: Open { step_number: alert.step_number + 1, ..alert },
            margin,
            held,
            flapping: None,
            is_new_normal,
            was_held: false,
            seen,
        })
    }
}

/// How many readings should have come between the times `before` and `at`, if they are `every_ms` apart; as many as
/// are remembered at most.
fn absent(before: Option<Timestamp>, at: Timestamp, every_ms: u128) -> u32 {
    let Some(before) = before else { return 0 };
    let elapsed = u128::try_from(at.ms_since(before)).unwrap_or(0);
    // Half a step early or late is in time.
    let steps = (elapsed + every_ms / 2) / every_ms.max(1);
    u32::try_from(steps.saturating_sub(1)).unwrap_or(u32::MAX).min(64)
}

impl Open {
    fn grow(&mut self, worst: Worst) {
        self.anomalous = self.anomalous.saturating_add(1);
        self.severity = self.severity.max(worst.severity);
        if worst.peak.excess > self.peak.excess {
            (self.peak, self.peak_at) = (worst.peak, worst.peak_at);
        }
    }
}
