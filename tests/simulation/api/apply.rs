//! Server-side apply, as far as one manager's fields go: what it applied before and leaves out now is
//! removed, what others own stays. Lists with keys are merged by them, all other lists are one value.

use serde_json::{Map, Value};

/// The key of a list's elements, where it has one.
fn list_key(field: &str) -> Option<&'static str> {
    match field {
        "attempts" => Some("number"),
        "conditions" => Some("type"),
        _ => None,
    }
}

/// The object after a manager, who last applied `last`, applies `now`.
pub fn merged(old: &Value, last: &Value, now: &Value) -> Value {
    let empty = Map::new();
    let fields = |value: &Value| value.as_object().cloned().unwrap_or_else(|| empty.clone());
    let (mut merged, last, now) = (fields(old), fields(last), fields(now));
    merged.retain(|name, _| !last.contains_key(name) || now.contains_key(name));
    for (name, value) in &now {
        let before = merged.get(name).cloned().unwrap_or_default();
        let mine = last.get(name).cloned().unwrap_or_default();
        let next = match (list_key(name), value) {
            (Some(key), Value::Array(items)) => list(key, &before, &mine, items),
            (_, Value::Object(_)) => self::merged(&before, &mine, value),
            _ => value.clone(),
        };
        merged.insert(name.clone(), next);
    }
    Value::Object(merged)
}

fn list(key: &str, old: &Value, last: &Value, now: &[Value]) -> Value {
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let find = |list: &[Value], like: &Value| list.iter().find(|it| it[key] == like[key]).cloned();
    let (old, last) = (items(old), items(last));
    let kept = old
        .iter()
        .filter(|item| find(&last, item).is_none() || find(now, item).is_some());
    let mut next: Vec<Value> = kept
        .map(|item| match find(now, item) {
            Some(applied) => merged(item, &find(&last, item).unwrap_or_default(), &applied),
            None => item.clone(),
        })
        .collect();
    let new = now.iter().filter(|item| find(&old, item).is_none());
    next.extend(new.cloned());
    Value::Array(next)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_manager_leaves_out_goes_and_what_others_own_stays() {
        let old = json!({"phase": "running", "error": "e", "report": {"at": 1},
            "conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}, {"type": "C"}]});
        let last = json!({"phase": "running", "error": "e",
            "conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]});
        let now = json!({"phase": "failed",
            "conditions": [{"type": "A", "status": "False"}, {"type": "D"}]});
        assert_eq!(
            merged(&old, &last, &now),
            json!({"phase": "failed", "report": {"at": 1},
                "conditions": [{"type": "A", "status": "False"}, {"type": "C"}, {"type": "D"}]})
        );
    }
}
