//! `anomaly.toml`: everything a user decides.
//!
//! Read from TOML by people's tools ([`Config::from_toml`]) and from compact JSON by the functions
//! ([`Config::from_json`]); both report every problem at once. Each section has a file, with its keys, its
//! defaults and its checks.

mod calendar;
mod duration;
mod event_time;
mod formats;
mod hours;
mod input;
mod keys;
mod lifecycle;
mod m_of_n;
mod method;
mod model;
mod pattern;
mod rejects;
mod rule;
mod short;
mod source;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use calendar::{Calendar, Dates, Effect, Weekly, Zone};
pub use event_time::{EventTime, Untimely};
pub use formats::{Compression, Encoding, Fill, Format};
pub use hours::Hours;
pub use input::{Input, Origin};
pub use lifecycle::{Flapping, Learn, Quiet, Span};
pub use m_of_n::MOfN;
pub use method::{
    ChangePoint, Engine, Evt, HISTORY_MAX, Ignore, Martingale, Missing, Mode, NoData, Quantile, RateOfChange,
    Robust, Sides, SpikeAndDip,
};
pub use model::{Direction, Fallback, Model, ModelKind, STREAMING, Tensor};
pub use pattern::Pattern;
pub use rejects::Rejects;
pub use rule::{Band, Clear, Method, On, Rule, Severity};
pub use source::{Auth, Source, SourceKind};

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How a record becomes a reading.
    pub input: Input,
    /// Where scores come from.
    pub model: Model,
    /// What is an alert; one default rule if none is given.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
    /// When alerts are not told, or readings not judged.
    #[serde(rename = "calendar", skip_serializing_if = "Vec::is_empty")]
    pub calendars: Vec<Calendar>,
    /// Where records come from on AWS.
    pub source: Source,
    /// When rejected records are an alert.
    #[serde(skip_serializing_if = "rejects::is_default")]
    pub rejects: Rejects,
}

