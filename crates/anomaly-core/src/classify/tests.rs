use super::*;
use crate::alert::{Acknowledgement, Step};
use crate::calibration::Calibration;
use crate::config::{Calendar, Config, Method, Severity, Span};
use crate::position::{Position, Sequence};
use crate::reading::{Filled, Filling, Gap, Reading, SeriesId};
use crate::time::Timestamp;

pub(super) fn policy() -> Policy {
    let hot = Rule {
        name: "hot".to_owned(),
        on: On::Feature("b".to_owned()),
        method: Method::Static { threshold: 10.0 },
        hold: Default::default(),
        ..Rule::default()
    };
    let config = Config { rules: vec![Rule::default(), hot], ..Config::default() };
    Policy::new(&config, &["a".to_owned(), "b".to_owned()])
}

pub(super) fn scored(i: u32, b: f64, score: Option<f64>) -> Scored {
    let at = Timestamp::from_ms(i64::from(i) * 1000).expect("in range");
    let position =
        Position { partition: "p".into(), sequence: Sequence::from(u64::from(i)), sub: 0, arrived: at };
    let series = SeriesId::new("s").expect("a name");
    Scored {
        reading: Reading { series, at, features: vec![f64::from(i), b], filled: Vec::new(), position },
        score,
    }
}

fn said(judgement: &Judgement) -> Vec<String> {
    judgement.findings.iter().map(Found::to_string).collect()
}

#[test]
fn every_rule_finds_and_steps_carry_the_readings() {
    let (policy, mut state) = (policy(), SeriesState::default());
    for i in 0..30 {
        assert!(classify(&policy, &mut state, &scored(i, 1.0, None), "m").transitions.is_empty());
    }
    let judgement = classify(&policy, &mut state, &scored(30, 50.0, Some(0.9)), "m");
    assert_eq!(said(&judgement), ["warming up 1/100", "critical: 50 against 10 (fixed)"]);
    let [fired] = judgement.transitions.as_slice() else { panic!("one transition") };
    assert_eq!((fired.rule.as_str(), fired.on.as_str(), fired.number), ("hot", "b", 1));
    assert_eq!(fired.features[1].recent.len(), RECENT_KEPT);
    assert_eq!((fired.features[1].value, fired.features[1].recent.last()), (50.0, Some(&50.0)));
}

#[test]
fn a_finding_names_what_was_filled_in_of_what_it_rests_on() {
    let policy = policy();
    let gap = |feature| Filled { feature, gap: Gap::Null, with: Filling::Constant };
    let found = |filled: Vec<Filled>| {
        let mut scored = scored(1, 1.0, Some(0.5));
        scored.reading.filled = filled;
        let judgement = classify(&policy, &mut SeriesState::default(), &scored, "m");
        let names = |found: &Found| found.filled.iter().map(|f| f.name.clone()).collect::<String>();
        judgement.findings.iter().map(names).collect::<Vec<_>>()
    };
    assert_eq!(found(vec![]), ["", ""]);
    assert_eq!(found(vec![gap(0)]), ["a", ""], "the score rests on it, b does not");
    assert_eq!(found(vec![gap(0), gap(1)]), ["ab", "b"]);
}

#[test]
fn shares_of_rejects_have_a_rule_of_their_own() {
    let (policy, mut state) = (policy(), SeriesState::default());
    let share = |i: u32, share: f64| {
        let mut scored = scored(i, 0.0, None);
        scored.reading.series = SeriesId::rejects_of("p");
        scored.reading.features = vec![share];
        scored
    };
    let mut steps = Vec::new();
    let shares = [0.0, 0.2, 0.0, 0.3, 0.3, 0.6].into_iter().chain([0.0; 10]);
    for (i, value) in shares.enumerate() {
        let judgement = classify(&policy, &mut state, &share(i as u32, value), "m");
        assert_eq!(judgement.findings.len(), 1);
        steps.extend(judgement.transitions.into_iter().map(|t| (i, t.rule, t.on, t.severity)));
    }
    let rule = || crate::config::Rejects::RULE.to_owned();
    let on = || "rejected".to_owned();
    let step = |i, severity| (i, rule(), on(), severity);
    let [warning, critical] = [Severity::Warning, Severity::Critical];
    assert_eq!(steps, [step(4, warning), step(5, critical), step(15, critical)]);
}

