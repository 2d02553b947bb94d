//! What people and machines are told of a transition: one text per channel, none that SNS can refuse.
//!
//! Limits, with their source: a subject is printable ASCII of 1 to 99 characters that does not start with a
//! blank (the stricter reading of the SNS API reference, `Publish`); body and attributes together have at most
//! 262,144 bytes; with `MessageStructure = json` every value is a string and `default` must be there;
//! attribute values are not empty and hold no surrogate pairs (SNS developer guide, "Message attributes").

use serde::Serialize;

use crate::alert::{Feature, Step, Transition};
use crate::config::Flapping;
use crate::rule::short;
use crate::sparkline::sparkline;
use crate::time::human_duration;
use crate::wire::{self, TransitionV1};

/// A feature's name in a subject or an SMS is cut there.
const FEATURE_CHARS_MAX: usize = 24;
/// A feature from which less of the score comes is not given as a reason.
const REASON_SHARE_MIN: f64 = 0.05;

/// The longest subject, in characters.
pub const SUBJECT_CHARS_MAX: usize = 99;
/// The longest SMS, in characters: one part of 160 less 20 for the topic's display name, which SNS puts in
/// front as `NAME> `.
pub const SMS_CHARS_MAX: usize = 140;

/// A message to an SNS topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The e-mail's subject.
    pub subject: String,
    /// The bodies by protocol, as one JSON object, for `MessageStructure = json`.
    pub bodies: String,
    /// Attributes for filter policies: name and value, all of type `String`.
    pub attributes: Vec<(&'static str, String)>,
}

/// One body per protocol. SNS picks; `default` is for what has no key of its own.
#[derive(Serialize)]
struct Bodies<'a> {
    default: &'a str,
    email: &'a str,
    sms: &'a str,
    https: &'a str,
    http: &'a str,
    sqs: &'a str,
    lambda: &'a str,
}

/// The message of a transition.
pub fn message(transition: &Transition) -> Message {
    let text = text(transition);
    let machine = wire::write(&TransitionV1::new(transition.clone()));
    let bodies = Bodies {
        default: &text,
        email: &text,
        sms: &sms(transition),
        https: &machine,
        http: &machine,
        sqs: &machine,
        lambda: &machine,
    };
    let mut attributes = vec![
        ("severity", transition.severity.as_str().to_owned()),
        ("series", attribute(transition.series.as_str())),
        ("rule", attribute(&transition.rule)),
        ("alert", transition.alert.as_str().to_owned()),
        ("transition", transition.number.to_string()),
        ("step", transition.step.as_str().to_owned()),
    ];
    // There only if it is so: `{"late": [{"exists": false}]}` keeps late ones from a subscriber.
    attributes.extend(transition.late_ms.map(|_| ("late", "true".to_owned())));
    Message { subject: subject(transition), bodies: wire::write(&bodies), attributes }
}

/// The subject: `[CRITICAL] webserver: too-strange`, and `[RESOLVED] …` when it is over; `[CRITICAL LATE] …` of
/// readings that came late; `[WARNING] webserver: quiet, no data for 10 min` of a silence; and where the detector says
/// what a score comes from `[CRITICAL] webserver: too-strange, latency_ms 2000 (expected 5.3)`.
pub fn subject(transition: &Transition) -> String {
    let silent_for = transition.margin.silent_for();
    let more = match transition.step {
        _ if !transition.is_of_silence() => {
            culprit(transition).map_or_else(String::new, |what| format!(", {what}"))
        }
        Step::Resolved => format!(", data again after {silent_for}"),
        _ => format!(", no data for {silent_for}"),
    };
    fit_ascii(&(head(transition) + &more), SUBJECT_CHARS_MAX)
}

/// The feature that most of the score comes from: its value, and what that was to be.
fn culprit(transition: &Transition) -> Option<String> {
    let share = |f: &&Feature| f.share.unwrap_or(0.0);
    let most = transition.features.iter().max_by(|a, b| share(a).total_cmp(&share(b)))?;
    let name: String = most.name.chars().take(FEATURE_CHARS_MAX).collect();
    Some(format!("{name} {} (expected {})", short(most.value), short(most.expected?)))
}

/// How bad, whose, and by which rule.
fn head(transition: &Transition) -> String {
    let mark = mark(transition);
    let late = if transition.late_ms.is_some() { " LATE" } else { "" };
    let text = format!("[{mark}{late}] {}: {}", transition.series, transition.rule);
    fit_ascii(&text, SUBJECT_CHARS_MAX)
}

