use expect_test::{Expect, expect};

use super::*;
use crate::config::{Config, Engine, Martingale, Mode};

/// Each method, nothing at its default.
pub(in crate::config) fn every_method() -> [Method; 9] {
    let (per, duration) = (Some(Duration::from_secs(60)), Some(Duration::from_secs(120)));
    let (confidence, history) = (90.0, 60);
    [
        Method::Static { threshold: 1.0 },
        Method::Sigma { k: 2.0, warmup: 3 },
        Method::Robust(Robust { k: 2.0, history, warmup: 50 }),
        Method::Quantile(Quantile { q: 0.9, k: 2.0, warmup: 50 }),
        Method::Evt(Evt { risk: 1e-5, level: 0.95, warmup: 500, peaks: 100, drift: 10 }),
        Method::RateOfChange(RateOfChange { threshold: 1.0, per }),
        Method::SpikeAndDip(SpikeAndDip {
            confidence,
            history,
            mode: Mode::Dips,
            engine: Engine::Parity,
            duration,
        }),
        Method::ChangePoint(ChangePoint {
            confidence,
            history,
            engine: Engine::MlNet,
            duration,
            martingale: Martingale::Mixture,
            epsilon: 0.5,
        }),
        Method::NoData(NoData { after: Duration::from_secs(600) }),
    ]
}

pub(in crate::config) fn everything_set(method: Method) -> Rule {
    Rule {
        series: Some(Pattern("web-*".to_owned())),
        method,
        sides: Sides::Low,
        ignore: Ignore { absolute: 1.0, relative: 0.2 },
        missing: Missing::Breaching,
        every: Some(Duration::from_secs(60)),
        quiet: Some(Quiet { span: Span::Readings(9), worse: 3.0 }),
        repeat: Some(Duration::from_secs(3600)),
        flapping: Some(Flapping { times: 3, within: Span::Readings(90) }),
        learn: Learn::Normal,
        accept: 7,
        ..Rule::default()
    }
}

fn check(rules: &str, expected: Expect) {
    let toml = format!("[model]\nkind = \"none\"\n{rules}");
    let shown = Config::from_toml(&toml).map_or_else(
        |error| error.to_string(),
        |config| serde_json::to_string(&config.rules).expect("plain data"),
    );
    expected.assert_eq(&shown);
}

#[test]
fn every_method_comes_back() {
    for method in every_method() {
        let rule = everything_set(method);
        let json = serde_json::to_string(&rule).expect("plain data");
        assert_eq!(serde_json::from_str::<Rule>(&json).expect("its own"), rule, "{json}");
    }
}

#[test]
fn methods_need_no_settings_and_write_few() {
    let rule = |method: &str| {
        format!(
            "[[rule]]\nname = \"{method}\"\non = \"value\"\nmethod = {{ kind = \"{method}\" }}\nseverity = [{{ at = 1.0, level = \"warning\" }}]\n"
        )
    };
    let rules: String = ["robust", "quantile", "evt", "spike-and-dip", "change-point"].map(rule).concat();
    check(
        &rules,
        expect![[
            r#"[{"name":"robust","on":"value","method":{"kind":"robust","k":3.5,"history":120,"warmup":100},"severity":[{"at":1.0,"level":"warning"}],"for":"3 of 4","clear":{"below":1.0,"for":"30 of 30"}},{"name":"quantile","on":"value","method":{"kind":"quantile","q":0.995,"warmup":200},"severity":[{"at":1.0,"level":"warning"}],"for":"3 of 4","clear":{"below":1.0,"for":"30 of 30"}},{"name":"evt","on":"value","method":{"kind":"evt","risk":0.0001,"level":0.98,"warmup":1000,"peaks":200},"severity":[{"at":1.0,"level":"warning"}],"for":"3 of 4","clear":{"below":1.0,"for":"30 of 30"}},{"name":"spike-and-dip","on":"value","method":{"kind":"spike-and-dip","confidence":95.0,"history":120},"severity":[{"at":1.0,"level":"warning"}],"for":"3 of 4","clear":{"below":1.0,"for":"30 of 30"}},{"name":"change-point","on":"value","method":{"kind":"change-point","confidence":80.0,"history":120},"severity":[{"at":1.0,"level":"warning"}],"for":"1 of 1","clear":{"below":1.0,"for":"30 of 30"}}]"#
        ]],
    );
}

