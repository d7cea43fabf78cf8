//! What server-side apply reads, and what it puts into an object. Lists with keys are merged by them, all other
//! lists are one value.

use serde_json::Value;

use super::{
    answer::{Answer, failure},
    owners::list_key,
};

/// The body, which is read as YAML: some characters that stand in JSON as they are can't stand in that, and
/// U+0085, which it takes for the end of a line, becomes a blank. (U+2028 and U+2029 stay, but lose the blanks
/// around them.)
pub fn read(body: &[u8]) -> Result<Value, Answer> {
    let refused = |why: &str| failure(400, "BadRequest", &format!("error decoding YAML: {why}"));
    let text = std::str::from_utf8(body).map_err(|error| refused(&error.to_string()))?;
    let is_known = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    if !text.chars().all(is_known) {
        return Err(refused("control characters are not allowed"));
    }
    let folded = text.replace('\u{85}', " ");
    serde_json::from_str(&folded).map_err(|error| refused(&error.to_string()))
}

/// The object with all that a manager applies.
pub fn merged(old: &Value, now: &Value) -> Value {
    let mut merged = old.as_object().cloned().unwrap_or_default();
    for (name, value) in now.as_object().into_iter().flatten() {
        let before = merged.get(name).cloned().unwrap_or_default();
        let next = match (list_key(name), value) {
            (Some(key), Value::Array(items)) => list(key, &before, items),
            (_, Value::Object(_)) => self::merged(&before, value),
            _ => value.clone(),
        };
        merged.insert(name.clone(), next);
    }
    Value::Object(merged)
}

fn list(key: &str, old: &Value, now: &[Value]) -> Value {
    let old = old.as_array().map_or(&[][..], Vec::as_slice);
    let find = |list: &[Value], like: &Value| list.iter().find(|it| it[key] == like[key]).cloned();
    let kept = old.iter().map(|item| match find(now, item) {
        Some(applied) => merged(item, &applied),
        None => item.clone(),
    });
    let new = now.iter().filter(|item| find(old, item).is_none());
    Value::Array(kept.chain(new.cloned()).collect())
}
