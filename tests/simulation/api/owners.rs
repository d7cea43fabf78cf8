//! Which manager owns which fields of an object's spec and status, as far as server-side apply asks: what a
//! manager applied before and leaves out now is removed, unless another owns it too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The way to a field: names, and of a list's element its key in brackets.
pub type Path = Vec<String>;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owners(BTreeMap<String, BTreeSet<Path>>);

impl Owners {
    /// A manager has changed the object by other means than apply: what it changed is its own alone.
    pub fn wrote(&mut self, manager: &str, old: &Value, new: &Value) {
        let (set, gone) = changes(old, new);
        self.lose(manager, &set, &gone);
        let mine = self.0.entry(manager.to_owned()).or_default();
        mine.retain(|path| !gone.contains(path));
        mine.extend(set);
        self.0.retain(|_, paths| !paths.is_empty());
    }

    /// A manager owns what it applies, together with those who want the same values.
    pub fn applied(&mut self, manager: &str, config: &Value, old: &Value, new: &Value) {
        let (set, gone) = changes(old, new);
        self.lose(manager, &set, &gone);
        self.0
            .insert(manager.to_owned(), fields(config).into_keys().collect());
        self.0.retain(|_, paths| !paths.is_empty());
    }

    /// The object without what this manager owned, leaves out of what it applies now, and nobody else owns.
    pub fn prune(&self, manager: &str, config: &Value, object: &mut Value) {
        let Some(last) = self.0.get(manager) else {
            return;
        };
        let others = self.0.iter().filter(|(name, _)| *name != manager);
        let mut kept: BTreeSet<Path> = others.flat_map(|(_, paths)| paths).cloned().collect();
        kept.extend(fields(config).into_keys());
        for path in last {
            if !kept.iter().any(|other| other.starts_with(path)) {
                remove(object, path);
            }
        }
    }

    fn lose(&mut self, manager: &str, set: &BTreeSet<Path>, gone: &BTreeSet<Path>) {
        for (_, paths) in self.0.iter_mut().filter(|(name, _)| *name != manager) {
            paths.retain(|path| !set.contains(path) && !gone.contains(path));
        }
    }
}

/// The key of a list's elements, where it has one.
pub fn list_key(field: &str) -> Option<&'static str> {
    match field {
        "attempts" => Some("number"),
        "conditions" => Some("type"),
        _ => None,
    }
}

/// The paths that have another value now, and those that are there no more.
fn changes(old: &Value, new: &Value) -> (BTreeSet<Path>, BTreeSet<Path>) {
    let (old, new) = (fields(old), fields(new));
    let set = new
        .iter()
        .filter(|(path, value)| old.get(*path) != Some(value));
    let gone = old.keys().filter(|path| !new.contains_key(*path));
    (
        set.map(|(path, _)| path.clone()).collect(),
        gone.cloned().collect(),
    )
}

/// The fields that hold a value, and the elements of lists with keys.
fn fields(object: &Value) -> BTreeMap<Path, &Value> {
    let mut found = BTreeMap::new();
    for part in ["spec", "status"] {
        collect(&object[part], vec![part.to_owned()], &mut found);
    }
    found
}

fn collect<'a>(value: &'a Value, path: Path, found: &mut BTreeMap<Path, &'a Value>) {
    let below = |step: String| path.iter().cloned().chain([step]).collect::<Path>();
    let key = path.last().and_then(|field| list_key(field));
    match (value, key) {
        (Value::Null, _) => {}
        (Value::Object(inner), _) if !inner.is_empty() => {
            for (name, value) in inner {
                collect(value, below(name.clone()), found);
            }
        }
        (Value::Array(items), Some(key)) if !items.is_empty() => {
            for item in items {
                let path = below(step_to(item, key));
                found.insert(path.clone(), &Value::Null);
                collect(item, path, found);
            }
        }
        _ => {
            found.insert(path, value);
        }
    }
}

fn step_to(item: &Value, key: &str) -> String {
    format!("[{}]", item[key])
}

/// Takes away a field or an element, and what it leaves empty.
fn remove(value: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    let Some(inner) = value.as_object_mut().and_then(|it| it.get_mut(step)) else {
        return;
    };
    match (inner, list_key(step), rest.split_first()) {
        (Value::Array(items), Some(key), Some((element, below))) => {
            if below.is_empty() {
                items.retain(|item| step_to(item, key) != *element);
            } else if let Some(item) = items.iter_mut().find(|it| step_to(it, key) == *element) {
                remove(item, below);
            }
        }
        (inner, _, Some(_)) => remove(inner, rest),
        _ => *value = without(value, step),
    }
    let empty = match &value[step.as_str()] {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    if empty {
        *value = without(value, step);
    }
}

fn without(value: &Value, field: &str) -> Value {
    let mut kept = value.clone();
    if let Some(fields) = kept.as_object_mut() {
        fields.remove(field);
    }
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::apply::merged, *};

    fn apply(owners: &mut Owners, manager: &str, object: &mut Value, status: Value) {
        let config = json!({"status": status});
        let mut new = merged(object, &config);
        owners.prune(manager, &config, &mut new);
        owners.applied(manager, &config, object, &new);
        *object = new;
    }

    #[test]
    fn what_a_manager_leaves_out_goes_and_what_others_own_stays() {
        let (mut owners, mut object) = (Owners::default(), json!({}));
        apply(
            &mut owners,
            "other",
            &mut object,
            json!({"report": {"at": 1}, "conditions": [{"type": "C"}]}),
        );
        apply(
            &mut owners,
            "mine",
            &mut object,
            json!({"phase": "running", "error": "e",
            "conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]}),
        );
        apply(
            &mut owners,
            "mine",
            &mut object,
            json!({"phase": "failed",
            "conditions": [{"type": "A", "status": "False"}, {"type": "D"}]}),
        );
        assert_eq!(
            object["status"],
            json!({"phase": "failed", "report": {"at": 1},
                "conditions": [{"type": "C"}, {"type": "A", "status": "False"}, {"type": "D"}]})
        );
    }

    #[test]
    fn what_another_manager_took_or_shares_is_not_removed() {
        let (mut owners, mut object) = (Owners::default(), json!({}));
        apply(
            &mut owners,
            "mine",
            &mut object,
            json!({"phase": "running", "reason": "Working", "error": "e"}),
        );
        let mut patched = object.clone();
        patched["status"]["reason"] = json!("Suspended");
        owners.wrote("person", &object, &patched);
        object = patched;
        apply(
            &mut owners,
            "other",
            &mut object,
            json!({"phase": "running"}),
        );
        apply(&mut owners, "mine", &mut object, json!({}));
        assert_eq!(
            object["status"],
            json!({"phase": "running", "reason": "Suspended"})
        );
    }
}