#[test]
fn no_data_takes_a_time_and_little_else() {
    check(
        "[[rule]]\nname = \"quiet\"\nseries = \"web-*\"\nmethod = { kind = \"no-data\", after = \"10m\" }\n",
        expect![[
            r#"[{"name":"quiet","on":"score","series":"web-*","method":{"kind":"no-data","after":"10m"},"severity":[{"at":1.0,"level":"warning"},{"at":1.5,"level":"critical"}],"for":"1 of 1","clear":{"below":1.0,"for":"30 of 30"}}]"#
        ]],
    );
    check(
        "[[rule]]\non = \"value\"\nmethod = { kind = \"no-data\", after = \"900ms\" }\ndirection = \"both\"\n\
         ignore = { absolute = 1.0 }\nfor = \"2 of 3\"\nmissing = \"breaching\"\nevery = \"1m\"\n\
         clear = { for = \"2 of 2\" }\ncalibrated = true\n",
        expect![[r#"
            the configuration has 9 problems:
              rule[0].method.after: 900ms is no silence; write "1s" or more
              rule[0].on: no-data judges whether readings come, whatever is in them; leave it out
              rule[0].direction: no-data has no sides; leave it out
              rule[0].ignore: no-data has no deviations; set method.after
              rule[0].for: a silence counts once; how long it must be is method.after
              rule[0].missing: is for readings that have nothing to judge; leave it out
              rule[0].every: is for rules that judge readings; how long one may wait is method.after
              rule[0].clear: the next reading ends a silence; leave it out
              rule[0].calibrated: true is for on = "score" and method.kind = "sigma" or "quantile""#]],
    );
    check(
        "[[rule]]\nmethod = { kind = \"no-data\" }\n",
        expect!["the configuration has a problem: line 4: missing field `after`"],
    );
}

#[test]
fn what_cannot_be_is_named() {
    check(
        r#"
[[rule]]
name = "a"
on = "value"
method = { kind = "spike-and-dip", confidence = 0.95, history = 0, duration = "1m" }
direction = "low"
[[rule]]
name = "b"
on = "value"
method = { kind = "change-point", engine = "parity", martingale = "mixture", epsilon = 1.0 }
direction = "both"
every = "1m"
[[rule]]
name = "c"
on = "value"
method = { kind = "evt", risk = 0.5, level = 0.9 }
[[rule]]
name = "d"
on = "value"
method = { kind = "evt", warmup = 100 }
ignore = { relative = -1.0 }
[[rule]]
name = "e"
on = "value"
method = { kind = "robust", warmup = 200 }
series = ""
[[rule]]
name = "f"
on = "value"
method = { kind = "quantile", q = 1.0, k = 0.0 }
every = "0s"
[[rule]]
name = "g"
on = "value"
method = { kind = "static", threshold = 1.0 }
direction = "both"
ignore = { absolute = 1.0 }
[[rule]]
name = "h"
on = "value"
method = { kind = "rate-of-change", threshold = -1.0, per = "0s" }
[[rule]]
name = "i"
on = "value"
method = { kind = "change-point", history = 10000 }
[[rule]]
name = "j"
on = "value"
method = { kind = "change-point", history = 10000 }
"#,
        expect![[r#"
            the configuration has 22 problems:
              rule[0].method.confidence: 0.95 is not 1 to 100 percent
              rule[0].method.history: 0 is not 1 to 10000
              rule[0].method.duration: engine = "robust" fills no gaps; leave it out, or set engine = "parity"
              rule[0].direction: spike-and-dip takes it from method.mode
              rule[1].method.epsilon: 1 is not above 0 and below 1
              rule[1].method.engine: Stream Analytics has the power martingale of 0.1 only; with engine = "ml-net" or "robust" there are others
              rule[1].direction: change-point looks both ways
              rule[1].every: says when a reading is missing; say with `missing` what that counts
              rule[2].method.risk: 0.5 is not above 0 and below 1 − level
              rule[3].method.warmup: 3 of 100 numbers belong to the tail, not 10 to 10000
              rule[3].ignore: `absolute` and `relative` must be 0 or more
              rule[4].method.warmup: 200 is not 2 to 120
              rule[4].series: empty; leave it out for all series, or write a pattern such as "web-*"
              rule[5].method.q: 1 is not above 0.5 and below 1
              rule[5].method.k: 0 is not above 0
              rule[5].every: says when a reading is missing; say with `missing` what that counts
              rule[5].every: 0s is no time; write "1s" or more
              rule[6].direction: a threshold has one side; write two rules
              rule[6].ignore: with a fixed threshold nobody knows what is usual; move the threshold
              rule[7].method.threshold: -1 is not 0 or more
              rule[7].method.per: 0s is no time to change in; write "1s" or more
              rule: the histories take up to 244120 bytes of a series' state, and there is room for 150000; shorten `history`, `peaks` or `drift`"#]],
    );
}