/// What the methods of all rules, and on AWS the streaming detector, may remember of a series: a DynamoDB item has
/// 400 KB, of which readings that wait take half.
pub const MEMORY_BYTES_MAX: u64 = 150_000;

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// One sentence a problem, each starting with the key or the line.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [one] => write!(f, "the configuration has a problem: {one}"),
            many => {
                write!(f, "the configuration has {} problems:", many.len())?;
                many.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads `anomaly.toml`.
    ///
    /// # Errors
    /// As for [`Config::unfinished`]; else every value out of range.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Config::unfinished(text)?.finish()
    }

    /// Reads `anomaly.toml` as it stands there, to be changed before it is finished ([`Config::finish`]).
    ///
    /// # Errors
    /// Every unknown key with its line and the nearest known one; else the first value of the wrong type.
    pub fn unfinished(text: &str) -> Result<Self, ConfigError> {
        let unknown = keys::unknown(text);
        if !unknown.is_empty() {
            return Err(ConfigError { problems: unknown });
        }
        toml::from_str(text).map_err(|error| ConfigError { problems: vec![keys::describe(text, &error)] })
    }

    /// Reads the compact JSON of [`Config::to_json`].
    ///
    /// # Errors
    /// The first value that cannot be read, or every value out of range.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let config: Config =
            serde_json::from_str(text).map_err(|e| ConfigError { problems: vec![e.to_string()] })?;
        config.finish()
    }

    /// The configuration as compact JSON, as the functions' environment carries it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a rule in a few words: a method's kind and, behind a colon, settings of the rule or of the method, such
    /// as `robust:k=4,on=cpu,for=3 of 5`.
    ///
    /// # Errors
    /// What is unknown or cannot be read; [`Config::finish`] says whether values are in range.
    pub fn rule_in_short(text: &str) -> Result<Rule, ConfigError> {
        short::read(text)
    }

    /// Fills in the default rule and checks every value.
    ///
    /// # Errors
    /// Every value out of range.
    pub fn finish(mut self) -> Result<Self, ConfigError> {
        if self.rules.is_empty() {
            self.rules.push(self.default_rule());
        }
        let problems = self.problems();
        if problems.is_empty() { Ok(self) } else { Err(ConfigError { problems }) }
    }

    /// Whether any rule judges silence ([`Method::NoData`]).
    pub fn judges_silence(&self) -> bool {
        self.rules.iter().any(|rule| rule.no_data().is_some())
    }

    fn default_rule(&self) -> Rule {
        match self.model.kind {
            ModelKind::None => Rule { on: On::Value, ..Rule::default() },
            ModelKind::Embedded => Rule::calibrated_score(),
            ModelKind::Forest | ModelKind::Endpoint => Rule::default(),
        }
    }

    /// An endpoint does not tell what its scores of normal rows were.
    fn calibration_problems(&self, problems: &mut Vec<String>) {
        let is_unknown = self.model.kind == ModelKind::Endpoint && self.model.calibration.is_none();
        for (index, rule) in self.rules.iter().enumerate().filter(|(_, rule)| is_unknown && rule.calibrated) {
            problems.push(format!(
                "rule[{index}].calibrated: {:?} needs [model.calibration]; `anomaly train --calibration FILE` writes it",
                rule.name
            ));
        }
    }

    /// How much of a series' state the methods of all rules may take at most, in bytes.
    pub fn rules_bytes_max(&self) -> u64 {
        self.rules.iter().map(Rule::memory_bytes_max).sum()
    }

    fn memory_problems(&self, problems: &mut Vec<String>) {
        let rules = self.rules_bytes_max();
        if rules > MEMORY_BYTES_MAX {
            problems.push(format!(
                "rule: the histories take up to {rules} bytes of a series' state, and there is room for \
                 {MEMORY_BYTES_MAX}; shorten `history`, `peaks` or `drift`"
            ));
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        self.input.problems(&mut problems);
        let names: Vec<String> = self.input.features.iter().map(|f| crate::fields::display_name(f)).collect();
        self.model.problems(&names, &mut problems);
        for (index, rule) in self.rules.iter().enumerate() {
            rule.problems(index, self.model.kind, &names, &mut problems);
            if self.rules[..index].iter().any(|other| other.name == rule.name) {
                problems.push(format!("rule[{index}].name: {:?} is taken by a rule above", rule.name));
            }
        }
        let rules: Vec<&str> =
            self.rules.iter().map(|rule| rule.name.as_str()).chain([Rejects::RULE]).collect();
        for (index, calendar) in self.calendars.iter().enumerate() {
            calendar.problems(index, &rules, &mut problems);
        }
        self.calibration_problems(&mut problems);
        self.memory_problems(&mut problems);
        self.source.problems(&mut problems);
        self.rejects.problems(&mut problems);
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(toml: &str, expected: Expect) {
        let shown = match Config::from_toml(toml) {
            Ok(config) => config.to_json(),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = Config::from_toml("").expect("valid");
        assert_eq!(config, Config { rules: vec![Rule::calibrated_score()], ..Config::default() });
    }

    #[test]
    fn json_carries_it_all() {
        let config = Config::from_toml(
            "[input]\nseries = \"/id\"\nfeatures = [\"/a\"]\n[model]\nkind = \"endpoint\"\nendpoint = \"e\"\n\
             [[rule]]\nname = \"hot\"\non = \"a\"\nmethod = { kind = \"static\", threshold = 80 }\nfor = \"3 of 5\"\n",
        )
        .expect("valid");
        assert_eq!(Config::from_json(&config.to_json()), Ok(config));
    }

    #[test]
    fn unknown_keys_are_all_named_with_the_nearest() {
        check(
            "[input]\nfeature = [\"/a\"]\n\n[modle]\nkind = \"none\"\n[[rule]]\nmethod = { kind = \"sigma\", kk = 2 }\n",
            expect![[r#"
                the configuration has 3 problems:
                  line 2: unknown key `input.feature`; the nearest is `features`
                  line 4: unknown key `modle`; the nearest is `model`
                  line 7: unknown key `rule.method.kk`; the nearest is `k`"#]],
        );
    }

    #[test]
    fn wrong_types_and_syntax_name_the_line() {
        check(
            "[model]\nkind = \"tree\"\n",
            expect![
                "the configuration has a problem: line 2: unknown variant `tree`, expected one of `embedded`, `forest`, `endpoint`, `none`"
            ],
        );
        check(
            "[[rule]]\nfor = \"5 of 3\"\n",
            expect![[
                r#"the configuration has a problem: line 2: "5 of 3" is not "M of N" with M from 1 to N and N up to 64, such as "3 of 5""#
            ]],
        );
        assert!(Config::from_toml("[input\n").is_err_and(|e| e.to_string().contains("line 1")));
    }

    #[test]
    fn a_calibration_must_be_known_and_of_use() {
        check(
            "[model]\nkind = \"endpoint\"\nendpoint = \"e\"\n[[rule]]\ncalibrated = true\n\
             [[rule]]\nname = \"hot\"\non = \"value\"\ncalibrated = true\n",
            expect![[r#"
                the configuration has 3 problems:
                  rule[1].calibrated: true is for on = "score" and method.kind = "sigma" or "quantile"
                  rule[0].calibrated: "too-strange" needs [model.calibration]; `anomaly train --calibration FILE` writes it
                  rule[1].calibrated: "hot" needs [model.calibration]; `anomaly train --calibration FILE` writes it"#]],
        );
        let given = "[model]\nkind = \"endpoint\"\nendpoint = \"e\"\n\
             [model.calibration]\nmodel = \"e\"\nmean = 1\ndeviation = 0.5\n[[rule]]\ncalibrated = true\n";
        let config = Config::from_toml(given).expect("valid");
        assert_eq!(Config::from_json(&config.to_json()), Ok(config));
        assert!(Config::from_toml("[[rule]]\ncalibrated = true\n").is_ok(), "a model may come along");
    }

    #[test]
    fn values_out_of_range_are_all_named() {
        check(
            "[input]\nfeatures = [\"a\", \"/b\", \"/b\"]\n[model]\nkind = \"none\"\n[source]\nshards = 0\n\
             [[rule]]\non = \"score\"\nmethod = { kind = \"sigma\", k = 0.0 }\nseverity = []\nclear = { below = 2.0 }\n",
            expect![[r#"
                the configuration has 7 problems:
                  input.features: "a" is no JSON pointer; write "/a"
                  input.features: "/b" is named twice
                  rule[0].on: "score" needs a model; with model.kind = "none" judge "value"
                  rule[0].method.k: 0 is not above 0
                  rule[0].severity: empty; give at least { at = 1.0, level = "warning" }
                  rule[0].clear.below: 2 is not 0 to 1
                  source.shards: 0 is not 1 to 10000"#]],
        );
    }
}
