//! Durations as people write them in manifests: Go's style, `90s` or `1h30m`. The text stays as it was
//! written (GitOps tools compare it); it is parsed where it is used.

use std::{str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Digits of one unit are bounded so that no accepted text can overflow.
const PATTERN: &str = r"^([0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h))+$";
const MAX_LENGTH: u32 = 32;

/// A duration such as `90s`, `10m` or `1h30m`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationText(pub String);

/// A text that the schema would have refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration like 90s or 1h30m")]
pub struct BadDuration(String);

impl DurationText {
    /// The duration that the text stands for.
    pub fn parse(&self) -> Result<Duration, BadDuration> {
        let bad = || BadDuration(self.0.clone());
        let parsed = kube::core::Duration::from_str(&self.0).map_err(|_| bad())?;
        let duration: Duration = parsed.into();
        if parsed.is_negative() || duration.is_zero() {
            return Err(bad());
        }
        Ok(duration)
    }
}

impl From<&str> for DurationText {
    fn from(text: &str) -> Self {
        DurationText(text.to_owned())
    }
}

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": MAX_LENGTH,
            "pattern": PATTERN,
            "x-kubernetes-validations": [{
                "rule": "duration(self) > duration('0s') && duration(self) <= duration('720h')",
                "message": "must be longer than 0s and at most 720h, for example 90s or 1h30m",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_style_durations_are_understood() {
        for (text, seconds) in [
            ("90s", 90.0),
            ("1h30m", 5400.0),
            ("1.5s", 1.5),
            ("250ms", 0.25),
        ] {
            let parsed = DurationText::from(text).parse().unwrap();
            assert_eq!(parsed.as_secs_f64(), seconds, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "10", "0s", "-5s", "five", "1d"] {
            assert!(DurationText::from(text).parse().is_err(), "{text}");
        }
    }
}