/// How bad it is, or that it is not any more: the first word of every message.
fn mark(transition: &Transition) -> String {
    let severity = transition.severity.as_str().to_ascii_uppercase();
    match transition.step {
        Step::Fired => severity,
        Step::Resolved => "RESOLVED".to_owned(),
        Step::Escalated => format!("WORSE, {severity}"),
        Step::Repeated => format!("STILL {severity}"),
        Step::Flapping => format!("FLAPPING, {severity}"),
        Step::Acknowledged => "ACKNOWLEDGED".to_owned(),
    }
}

/// The SMS: one part, plain ASCII.
pub fn sms(transition: &Transition) -> String {
    let Transition { alert, at, on, margin, .. } = transition;
    let on: String = on.chars().take(FEATURE_CHARS_MAX).collect();
    let what = match transition.step {
        Step::Acknowledged => format!("by {}", acknowledged_by(transition)),
        Step::Resolved if transition.is_of_silence() => format!("after {}", margin.silent_for()),
        _ if transition.is_of_silence() => margin.brief(),
        Step::Fired | Step::Escalated | Step::Repeated | Step::Flapping => {
            culprit(transition).unwrap_or_else(|| format!("{on} {}", margin.brief()))
        }
        Step::Resolved => format!("after {}", human_duration(transition.lasted_ms())),
    };
    let tail = format!(", {what}, {at} {alert}");
    let head = head(transition);
    let room = SMS_CHARS_MAX.saturating_sub(tail.chars().count());
    fit_ascii(&(fit_ascii(&head, room.max(20)) + &tail), SMS_CHARS_MAX)
}

/// The text for e-mail and terminal: what, how far, since when, the last readings, and the alert's name.
pub fn text(transition: &Transition) -> String {
    let Transition { series, rule, on, at, margin, peak, peak_at, .. } = transition;
    let mut lines = vec![format!("{} {series}: {rule} at {at}", mark(transition))];
    lines.extend(match transition.step {
        Step::Acknowledged => acknowledged(transition),
        _ if transition.is_of_silence() => vec![silence(transition)],
        Step::Fired | Step::Escalated | Step::Flapping => {
            vec![format!("  {on} {margin}"), format!("  since {}", transition.since)]
        }
        Step::Repeated => vec![
            format!("  {on} {margin}"),
            format!(
                "  since {}, for {}, {}",
                transition.since,
                human_duration(transition.lasted_ms()),
                count(u64::from(transition.anomalous), "anomalous reading")
            ),
            format!("  peak {on} {} at {peak_at}", peak.against()),
        ],
        Step::Resolved => vec![
            format!(
                "  lasted {}, {}",
                human_duration(transition.lasted_ms()),
                count(u64::from(transition.anomalous), "anomalous reading")
            ),
            format!("  peak {on} {} at {peak_at}", peak.against()),
        ],
    });
    lines.extend(transition.flapping.map(|Flapping { times, within }| {
        format!("  fired {times} times within {within}; it is held open until it is calm for as long")
    }));
    if transition.was_held {
        lines.push("  held back until now, by a quiet time or a calendar".to_owned());
    }
    lines.extend(seen(transition));
    if transition.is_new_normal {
        lines.push("  the new level is taken as normal from here on".to_owned());
    }
    lines.extend(transition.late_ms.map(late));
    if transition.fallback {
        lines.push("  scored by the streaming detector, as the endpoint gave no score".to_owned());
    }
    lines.extend(features(transition));
    lines.extend(transition.filled.iter().map(|filled| format!("  {filled}")));
    lines.push(format!("  alert {} transition {}", transition.alert, transition.number));
    lines.join("\n")
}

/// `1 thing`, `2 things`.
fn count(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}

/// What was not there, and since when. The reading shown below it is the last one, or the one that ended the silence.
fn silence(transition: &Transition) -> String {
    let Transition { series, since, margin, .. } = transition;
    let mut line = format!("  no data from {series} for {} (last seen {since})", margin.silent_for());
    line += match transition.step {
        _ if transition.features.is_empty() => "",
        Step::Resolved => "; and now",
        _ => "; its last reading was",
    };
    line
}

