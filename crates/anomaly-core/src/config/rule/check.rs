//! What cannot be in a rule.

use super::{Method, On, Rule};
use crate::config::lifecycle::{Flapping, Learn, Quiet};
use crate::config::model::ModelKind;
use crate::config::{Ignore, MOfN, Missing, Sides, method};

/// As many models' scores as a series' state knows apart.
const MODELS_MAX: u64 = 4;

impl Rule {
    /// What is wrong with the rule at `index`, for a model of the kind `model` and these `features`, if they are known.
    pub(in crate::config) fn problems(
        &self,
        index: usize,
        model: ModelKind,
        features: &[String],
        problems: &mut Vec<String>,
    ) {
        let mut add = |key: &str, what: String| problems.push(format!("rule[{index}].{key}: {what}"));
        if self.name.is_empty() || self.name.len() > 64 || self.name.chars().any(char::is_control) {
            add("name", format!("{:?} is not 1 to 64 printable bytes", self.name));
        }
        self.on_problems(model, features, &mut add);
        for (key, what) in self.method.problems() {
            add(&format!("method.{key}"), what);
        }
        self.side_problems(&mut add);
        self.lifecycle_problems(&mut add);
        if self.no_data().is_some() {
            self.no_data_problems(&mut add);
        }
        if self.series.as_ref().is_some_and(|series| series.0.is_empty()) {
            add(
                "series",
                "empty; leave it out for all series, or write a pattern such as \"web-*\"".to_owned(),
            );
        }
        if self.every.is_some() && self.missing == Missing::Skip {
            add("every", "says when a reading is missing; say with `missing` what that counts".to_owned());
        }
        if self.every.is_some_and(|every| every.is_zero()) {
            add("every", "0s is no time; write \"1s\" or more".to_owned());
        }
        let may = matches!(self.method, Method::Sigma { .. } | Method::Quantile(_));
        if self.calibrated && (self.on != On::Score || !may) {
            let what = "true is for on = \"score\" and method.kind = \"sigma\" or \"quantile\"";
            add("calibrated", what.to_owned());
        }
        self.severity_problems(&mut add);
        if !(0.0..=1.0).contains(&self.clear.below) {
            add("clear.below", format!("{} is not 0 to 1", self.clear.below));
        }
    }

    fn on_problems(&self, model: ModelKind, features: &[String], add: &mut impl FnMut(&str, String)) {
        match &self.on {
            On::Score if model == ModelKind::None && self.is_on_score() => {
                add("on", "\"score\" needs a model; with model.kind = \"none\" judge \"value\"".to_owned());
            }
            On::Feature(name) if !features.is_empty() && !features.contains(name) => {
                add(
                    "on",
                    format!("{name:?} is no feature; there are: score, value, {}", features.join(", ")),
                );
            }
            _ => {}
        }
    }

    fn severity_problems(&self, add: &mut impl FnMut(&str, String)) {
        if self.severity.is_empty() {
            add("severity", "empty; give at least { at = 1.0, level = \"warning\" }".to_owned());
        }
        if self.severity.iter().any(|band| !(band.at.is_finite() && band.at >= 1.0)) {
            add("severity", "each `at` must be 1.0 (the threshold) or more".to_owned());
        }
        if !self.severity.is_sorted_by(|a, b| a.at < b.at && a.level < b.level) {
            add("severity", "the bands must rise, in `at` and in `level`".to_owned());
        }
    }

    fn lifecycle_problems(&self, add: &mut impl FnMut(&str, String)) {
        let quiet = self.quiet.iter().flat_map(Quiet::problems);
        let flapping = self.flapping.iter().flat_map(Flapping::problems);
        quiet.chain(flapping).for_each(|(key, what)| add(key, what));
        if self.repeat.is_some_and(|repeat| repeat.is_zero()) {
            add("repeat", "0s is no time; write \"4h\", or leave it out".to_owned());
        }
        let learns = matches!(
            self.method,
            Method::Sigma { .. } | Method::Robust(_) | Method::Quantile(_) | Method::Evt(_)
        );
        if self.learn == Learn::Normal && !learns {
            let what = "\"normal\" is for methods that learn what is usual: sigma, robust, quantile and evt";
            add("learn", what.to_owned());
        }
        if self.accept == 0 {
            add("accept", "0 readings look normal to everything; write 1 or more".to_owned());
        }
    }

