//! The pod's volumes, and which container sees which. The spool is mounted in `ship` alone and the
//! runner's folder is read-only for the agent: what the agent can't reach it can't forge.

use k8s_openapi::{
    api::core::v1::{
        DownwardAPIVolumeFile, DownwardAPIVolumeSource, EmptyDirVolumeSource, ObjectFieldSelector,
        Volume, VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use crate::api::run::{self, path};

const HERD: &str = "herd";
const SPOOL: &str = "spool";
const INPUTS: &str = "run";
const WORKSPACE: &str = "workspace";
const HOME: &str = "home";
const TMP: &str = "tmp";

/// The agent's scratch space.
pub(super) const TMP_PATH: &str = "/tmp";

/// A pod that fills a volume is evicted, and its node lives on.
const SIZES: [(&str, &str); 5] = [
    (HERD, "64Mi"),
    (SPOOL, "1Gi"),
    (WORKSPACE, "10Gi"),
    (HOME, "2Gi"),
    (TMP, "2Gi"),
];

pub(super) fn all() -> Vec<Volume> {
    SIZES
        .iter()
        .map(|(name, size)| scratch(name, size))
        .chain([run_inputs()])
        .collect()
}

pub(super) fn of_ship() -> Vec<VolumeMount> {
    vec![mount(HERD, path::HERD), mount(SPOOL, path::SPOOL)]
}

pub(super) fn of_agent() -> Vec<VolumeMount> {
    vec![
        read_only(HERD, path::HERD),
        read_only(INPUTS, path::INPUTS_DIR),
        mount(WORKSPACE, path::WORKSPACE),
        mount(HOME, path::HOME),
        mount(TMP, TMP_PATH),
    ]
}

fn scratch(name: &str, size: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(size.to_owned())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// A file, not a variable or an argument: those are expanded, limited in size and seen by `ps`.
fn run_inputs() -> Volume {
    Volume {
        name: INPUTS.to_owned(),
        downward_api: Some(DownwardAPIVolumeSource {
            items: Some(vec![DownwardAPIVolumeFile {
                path: path::INPUTS_FILE.to_owned(),
                field_ref: Some(ObjectFieldSelector {
                    field_path: format!("metadata.annotations['{}']", run::ANNOTATION),
                    ..ObjectFieldSelector::default()
                }),
                ..DownwardAPIVolumeFile::default()
            }]),
            ..DownwardAPIVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    }
}

fn read_only(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        read_only: Some(true),
        ..mount(name, path)
    }
}