/// Who has seen it, what they say, and how long people are left alone.
fn acknowledged(transition: &Transition) -> Vec<String> {
    let long = transition.for_ms.map(|ms| human_duration(i64::try_from(ms).unwrap_or(i64::MAX)));
    let long = long.map_or_else(String::new, |long| format!(" for {long}"));
    let mut lines =
        vec![format!("  by {}; no reminders{long} unless it gets worse", acknowledged_by(transition))];
    lines.extend(transition.note.as_ref().map(|note| format!("  {note}")));
    lines.push(format!("  since {}", transition.since));
    lines
}

/// Of a step that an acknowledgement ends with: whose that was, and what it said.
fn seen(transition: &Transition) -> Option<String> {
    let seen = transition.acknowledgement().filter(|_| transition.step != Step::Acknowledged)?;
    Some(format!("  it was acknowledged by {seen}"))
}

fn acknowledged_by(transition: &Transition) -> String {
    let by = transition.by.as_deref().unwrap_or("somebody");
    by.chars().take(40).collect()
}

fn late(late_ms: i64) -> String {
    format!("  judged {} after it arrived, beside newer readings", human_duration(late_ms))
}

fn features(transition: &Transition) -> Vec<String> {
    let shown = &transition.features;
    let name_width = shown.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
    let value_width = shown.iter().map(|f| short(f.value).chars().count()).max().unwrap_or(0);
    let bars_width = shown.iter().map(|f| f.recent.len()).max().unwrap_or(0);
    let line = |f: &Feature| {
        let bars = sparkline(f.recent.iter().map(|v| f64::from(*v)));
        let line = format!(
            "  {:name_width$}  {:>value_width$}  {bars:bars_width$}  {}",
            f.name,
            short(f.value),
            reason(f, transition.width)
        );
        // There are no bars where none came before it.
        line.trim_end().to_owned()
    };
    let hidden = (transition.width as usize).saturating_sub(shown.len());
    let more = (hidden > 0).then(|| format!("  and {}", count(hidden as u64, "more feature")));
    shown.iter().map(line).chain(more).collect()
}

/// How much of the score comes from the feature, of `width`, and what it was to be, where that is known and not
/// nothing.
fn reason(feature: &Feature, width: u32) -> String {
    // The only one is all of it.
    match (feature.share.filter(|_| width > 1), feature.expected) {
        (Some(share), _) if share < REASON_SHARE_MIN => String::new(),
        (Some(share), Some(expected)) => format!("{:.0} %, expected {}", share * 100.0, short(expected)),
        (Some(share), None) => format!("{:.0} %", share * 100.0),
        (None, Some(expected)) => format!("expected {}", short(expected)),
        (None, None) => String::new(),
    }
}

/// `text` in printable ASCII and at most `limit` characters, never empty and never starting with a blank.
fn fit_ascii(text: &str, limit: usize) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let fitted: String = text.trim_start().chars().map(plain).collect();
    match fitted.len() {
        0 => "?".to_owned(),
        n if n > limit => format!("{}...", &fitted[..limit.saturating_sub(3)]),
        _ => fitted,
    }
}

