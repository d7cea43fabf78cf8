//! The pod's volumes, and which container sees which. The spool is mounted in `ship` alone and the
//! runner's folder is read-only for the agent: what the agent can't reach it can't forge.

use k8s_openapi::{
    api::core::v1::{
        DownwardAPIProjection, DownwardAPIVolumeFile, DownwardAPIVolumeSource,
        EmptyDirVolumeSource, ObjectFieldSelector, ProjectedVolumeSource,
        ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use crate::api::{
    job::STORE_CA_ANNOTATION,
    protocol,
    run::{self, path},
};

const HERD: &str = "herd";
const SPOOL: &str = "spool";
const INPUTS: &str = "run";
const WORKSPACE: &str = "workspace";
const HOME: &str = "home";
const TMP: &str = "tmp";
const STORE: &str = "store";

/// The kubelet brings a new token after four fifths of this. It ends with the pod anyway.
const TOKEN_SECONDS: i64 = 60 * 60;

/// The agent's scratch space.
pub(super) const TMP_PATH: &str = "/tmp";

/// A pod that fills a volume is evicted, and its node lives on. The spool's is twice what the runner lets
/// it grow to: a file system may count the space that it keeps ahead of a growing file.
const SIZES: [(&str, &str); 5] = [
    (HERD, "64Mi"),
    (SPOOL, "2Gi"),
    (WORKSPACE, "10Gi"),
    (HOME, "2Gi"),
    (TMP, "2Gi"),
];

pub(super) fn all() -> Vec<Volume> {
    SIZES
        .iter()
        .map(|(name, size)| scratch(name, size))
        .chain([run_inputs(), store_access()])
        .collect()
}

/// Only the transcript of a session that goes on is ever written by it into the agent's home.
pub(super) fn of_ship(resumes: bool) -> Vec<VolumeMount> {
    let home = if resumes { mount } else { read_only };
    vec![
        mount(HERD, path::HERD),
        mount(SPOOL, path::SPOOL),
        // For the session's transcript.
        home(HOME, path::HOME),
        // To make the agent's folder in it.
        mount(WORKSPACE, path::WORKSPACE_VOLUME),
        read_only(STORE, path::STORE),
    ]
}

pub(super) fn of_agent() -> Vec<VolumeMount> {
    vec![
        read_only(HERD, path::HERD),
        read_only(INPUTS, path::INPUTS_DIR),
        workspace(),
        mount(HOME, path::HOME),
        mount(TMP, TMP_PATH),
    ]
}

/// The kubelet mounts a folder that is there as it is; one that is missing it would make, as root.
fn workspace() -> VolumeMount {
    VolumeMount {
        sub_path: Some(path::WORKSPACE_FOLDER.to_owned()),
        ..mount(WORKSPACE, path::WORKSPACE)
    }
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

/// The only credentials in the pod: a token that is good for the store alone, and how to know the store.
fn store_access() -> Volume {
    let token = ServiceAccountTokenProjection {
        audience: Some(protocol::AUDIENCE.to_owned()),
        expiration_seconds: Some(TOKEN_SECONDS),
        path: file_in_store(path::STORE_TOKEN),
    };
    let certificates = DownwardAPIProjection {
        items: Some(vec![annotation(
            STORE_CA_ANNOTATION,
            &file_in_store(path::STORE_CA),
        )]),
    };
    Volume {
        name: STORE.to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(vec![
                VolumeProjection {
                    service_account_token: Some(token),
                    ..VolumeProjection::default()
                },
                VolumeProjection {
                    downward_api: Some(certificates),
                    ..VolumeProjection::default()
                },
            ]),
            ..ProjectedVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn file_in_store(path: &str) -> String {
    path.trim_start_matches(path::STORE)
        .trim_start_matches('/')
        .to_owned()
}

fn annotation(name: &str, path: &str) -> DownwardAPIVolumeFile {
    DownwardAPIVolumeFile {
        path: path.to_owned(),
        field_ref: Some(ObjectFieldSelector {
            field_path: format!("metadata.annotations['{name}']"),
            ..ObjectFieldSelector::default()
        }),
        ..DownwardAPIVolumeFile::default()
    }
}

/// A file, not a variable or an argument: those are expanded, limited in size and seen by `ps`.
fn run_inputs() -> Volume {
    Volume {
        name: INPUTS.to_owned(),
        downward_api: Some(DownwardAPIVolumeSource {
            items: Some(vec![annotation(run::ANNOTATION, path::INPUTS_FILE)]),
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
