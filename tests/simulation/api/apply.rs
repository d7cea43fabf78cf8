//! What server-side apply puts into an object. Lists with keys are merged by them, all other lists are one
//! value.

use serde_json::Value;

use super::owners::list_key;

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