/// A value SNS takes for an attribute.
fn attribute(text: &str) -> String {
    let plain = |c: char| {
        if c.len_utf16() > 1 || c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { '?' } else { c }
    };
    let value: String = text.chars().map(plain).collect();
    if value.is_empty() { "?".to_owned() } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Attribution;
    use crate::classify::{Judgement, Policy, SeriesState, classify};
    use crate::config::{Config, Method, On, Rule};
    use crate::position::{Position, Sequence};
    use crate::reading::{Reading, Scored, SeriesId};
    use crate::rule::Margin;
    use crate::time::Timestamp;
    use expect_test::expect;
    use proptest::prelude::*;

    #[test]
    fn says_what_the_score_comes_from() {
        let all = names(&["latency_ms", "cpu", "c", "d", "disk_queue"]);
        let mut fired = transitions("webserver", "slow", &all, 21.0).swap_remove(0);
        (fired.on, fired.number) = ("score".to_owned(), 1);
        let mut judgement = Judgement { transitions: vec![fired], ..Judgement::default() };
        let policy = Policy::new(&Config::default(), &all);
        let shares = vec![0.1, 0.004, 0.096, 0.0, 0.8];
        let attribution = Attribution { expected: vec![5.0, 0.5, 0.75, 0.5, 12.25], shares };
        judgement.attribute(&policy, &[21.0, 0.5, 0.5, 0.5, 4096.0], &attribution);
        let mut fired = judgement.transitions.swap_remove(0);
        let said = |fired: &Transition| format!("{}\n{}\n{}", subject(fired), sms(fired), text(fired));
        expect![[r#"
            [CRITICAL] webserver: slow, disk_queue 4096 (expected 12.25)
            [CRITICAL] webserver: slow, disk_queue 4096 (expected 12.25), 2026-11-18T11:06:50Z ecc2638443323578
            CRITICAL webserver: slow at 2026-11-18T11:06:50Z
              score 21 against 10 (fixed)
              since 2026-11-18T11:06:48Z
              latency_ms    21  ▁▁▂▁▁▂▁▁███  10 %, expected 5
              cpu          0.5  ▁▁▁▁▁▁▁▁▁▁▁
              c            0.5  ▁▁▁▁▁▁▁▁▁▁▁  10 %, expected 0.75
              d            0.5  ▁▁▁▁▁▁▁▁▁▁▁
              disk_queue  4096               80 %, expected 12.25
              alert ecc2638443323578 transition 1"#]].assert_eq(&said(&fired));
        (fired.width, fired.features[0].share) = (1, Some(1.0));
        fired.features.truncate(1);
        expect![[r#"
            [CRITICAL] webserver: slow, latency_ms 21 (expected 5)
            [CRITICAL] webserver: slow, latency_ms 21 (expected 5), 2026-11-18T11:06:50Z ecc2638443323578
            CRITICAL webserver: slow at 2026-11-18T11:06:50Z
              score 21 against 10 (fixed)
              since 2026-11-18T11:06:48Z
              latency_ms  21  ▁▁▂▁▁▂▁▁███  expected 5
              alert ecc2638443323578 transition 1"#]]
        .assert_eq(&said(&fired));
    }

    /// The transitions of a value that rises over a threshold of 10 and falls again.
    fn transitions(series: &str, rule: &str, names: &[String], high: f64) -> Vec<Transition> {
        let rule = Rule {
            name: rule.to_owned(),
            on: On::Value,
            method: Method::Static { threshold: 10.0 },
            ..Rule::default()
        };
        let config = Config { rules: vec![rule], ..Config::default() };
        let (policy, mut state) = (Policy::new(&config, names), SeriesState::default());
        let value = |i: i64| if (8..60).contains(&i) { high } else { 4.0 + (i % 3) as f64 };
        let scored = |i: i64| {
            let at = Timestamp::from_ms(1_795_000_000_000 + i * 1000).expect("in range");
            let position =
                Position { partition: "p".into(), sequence: Sequence::from(i as u64), sub: 0, arrived: at };
            let mut features = vec![0.5; names.len()];
            features[0] = value(i);
            Scored {
                reading: Reading {
                    series: SeriesId::new(series).expect("a name"),
                    at,
                    features,
                    filled: Vec::new(),
                    position,
                },
                score: Some(1.0),
            }
        };
        (0..100).flat_map(|i| classify(&policy, &mut state, &scored(i), "m").transitions).collect()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn reads_well() {
        let both = transitions("webserver", "slow", &names(&["latency_ms", "cpu", "c", "d", "e"]), 21.0);
        expect![[r#"
            CRITICAL webserver: slow at 2026-11-18T11:06:50Z
              latency_ms 21 against 10 (fixed)
              since 2026-11-18T11:06:48Z
              latency_ms   21  ▁▁▂▁▁▂▁▁███
              cpu         0.5  ▁▁▁▁▁▁▁▁▁▁▁
              c           0.5  ▁▁▁▁▁▁▁▁▁▁▁
              d           0.5  ▁▁▁▁▁▁▁▁▁▁▁
              and 1 more feature
              alert ecc2638443323578 transition 1"#]]
        .assert_eq(&text(&both[0]));
        expect![[r#"
            RESOLVED webserver: slow at 2026-11-18T11:08:09Z
              lasted 1 min 21 s, 52 anomalous readings
              peak latency_ms 21 against 10 at 2026-11-18T11:06:48Z
              latency_ms    6  ▁▅█▁▅█▁▅█▁▅█▁▅█▁▅█▁▅█▁▅█
              cpu         0.5  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
              c           0.5  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
              d           0.5  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
              and 1 more feature
              alert ecc2638443323578 transition 2"#]]
        .assert_eq(&text(&both[1]));
        expect![[r#"
            [CRITICAL] webserver: slow, latency_ms 21 over 10, 2026-11-18T11:06:50Z ecc2638443323578
            [RESOLVED] webserver: slow, after 1 min 21 s, 2026-11-18T11:08:09Z ecc2638443323578"#]]
        .assert_eq(&format!("{}\n{}", sms(&both[0]), sms(&both[1])));
    }

    #[test]
    fn who_has_seen_it_is_told_with_what_they_say() {
        let mut both = transitions("webserver", "slow", &names(&["latency_ms"]), 21.0);
        let (by, note, for_ms) =
            (Some("ann".to_owned()), Some("the disk is full".to_owned()), Some(7_200_000));
        both.push(Transition { step: Step::Acknowledged, ..both[0].clone() });
        both.push(Transition { step: Step::Repeated, ..both[0].clone() });
        both.drain(..1);
        let said = |t: Transition| Transition { by: by.clone(), note: note.clone(), for_ms, ..t };
        let lines = |t: Transition| text(&said(t)).lines().take(4).collect::<Vec<_>>().join("\n");
        let all: Vec<String> = both.into_iter().map(lines).collect();
        expect![[r#"
            RESOLVED webserver: slow at 2026-11-18T11:08:09Z
              lasted 1 min 21 s, 52 anomalous readings
              peak latency_ms 21 against 10 at 2026-11-18T11:06:48Z
              it was acknowledged by ann, for 2 h: the disk is full
            ACKNOWLEDGED webserver: slow at 2026-11-18T11:06:50Z
              by ann; no reminders for 2 h unless it gets worse
              the disk is full
              since 2026-11-18T11:06:48Z
            STILL CRITICAL webserver: slow at 2026-11-18T11:06:50Z
              latency_ms 21 against 10 (fixed)
              since 2026-11-18T11:06:48Z, for 2 s, 3 anomalous readings
              peak latency_ms 21 against 10 at 2026-11-18T11:06:48Z"#]]
        .assert_eq(&all.join("\n"));
    }

    #[test]
    fn what_goes_on_is_told_with_its_peak_and_why() {
        let mut both = transitions("webserver", "slow", &names(&["latency_ms"]), 21.0);
        let minute = Timestamp::from_ms(both[0].at.as_ms() + 60_000).expect("in range");
        both[0].margin = Margin::new(true, 12.0, 10.0, 1.2, crate::rule::Basis::Fixed);
        let still = Transition { step: Step::Repeated, at: minute, was_held: true, ..both.swap_remove(0) };
        expect![[r#"
            STILL CRITICAL webserver: slow at 2026-11-18T11:07:50Z
              latency_ms 12 against 10 (fixed)
              since 2026-11-18T11:06:48Z, for 1 min 2 s, 3 anomalous readings
              peak latency_ms 21 against 10 at 2026-11-18T11:06:48Z
              held back until now, by a quiet time or a calendar
              latency_ms  21  ▁▁▂▁▁▂▁▁███
              alert ecc2638443323578 transition 1"#]]
        .assert_eq(&text(&still));
        assert!(!text(&Transition { was_held: false, ..still }).contains("held"));
    }

    #[test]
    fn a_late_one_says_so_everywhere() {
        let mut both = transitions("webserver", "slow", &names(&["latency_ms"]), 21.0);
        both.iter_mut().for_each(|transition| transition.late_ms = Some(2 * 86_400_000 + 4 * 3_600_000));
        expect![[r#"
            CRITICAL webserver: slow at 2026-11-18T11:06:50Z
              latency_ms 21 against 10 (fixed)
              since 2026-11-18T11:06:48Z
              judged 2 d 4 h after it arrived, beside newer readings
              latency_ms  21  ▁▁▂▁▁▂▁▁███
              alert ecc2638443323578 transition 1"#]]
        .assert_eq(&text(&both[0]));
        expect![
            "[CRITICAL LATE] webserver: slow, latency_ms 21 over 10, 2026-11-18T11:06:50Z ecc2638443323578"
        ]
        .assert_eq(&sms(&both[0]));
        expect!["[RESOLVED LATE] webserver: slow"].assert_eq(&subject(&both[1]));
        assert_eq!(message(&both[0]).attributes.last(), Some(&("late", "true".to_owned())));
        let json = wire::write(&TransitionV1::new(both[0].clone()));
        assert!(json.contains(r#""late_ms":187200000"#), "{json}");
        both[0].late_ms = None;
        let json = wire::write(&TransitionV1::new(both[0].clone()));
        assert!(!json.contains("late_ms"), "as it was before there were late ones: {json}");
        assert_eq!(wire::read::<TransitionV1>(&json), Ok(TransitionV1::new(both[0].clone())));
    }

    /// The transitions of a series that is silent for `silent_s` seconds, and should be for 600 at most.
    fn of_silence(series: &str, rule: &str, name: &str, silent_s: i64) -> Vec<Transition> {
        let after = std::time::Duration::from_secs(600);
        let rule = Rule {
            name: rule.to_owned(),
            method: Method::NoData(crate::config::NoData { after }),
            ..Rule::default()
        };
        let config = Config { rules: vec![rule], ..Config::default() };
        let (policy, mut state) = (Policy::new(&config, &names(&[name])), SeriesState::default());
        let scored = |i: i64| {
            let at = Timestamp::from_ms(1_795_000_000_000 + i * 1000).expect("in range");
            let position =
                Position { partition: "p".into(), sequence: Sequence::from(i as u64), sub: 0, arrived: at };
            let (series, filled) = (SeriesId::new(series).expect("a name"), Vec::new());
            let reading = Reading { series, at, features: vec![0.1 + i as f64], filled, position };
            Scored { reading, score: None }
        };
        [0, silent_s]
            .iter()
            .flat_map(|i| classify(&policy, &mut state, &scored(*i), "m").transitions)
            .collect()
    }

    #[test]
    fn a_silence_is_told_in_words() {
        let both = of_silence("web-1", "quiet", "cpu", 723);
        expect![[r#"
            WARNING web-1: quiet at 2026-11-18T11:16:40Z
              no data from web-1 for 10 min (last seen 2026-11-18T11:06:40Z); its last reading was
              cpu  0.1
              alert b5c3d20b9d73f9a7 transition 1
            RESOLVED web-1: quiet at 2026-11-18T11:18:43Z
              no data from web-1 for 12 min 3 s (last seen 2026-11-18T11:06:40Z); and now
              cpu  723.1
              alert b5c3d20b9d73f9a7 transition 2"#]]
        .assert_eq(&both.iter().map(text).collect::<Vec<_>>().join("\n"));
        expect![[r#"
            [WARNING] web-1: quiet, no data for 10 min
            [RESOLVED] web-1: quiet, data again after 12 min 3 s"#]]
        .assert_eq(&both.iter().map(subject).collect::<Vec<_>>().join("\n"));
        expect![[r#"
            [WARNING] web-1: quiet, no data for 10 min, 2026-11-18T11:16:40Z b5c3d20b9d73f9a7
            [RESOLVED] web-1: quiet, after 12 min 3 s, 2026-11-18T11:18:43Z b5c3d20b9d73f9a7"#]]
        .assert_eq(&both.iter().map(sms).collect::<Vec<_>>().join("\n"));
    }

    proptest! {
        /// Whatever the names and the values, SNS takes the message.
        #[test]
        fn no_limit_is_passed(
            series in "[^\\p{Cc}]{1,60}",
            rule in "[^\\p{Cc}]{1,16}",
            name in "\\PC{0,300}",
            high in 11.0..1e300f64,
        ) {
            let silent = of_silence(&series, &rule, &name, 600 + high.min(1e9) as i64);
            prop_assert!((2..=3).contains(&silent.len()), "it may get worse on the way: {silent:?}");
            for transition in transitions(&series, &rule, &vec![name; 6], high).into_iter().chain(silent) {
                let message = message(&transition);
                prop_assert!((1..=SUBJECT_CHARS_MAX).contains(&message.subject.len()), "{}", message.subject);
                prop_assert!(message.subject.bytes().all(|b| (0x20..0x7f).contains(&b)));
                prop_assert!(!message.subject.starts_with(' '));
                let bodies: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&message.bodies).expect("an object");
                prop_assert!(bodies.values().all(|body| body.as_str().is_some_and(|b| !b.is_empty())));
                let sms = bodies["sms"].as_str().unwrap_or_default();
                prop_assert!(sms.is_ascii() && sms.len() <= SMS_CHARS_MAX);
                prop_assert!(sms.contains(transition.alert.as_str()), "{sms}");
                let machine = bodies["sqs"].as_str().unwrap_or_default();
                prop_assert_eq!(wire::read::<TransitionV1>(machine), Ok(TransitionV1::new(transition)));
                let attributes: usize = message.attributes.iter().map(|(n, v)| n.len() + v.len() + "String".len()).sum();
                prop_assert!(message.bodies.len() + attributes + message.subject.len() <= 262_144);
                prop_assert!(message.attributes.len() <= 10);
                prop_assert!(message.attributes.iter().all(|(_, v)| !v.is_empty() && v.chars().all(|c| c.len_utf16() == 1)));
            }
        }
    }
}
