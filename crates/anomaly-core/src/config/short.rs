//! A rule in a few words, for a command line: `robust`, `sigma:k=4,on=cpu`, `static:threshold=80,for=3 of 5`.

use super::{Config, ConfigError, keys, rule};

/// Reads `text`: a method's kind and, behind a colon, settings of the rule or of the method, with commas between
/// them, under the names that `anomaly.toml` has for them (`clear.below` for what is deeper). Without a `name` the rule
/// is called as its method.
///
/// # Errors
/// What is unknown with the nearest known one, or what cannot be read; whether values are in range is said by
/// [`Config::finish`].
pub(super) fn read(text: &str) -> Result<rule::Rule, ConfigError> {
    let (kind, settings) = text.split_once(':').unwrap_or((text, ""));
    let (mut of_rule, mut of_method) = (Vec::new(), vec![format!("kind = {}", quoted(kind.trim()))]);
    for setting in settings.split(',').filter(|setting| !setting.trim().is_empty()) {
        let Some((key, value)) = setting.split_once('=') else {
            return Err(problem(text, &format!("{setting:?} is no setting; write KEY=VALUE")));
        };
        let (key, value) = (key.trim(), written(value.trim()));
        let first = key.split('.').next().unwrap_or(key);
        let is_plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
        match rule::KEYS.iter().any(|(known, _)| *known == first && first != "method") {
            _ if !is_plain || key.is_empty() => return Err(problem(text, &format!("{key:?} is no key"))),
            true => of_rule.push(format!("{key} = {value}")),
            false => of_method.push(format!("{key} = {value}")),
        }
    }
    let name = format!("name = {}", quoted(kind.trim()));
    let named = of_rule.iter().any(|line| line.starts_with("name ="));
    of_rule.extend((!named).then_some(name));
    let toml = format!("[[rule]]\n{}\n[rule.method]\n{}\n", of_rule.join("\n"), of_method.join("\n"));
    let unknown = keys::unknown(&toml);
    let without_line = |p: &String| p.split_once(": ").map_or(p.clone(), |(_, rest)| rest.to_owned());
    if let Some(first) = unknown.first() {
        return Err(problem(text, &without_line(first)));
    }
    let read: Result<Config, _> = toml::from_str(&toml);
    let config =
        read.map_err(|error| problem(text, &keys::with_nearest(&error.message().replace('\n', ": "))))?;
    config.rules.into_iter().next().ok_or_else(|| problem(text, "is no rule"))
}

fn problem(text: &str, what: &str) -> ConfigError {
    ConfigError { problems: vec![format!("rule {text:?}: {what}")] }
}

/// A value as TOML has it: numbers and truth as they are, all else as text.
fn written(value: &str) -> String {
    let is_plain = value.parse::<f64>().is_ok_and(f64::is_finite) || matches!(value, "true" | "false");
    if is_plain { value.to_owned() } else { quoted(value) }
}

/// Text as JSON quotes it, which TOML reads.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{ChangePoint, Evt, MOfN, Method, On, Rule, Sides};
    use super::*;

    #[test]
    fn a_few_words_are_a_rule() {
        assert_eq!(
            read("evt"),
            Ok(Rule { name: "evt".to_owned(), method: Method::Evt(Evt::default()), ..Rule::default() })
        );
        let rule = read("sigma: k=4, on=cpu load, direction=both, for=3 of 5, clear.below=0.5, name=hot")
            .expect("a rule");
        assert_eq!((rule.name.as_str(), &rule.on), ("hot", &On::Feature("cpu load".to_owned())));
        assert_eq!((rule.method, rule.sides), (Method::Sigma { k: 4.0, warmup: 100 }, Sides::Both));
        assert_eq!((rule.hold, rule.clear.below), (MOfN::new(3, 5).expect("valid"), 0.5));
        let rule = read("change-point:on=value,history=60").expect("a rule");
        assert_eq!(rule.hold, MOfN::default());
        assert_eq!(rule.method, Method::ChangePoint(ChangePoint { history: 60, ..ChangePoint::default() }));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |text: &str| read(text).expect_err(text).problems.join("; ");
        assert_eq!(
            said("sigma:kk=4"),
            r#"rule "sigma:kk=4": unknown key `rule.method.kk`; the nearest is `k`"#
        );
        assert_eq!(said("sigma:4"), r#"rule "sigma:4": "4" is no setting; write KEY=VALUE"#);
        assert!(
            said("sogma").contains("unknown variant `sogma`, expected one of `static`, `sigma`"),
            "{}",
            said("sogma")
        );
        assert!(said("robst").ends_with("; the nearest is `robust`"), "{}", said("robst"));
        assert!(said("static").contains("missing field `threshold`"), "{}", said("static"));
        assert!(said("sigma:for=5").contains("invalid type"), "{}", said("sigma:for=5"));
        assert!(said("sigma:a b=1").contains("is no key"));
        assert!(said("sigma:\n[x]\ny=1").contains("is no key"));
    }
}