    fn side_problems(&self, add: &mut impl FnMut(&str, String)) {
        match self.method {
            Method::SpikeAndDip(_) if self.sides != Sides::High => {
                add("direction", "spike-and-dip takes it from method.mode".to_owned());
            }
            Method::ChangePoint(_) if self.sides != Sides::High => {
                add("direction", "change-point looks both ways".to_owned());
            }
            Method::Static { .. } if self.sides == Sides::Both => {
                add("direction", "a threshold has one side; write two rules".to_owned());
            }
            _ => {}
        }
        let Ignore { absolute, relative } = self.ignore;
        if !(absolute.is_finite() && absolute >= 0.0 && relative.is_finite() && relative >= 0.0) {
            add("ignore", "`absolute` and `relative` must be 0 or more".to_owned());
        }
        if self.ignore != Ignore::default() && matches!(self.method, Method::Static { .. }) {
            add("ignore", "with a fixed threshold nobody knows what is usual; move the threshold".to_owned());
        }
    }

    /// A silence has no number, and nothing to be counted.
    fn no_data_problems(&self, add: &mut impl FnMut(&str, String)) {
        let default = Rule::default();
        let odd = [
            (
                "on",
                self.on != default.on,
                "no-data judges whether readings come, whatever is in them; leave it out",
            ),
            ("direction", self.sides != default.sides, "no-data has no sides; leave it out"),
            ("ignore", self.ignore != default.ignore, "no-data has no deviations; set method.after"),
            (
                "for",
                self.hold != MOfN::default(),
                "a silence counts once; how long it must be is method.after",
            ),
            (
                "missing",
                self.missing != default.missing,
                "is for readings that have nothing to judge; leave it out",
            ),
            (
                "every",
                self.every.is_some(),
                "is for rules that judge readings; how long one may wait is method.after",
            ),
            ("clear", self.clear != default.clear, "the next reading ends a silence; leave it out"),
            ("quiet", self.quiet.is_some(), "every silence is told once; leave it out"),
            (
                "repeat",
                self.repeat.is_some(),
                "no reading comes that could remind of a silence; leave it out",
            ),
            ("flapping", self.flapping.is_some(), "every silence is told once; leave it out"),
        ];
        odd.into_iter().filter(|(_, is_odd, _)| *is_odd).for_each(|(key, _, what)| add(key, what.to_owned()));
    }

    /// How much of a series' state the method's memory takes at most, in bytes, for each model whose scores it
    /// knows.
    pub(in crate::config) fn memory_bytes_max(&self) -> u64 {
        let tails = if self.sides == Sides::Both { 2 } else { 1 };
        let bytes = match self.method {
            Method::Static { .. } | Method::Sigma { .. } => 0,
            Method::RateOfChange(_) => 32,
            Method::Robust(robust) => 4 * u64::from(robust.history) + 8,
            Method::Quantile(_) => 192,
            Method::Evt(evt) => {
                let first = ((1.0 - evt.level) * f64::from(evt.warmup)).ceil() as u64 + 1;
                4 * (tails * first.max(u64::from(evt.peaks)) + u64::from(evt.drift)) + 96
            }
            Method::SpikeAndDip(spikes) => 4 * u64::from(spikes.history) + 32,
            Method::ChangePoint(changes) => 12 * u64::from(changes.history) + 48,
            // When the series was last heard, and by what: for all such rules together.
            Method::NoData(_) => 80,
        };
        // A new level is learned beside the old one.
        let beside = if self.learn == Learn::Normal { bytes } else { 0 };
        beside + if self.is_on_score() { bytes * MODELS_MAX } else { bytes }
    }
}

impl Method {
    fn problems(&self) -> method::Problems {
        let finite = |n: f64| n.is_finite();
        match *self {
            Method::Static { threshold } if !finite(threshold) => {
                vec![("threshold", format!("{threshold} is not a finite number"))]
            }
            Method::Sigma { k, .. } if !(finite(k) && k > 0.0) => vec![("k", format!("{k} is not above 0"))],
            Method::Sigma { warmup, .. } if warmup < 2 => {
                vec![("warmup", format!("{warmup} is not 2 or more"))]
            }
            Method::Static { .. } | Method::Sigma { .. } => Vec::new(),
            Method::Robust(robust) => robust.problems(),
            Method::Quantile(quantile) => quantile.problems(),
            Method::Evt(evt) => evt.problems(),
            Method::RateOfChange(rate) => rate.problems(),
            Method::SpikeAndDip(spikes) => spikes.problems(),
            Method::ChangePoint(changes) => changes.problems(),
            Method::NoData(no_data) => no_data.problems(),
        }
    }
}