#[test]
fn a_feature_that_is_not_there_takes_the_previous_value() {
    let mut config = Config::default();
    config.input.missing = crate::config::Fill::Previous;
    let mut policy = policy();
    policy.keeps_last = Policy::new(&config, &[]).keeps_last;
    let gap = |i: u32| {
        let mut scored = scored(i, 0.0, None);
        scored.reading.filled = vec![Filled { feature: 1, gap: Gap::Missing, with: Filling::Previous }];
        scored
    };
    let mut state = SeriesState::default();
    let first = classify(&policy, &mut state, &gap(1), "m");
    let unknown = "unjudged; b was missing: it had no value before, and is not judged";
    assert_eq!(said(&first), [unknown; 2], "nothing was there before");
    classify(&policy, &mut state, &scored(2, 50.0, None), "m");
    let mut state = SeriesState::decode(&state.encode()).expect("its own bytes");
    let second = classify(&policy, &mut state, &gap(3), "m");
    let filled = "critical: 50 against 10 (fixed); b was missing: its previous value stands for it";
    assert_eq!(said(&second)[1], filled);
    let third = classify(&policy, &mut state, &gap(4), "m");
    assert_eq!(said(&third)[1], filled, "a value stands until there is another");

    let mut fired = SeriesState::default();
    classify(&policy, &mut fired, &scored(1, 5.0, None), "m");
    let mut constant = gap(2);
    constant.reading.features[1] = 99.0;
    constant.reading.filled[0].with = Filling::Constant;
    let step = classify(&policy, &mut fired, &constant, "m").transitions.pop().expect("it fires");
    let text = crate::message::text(&step);
    assert!(text.contains("\n  b was missing: the constant set for that stands for it\n"), "{text}");
    assert_eq!(1, SeriesState::default().encode()[0], "who does not ask pays nothing");
}

/// Scores of two models on two scales, taking turns: each is judged by its own.
#[test]
fn what_was_learned_of_one_models_scores_says_nothing_of_anothers() {
    let rule =
        Rule { method: Method::Sigma { k: 3.0, warmup: 3 }, hold: Default::default(), ..Rule::default() };
    let config = Config { rules: vec![rule], ..Config::default() };
    let policy = Policy::new(&config, &["a".to_owned(), "b".to_owned()]);
    let mut state = SeriesState::default();
    let mut story = String::new();
    for i in 0..20 {
        let (model, scale) = if i % 2 == 0 { ("m", 1.0) } else { ("n", 1000.0) };
        let score = (1.0 + f64::from(i % 3) / 10.0) * scale;
        let judgement = classify(&policy, &mut state, &scored(i, 1.0, Some(score)), model);
        story.push(match judgement.findings[0].finding {
            Finding::WarmingUp { .. } => 'w',
            Finding::Normal(_) => '.',
            _ => 'x',
        });
        state = SeriesState::decode(&state.encode()).expect("its own bytes");
    }
    assert_eq!(story, "wwwwww..............");
    let strange = classify(&policy, &mut state, &scored(20, 1.0, Some(900.0)), "m");
    assert!(
        matches!(strange.findings[0].finding, Finding::Anomalous(..)),
        "of m, though n says so every day"
    );
}

#[test]
fn a_calibration_judges_the_scores_of_its_own_model_and_at_once() {
    let calibration = Calibration { model: "m".to_owned(), mean: 1.0, deviation: 0.1, quantiles: None };
    let mut config = Config { rules: vec![Rule::default()], ..Config::default() };
    config.model.calibration = Some(calibration);
    let policy = Policy::new(&config, &["a".to_owned(), "b".to_owned()]);
    let said = |model: &str, score: f64| {
        said(&classify(&policy, &mut SeriesState::default(), &scored(0, 1.0, Some(score)), model)).remove(0)
    };
    assert_eq!(said("m", 1.2), "normal: 1.2 against 1.35 (trained mean 1 + 3.5 × deviation 0.1)");
    assert_eq!(said("m", 2.0), "critical: 2 against 1.35 (trained mean 1 + 3.5 × deviation 0.1)");
    assert_eq!(said("n", 2.0), "warming up 1/100", "another model's");
    assert_eq!(said("e/blue@m", 2.0), said("m", 2.0), "behind an endpoint that tells");
    assert_eq!(said("e/blue@n", 2.0), "warming up 1/100");
}

/// Two rules, the first of which asks, and what they say of 2.0, which is strange to `own` alone.
#[test]
fn a_models_own_calibration_is_for_those_who_ask() {
    let own = Calibration::of("m".to_owned(), vec![0.9, 1.1]);
    let asks = Rule { calibrated: true, ..Rule::default() };
    let rules = vec![asks, Rule { name: "learns".to_owned(), ..Rule::default() }];
    let mut config = Config { rules, ..Config::default() };
    let said = |config: &Config, model: &str| {
        let policy = Policy::new(config, &["a".to_owned()]).with_own(own.clone());
        let scored = scored(0, 1.0, Some(2.0));
        said(&classify(&policy, &mut SeriesState::default(), &scored, model)).join(", ")
    };
    let strange = "critical: 2 against 1.35 (trained mean 1 + 3.5 × deviation 0.1)";
    assert_eq!(said(&config, "m"), format!("{strange}, warming up 1/100"));
    assert_eq!(said(&config, "n"), "warming up 1/100, warming up 1/100", "no other model's");
    config.rules[0].method = Method::Quantile(Default::default());
    assert!(
        said(&config, "m").starts_with("critical: 2 against 1.1 (the trained 99.5 % quantile; median 0.9)")
    );
    config.rules[0].method = Rule::default().method;
    config.model.calibration = Some(Calibration::of("e".to_owned(), vec![5.0, 7.0]));
    assert_eq!(said(&config, "m"), format!("{strange}, {strange}"), "as the endpoint's scores are judged");
    assert!(said(&config, "e").starts_with("normal: 2 against 9.5 (trained mean 6"));
}

