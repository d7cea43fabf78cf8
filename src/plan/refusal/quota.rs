//! Whether a quota that a pod exceeds can ever have room for it.

use super::quantity::quantity;

/// The next step after `exceeded quota: team, requested: limits.cpu=9, used: limits.cpu=0, limited: limits.cpu=8`.
pub(super) fn next_step(message: &str) -> String {
    match too_small_for(message) {
        Some(resource) => format!(
            "the quota's limit of {resource} is smaller than what one pod asks for: lower spec.pod.resources of the Agent and create another Job, or ask the namespace's administrators for a larger quota"
        ),
        None => "the Job starts by itself when there is room".into(),
    }
}

/// The resource of which one pod asks for more than the quota allows in all.
fn too_small_for(message: &str) -> Option<&str> {
    let limited = amounts(message, "limited: ");
    amounts(message, "requested: ").find_map(|(resource, wanted)| {
        let (_, most) = limited.clone().find(|(name, _)| *name == resource)?;
        (wanted > most).then_some(resource)
    })
}

/// `limits.cpu=9,pods=1` after its mark.
fn amounts<'a>(message: &'a str, mark: &str) -> impl Iterator<Item = (&'a str, f64)> + Clone {
    let after = message.split_once(mark).map_or("", |(_, after)| after);
    let list = after.split(' ').next().unwrap_or_default();
    list.split(',').filter_map(|it| {
        let (resource, amount) = it.split_once('=')?;
        Some((resource, quantity(amount)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_can_never_have_room_is_told_from_one_that_is_full() {
        let told = |requested: &str, limited: &str| {
            next_step(&format!(
                "pods \"hello-1\" is forbidden: exceeded quota: team, requested: {requested}, used: pods=0, limited: {limited}"
            ))
        };
        for (requested, limited) in [
            ("limits.cpu=1500m", "limits.cpu=1"),
            ("limits.cpu=1500m,pods=1", "limits.cpu=1,pods=4"),
            ("pods=1,requests.memory=2Gi", "pods=4,requests.memory=1Gi"),
        ] {
            let words = told(requested, limited);
            assert!(words.contains("larger quota"), "{words}");
        }
        for (requested, limited) in [
            ("limits.cpu=1500m", "limits.cpu=2"),
            ("pods=1", "pods=1"),
            ("", ""),
        ] {
            let words = told(requested, limited);
            assert!(words.contains("by itself"), "{words}");
        }
    }
}