/// What each method adds to the state of a series, in bytes, after a thousand readings.
#[test]
fn states_are_small() {
    let state = |rules: &[&str]| {
        let rules = rules.iter().enumerate().map(|(i, text)| {
            let rule: Rule = serde_json::from_str(text).expect("a rule");
            Rule { name: format!("r{i}"), ..rule }
        });
        let config = Config { rules: rules.collect(), ..Config::default() };
        let policy = Policy::new(&config, &["a".to_owned(), "b".to_owned()]);
        let mut state = SeriesState::default();
        for i in 0..1_200 {
            let value = f64::from(i * 31 % 97);
            classify(&policy, &mut state, &scored(i, value, Some(value / 100.0)), "m");
            if i % 100 == 50 {
                let read = SeriesState::decode(&state.encode()).expect("its own bytes");
                assert!(read == state, "of {config:?}");
                state = read;
            }
        }
        state.encode().len()
    };
    let default = state(&["{}"]);
    let of =
        |method: &str| state(&["{}", &format!(r#"{{"on":"b","method":{{"kind":"{method}"}}}}"#)]) - default;
    let methods = ["sigma", "robust", "quantile", "evt", "spike-and-dip", "change-point"];
    let bytes = methods.map(|method| format!("{method} {}", of(method))).join(", ");
    assert_eq!(bytes, "sigma 26, robust 516, quantile 198, evt 175, spike-and-dip 525, change-point 1495");
    assert!(default < 1024, "{default}");
    let every = r#"{"on":"b","method":{"kind":"static","threshold":100.0},"missing":"ignore","every":"1s"}"#;
    assert!(state(&["{}", every]) - default < 100);
}

#[test]
fn a_rule_is_for_the_series_it_names() {
    let text = r#"{"on":"b","series":"web-*","method":{"kind":"static","threshold":10.0},"for":"1 of 1"}"#;
    let config = Config { rules: vec![serde_json::from_str(text).expect("a rule")], ..Config::default() };
    let policy = Policy::new(&config, &["a".to_owned(), "b".to_owned()]);
    let judged = |series: &str| {
        let mut scored = scored(1, 50.0, None);
        scored.reading.series = SeriesId::new(series).expect("a name");
        let mut state = SeriesState::default();
        let judgement = classify(&policy, &mut state, &scored, "m");
        (said(&judgement).remove(0), judgement.transitions.len(), state.watches().count())
    };
    assert_eq!(judged("web-1"), ("critical: 50 against 10 (fixed)".to_owned(), 1, 1));
    assert_eq!(judged("db-1"), ("unjudged: the rule is for other series".to_owned(), 0, 0));
}

#[test]
fn a_redelivered_reading_is_known() {
    let (policy, mut state) = (policy(), SeriesState::default());
    classify(&policy, &mut state, &scored(5, 1.0, None), "m");
    assert!(state.has_seen(&scored(5, 1.0, None).reading.position));
    assert!(!state.has_seen(&scored(6, 1.0, None).reading.position));
}

#[test]
fn a_rule_on_a_feature_that_is_not_there_is_named() {
    let mut config = Config::default();
    config.rules.push(Rule { on: On::Feature("c".to_owned()), ..Rule::default() });
    assert_eq!(Policy::new(&config, &["a".to_owned()]).unknown_features(), ["c"]);
}

#[test]
fn late_readings_are_judged_beside_the_state_by_what_it_learned() {
    let policy = policy();
    let mut state = SeriesState::default();
    let judge = |state: &mut SeriesState, i, b| {
        let judgement = classify(&policy, state, &scored(i, b, Some(f64::from(i % 3))), "m");
        judgement.transitions.into_iter().map(|t| (t.rule, t.step.as_str())).collect::<Vec<_>>()
    };
    for i in 0..120 {
        judge(&mut state, i, 1.0);
    }
    assert_eq!(judge(&mut state, 120, 50.0), [("hot".to_owned(), "fired")]);
    let before = state.encode();

    let mut late = state.beside(None, &scored(60, 1.0, None).reading.position);
    assert_eq!(judge(&mut late, 60, 50.0), [("hot".to_owned(), "fired")], "an alert of its own");
    let position = |i| scored(i, 1.0, None).reading.position;
    let open = |state: &SeriesState| state.watches().any(|(_, watch)| watch.open().is_some());
    assert!(open(&state.beside(Some(late.clone()), &position(61))), "the next goes on");
    assert!(open(&state.beside(Some(late.clone()), &position(60 + 3_600))));
    assert!(!open(&state.beside(Some(late.clone()), &position(61 + 3_600))), "an hour later");
    assert!(!open(&state.beside(Some(late), &position(59))), "before it");
    assert_eq!(state.encode(), before);
}

/// Over 10 of `b`, on every reading.
fn hot() -> Rule {
    let clear = crate::config::Clear { hold: Default::default(), ..Default::default() };
    Rule {
        on: On::Feature("b".to_owned()),
        method: Method::Static { threshold: 10.0 },
        hold: Default::default(),
        clear,
        ..Rule::default()
    }
}

#[test]
fn lives_of_alerts_come_back_from_a_state() {
    let mut config =
        Config { rules: vec![Rule { quiet: Some(Span::Readings(9).into()), ..hot() }], ..Config::default() };
    let policy = Policy::new(&config, &["a".to_owned(), "b".to_owned()]);
    config.rules[0].quiet = None;
    let mut state = SeriesState::default();
    let told = |state: &mut SeriesState, i: u32, value: f64| {
        *state = SeriesState::decode(&state.encode()).expect("its own bytes");
        let judgement = classify(&policy, state, &scored(i, value, None), "m");
        judgement.transitions.into_iter().map(|t| (t.step, t.held.is_some())).next()
    };
    let steps: Vec<_> = (0..4).map(|i| told(&mut state, i, if i % 2 == 0 { 11.0 } else { 1.0 })).collect();
    use Step::{Fired, Resolved};
    assert_eq!(steps, [(Fired, false), (Resolved, false), (Fired, true), (Resolved, true)].map(Some));
    let plain = Policy::new(&config, &["a".to_owned(), "b".to_owned()]);
    let encoded = |policy: &Policy| {
        let mut state = SeriesState::default();
        classify(policy, &mut state, &scored(1, 1.0, None), "m");
        state.encode()[0]
    };
    assert_eq!((encoded(&plain), encoded(&policy)), (1, 10), "who asks for nothing pays nothing");
}

#[test]
fn what_a_calendar_excludes_is_not_judged() {
    let calendar = "name = 'works'\ndates = ['1970-01-01T00:00:03..1970-01-01T00:00:05']\neffect = 'exclude'";
    let calendars = vec![toml::from_str::<Calendar>(calendar).expect("a calendar")];
    let config = Config { rules: vec![hot()], calendars, ..Config::default() };
    let policy = Policy::new(&config, &["a".to_owned(), "b".to_owned()]);
    let mut state = SeriesState::default();
    let said: Vec<_> = (1..7).map(|i| classify(&policy, &mut state, &scored(i, 11.0, None), "m")).collect();
    let excluded = |j: &Judgement| j.findings[0].finding == Finding::Unjudged(Nothing::Excluded);
    assert_eq!(said.iter().map(excluded).collect::<Vec<_>>(), [false, false, true, true, false, false]);
    assert_eq!(said.iter().map(|j| j.transitions.len()).sum::<usize>(), 1, "the alert stays as it is");
    let series = &scored(1, 1.0, None).reading.series;
    let at = |ms| Timestamp::from_ms(ms).expect("in range");
    assert_eq!(
        [2_999, 3_000, 4_999, 5_000].map(|ms| policy.excludes(series, at(ms))),
        [false, true, true, false]
    );
}

#[test]
fn who_has_seen_an_alert_is_in_its_step() {
    let policy = policy();
    let mut state = SeriesState::default();
    let fired =
        (1..9).flat_map(|i| classify(&policy, &mut state, &scored(i, 90.0, None), "m").transitions).next();
    let fired = fired.expect("it fires");
    let at = Timestamp::from_ms(99_000).expect("in range");
    let seen = state.acknowledge(&fired, &Acknowledgement::by("anna"), at).expect("it is open");
    assert_eq!((seen.step, seen.at, seen.by.as_deref()), (Step::Acknowledged, at, Some("anna")));
    assert!(seen.number > fired.number && seen.alert == fired.alert);
    assert!(state.watches().any(|(_, watch)| watch.is_acknowledged()));
    let other = Transition { rule: "other".to_owned(), ..fired };
    assert_eq!(state.acknowledge(&other, &Acknowledgement::by("anna"), at), None);
}
