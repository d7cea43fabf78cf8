//! What runs on the cluster: argument parsing and nothing else.

use std::{error::Error, fs, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use herdctl::{
    api::{
        crds,
        duration::DurationText,
        text::{Clean, LONGEST},
    },
    controller::{self, Options},
    gateway::{self, certificate::Subject, store_ca::Published},
    kubernetes,
    plan::{settings::Settings, uninstall::RunningJobs},
    probes::{self, Probe},
    process::PlainLog,
    store, uninstall,
};
use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements};
use tracing_subscriber::EnvFilter;

/// The operator of herdctl for Kubernetes.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controller: give every Job its pod and its one outcome.
    Controller(Box<ControllerArguments>),
    /// Run the gateway: the aggregated API by which output is read.
    Gateway(Box<GatewayArguments>),
    /// Run the store: keep every line of every run on a volume.
    Store(Box<StoreArguments>),
    /// Let go of all that the operator holds, before it is uninstalled: the chart runs this.
    Uninstall(UninstallArguments),
    /// Ask the server in this pod whether it is well: the kubelet runs this.
    Probe {
        #[arg(value_enum)]
        probe: Probe,
        /// Where it answers.
        #[arg(long, value_name = "ADDRESS", default_value_t = probes::ADDRESS)]
        address: SocketAddr,
    },
    /// Write the CustomResourceDefinitions, one file each.
    Crds {
        /// The folder to write to; may be given more than once.
        #[arg(long, value_name = "FOLDER", default_value = "crds")]
        to: Vec<PathBuf>,
    },
}

#[derive(Args)]
struct ControllerArguments {
    /// This program's own image; its runner is brought into every agent's pod.
    #[arg(long, value_name = "IMAGE")]
    operator_image: String,
    /// The image of agents that name none.
    #[arg(long, value_name = "IMAGE")]
    agent_image: String,
    /// Pull policy of the operator's image in agents' pods. Default: Kubernetes' own.
    #[arg(long, value_name = "POLICY")]
    image_pull_policy: Option<String>,
    /// Environment of all agents, as JSON of a container's `env`. An Agent's own goes before it.
    #[arg(long, value_name = "JSON", value_parser = env, default_value = "[]")]
    agent_env: AgentEnv,
    /// Annotations that Agents may put on their pods, with commas between; a * at the end stands for any rest.
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    allowed_annotations: Vec<String>,
    /// Resources of agents that name none, as JSON of a container's `resources`.
    #[arg(long, value_name = "JSON", value_parser = resources)]
    agent_resources: Option<ResourceRequirements>,
    /// Resources of the sidecar in agents' pods, as JSON of a container's `resources`.
    #[arg(long, value_name = "JSON", value_parser = resources)]
    ship_resources: ResourceRequirements,
    /// How long an agent's pod may stay after the agent's end to hand its output over.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    drain_timeout: std::time::Duration,
    /// How long an ended pod's object waits for its output record to be sealed.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    seal_timeout: std::time::Duration,
    /// Where agents' pods find the output store: https://HOST:PORT.
    #[arg(long, value_name = "URL")]
    store: String,
    /// The ConfigMap in the operator's namespace in which the store publishes its CA certificates.
    #[arg(long, value_name = "NAME")]
    store_ca_config_map: String,
    /// Where /healthz and /readyz are answered.
    #[arg(long, value_name = "ADDRESS", default_value_t = probes::ADDRESS)]
    probes: SocketAddr,
    /// The Lease by which replicas agree on who writes.
    #[arg(long, value_name = "NAME", default_value = "herd-controller")]
    lease_name: String,
    /// The operator's own namespace.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    namespace: String,
    /// This replica's name: its pod's.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    identity: String,
}

#[derive(Args)]
struct GatewayArguments {
    /// Where the API server reaches the aggregated API, by HTTPS.
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:10250")]
    listen: SocketAddr,
    /// Where /healthz and /readyz are answered.
    #[arg(long, value_name = "ADDRESS", default_value_t = probes::ADDRESS)]
    probes: SocketAddr,
    /// Where the output store is: https://HOST:PORT.
    #[arg(long, value_name = "URL")]
    store: String,
    /// The ConfigMap in the operator's namespace in which the store publishes its CA certificates.
    #[arg(long, value_name = "NAME")]
    store_ca_config_map: String,
    /// The token for the store; read for each request, since it is renewed.
    #[arg(long, value_name = "FILE")]
    store_token: PathBuf,
    /// The APIService that is served; this replica adds its certificate to it.
    #[arg(long, value_name = "NAME", default_value = "output-v1.herdctl.dev")]
    api_service: String,
    /// The Service that the APIService names.
    #[arg(long, value_name = "NAME")]
    service: String,
    /// The namespace of the Service: the operator's own.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    namespace: String,
    /// This replica's name: its pod's.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    identity: String,
}

#[derive(Args)]
struct StoreArguments {
    /// The volume's folder.
    #[arg(long, value_name = "FOLDER", default_value = "/data")]
    data: PathBuf,
    /// Where shippers and the gateway are served, by HTTPS.
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8443")]
    listen: SocketAddr,
    /// Where /healthz and /readyz are answered.
    #[arg(long, value_name = "ADDRESS", default_value_t = probes::ADDRESS)]
    probes: SocketAddr,
    /// The Service by which the store is reached.
    #[arg(long, value_name = "NAME", default_value = "herd-store")]
    service: String,
    /// The namespace of the Service: the operator's own.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    namespace: String,
    /// The ConfigMap in the operator's namespace in which the store publishes its CA certificates.
    #[arg(long, value_name = "NAME")]
    ca_config_map: String,
    /// A user who may read for others: the gateway's service account. May be given more than once.
    #[arg(long = "reader", value_name = "USERNAME")]
    readers: Vec<String>,
}

#[derive(Args)]
struct UninstallArguments {
    /// The controller's Deployment; its lease has the same name.
    #[arg(long, value_name = "NAME", default_value = "herd-controller")]
    controller: String,
    /// The operator's own namespace.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    namespace: String,
    /// What becomes of Jobs that have not ended.
    #[arg(long, value_enum, default_value = "suspend")]
    running_jobs: Running,
    /// After so long it ends, whatever is left.
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = duration)]
    timeout: std::time::Duration,
    /// End with exit code 1 when something could not be done; it is 0 otherwise, so that the uninstall continues.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Running {
    /// Stop their agents and keep their sessions.
    Suspend,
    /// End them as cancelled.
    Cancel,
    /// Let their pods run on without an operator.
    Leave,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Controller(arguments) => run_controller(*arguments),
        Command::Gateway(arguments) => run_gateway(*arguments),
        Command::Store(arguments) => run_store(*arguments),
        Command::Uninstall(arguments) => return run_uninstall(arguments),
        Command::Probe { probe, address } => ask(address, probe),
        Command::Crds { to } => write_crds(&to),
    };
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    complain(error.as_ref());
    ExitCode::FAILURE
}

fn complain(error: &dyn Error) {
    let clean = |error: &dyn Error| Clean::line(&error.to_string(), LONGEST);
    eprintln!("herd-operator: {}", clean(error));
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {}", clean(error));
        cause = error.source();
    }
}

#[tokio::main]
async fn run_controller(arguments: ControllerArguments) -> Result<(), Box<dyn Error>> {
    start_logging();
    controller::run(Options {
        settings: Settings {
            operator_image: arguments.operator_image,
            agent_image: arguments.agent_image,
            agent_env: arguments.agent_env.0,
            allowed_annotations: arguments.allowed_annotations,
            image_pull_policy: arguments.image_pull_policy,
            agent_resources: arguments.agent_resources,
            ship_resources: arguments.ship_resources,
            drain_timeout: arguments.drain_timeout,
            seal_timeout: arguments.seal_timeout,
            store: arguments.store,
        },
        probes: arguments.probes,
        namespace: arguments.namespace,
        store_ca_config_map: arguments.store_ca_config_map,
        lease_name: arguments.lease_name,
        identity: arguments.identity,
    })
    .await?;
    Ok(())
}

#[tokio::main]
async fn run_gateway(arguments: GatewayArguments) -> Result<(), Box<dyn Error>> {
    start_logging();
    gateway::run(gateway::Options {
        listen: arguments.listen,
        probes: arguments.probes,
        store: arguments.store,
        store_ca: Published {
            namespace: arguments.namespace.clone(),
            config_map: arguments.store_ca_config_map,
        },
        store_token: arguments.store_token,
        api_service: arguments.api_service,
        subject: Subject {
            service: arguments.service,
            namespace: arguments.namespace,
            replica: arguments.identity,
        },
    })
    .await?;
    Ok(())
}

#[tokio::main]
async fn run_store(arguments: StoreArguments) -> Result<(), Box<dyn Error>> {
    start_logging();
    store::run(store::Options {
        data: arguments.data,
        listen: arguments.listen,
        probes: arguments.probes,
        service: arguments.service,
        namespace: arguments.namespace,
        ca_config_map: arguments.ca_config_map,
        readers: arguments.readers,
    })
    .await?;
    Ok(())
}

/// Prints for people: Helm shows it, and so does `kubectl logs`.
#[tokio::main]
async fn run_uninstall(arguments: UninstallArguments) -> ExitCode {
    let failure = match arguments.strict {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    };
    let client = match kubernetes::connect().await {
        Ok(client) => client,
        Err(error) => {
            complain(&error);
            return failure;
        }
    };
    let options = uninstall::Options {
        controller: Some(uninstall::Deployment {
            namespace: arguments.namespace,
            name: arguments.controller,
        }),
        running: match arguments.running_jobs {
            Running::Suspend => RunningJobs::Suspend,
            Running::Cancel => RunningJobs::Cancel,
            Running::Leave => RunningJobs::Leave,
        },
        timeout: arguments.timeout,
    };
    let outcome = uninstall::run(client, options, |line| println!("{line}")).await;
    if outcome.undone.is_empty() {
        return ExitCode::SUCCESS;
    }
    for what in &outcome.undone {
        println!("not done: {what}");
    }
    println!("next: herdctl doctor says what is left, and herdctl doctor --fix removes it");
    failure
}

#[tokio::main(flavor = "current_thread")]
async fn ask(address: SocketAddr, probe: Probe) -> Result<(), Box<dyn Error>> {
    Ok(probes::ask(address, probe).await?)
}

fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        // Spans lie in each other nowhere here: the list would say the same once more.
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(|| PlainLog(std::io::stderr()))
        .init();
}

fn write_crds(folders: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    for folder in folders {
        fs::create_dir_all(folder)?;
        for (file, crd) in crds::all()? {
            fs::write(folder.join(file), serde_saphyr::to_string(&crd)?)?;
        }
    }
    Ok(())
}

/// A type of its own: clap takes a `Vec` for an option that may stand many times.
#[derive(Clone)]
struct AgentEnv(Vec<EnvVar>);

fn env(text: &str) -> Result<AgentEnv, serde_json::Error> {
    serde_json::from_str(text).map(AgentEnv)
}

fn resources(text: &str) -> Result<ResourceRequirements, serde_json::Error> {
    serde_json::from_str(text)
}

fn duration(text: &str) -> Result<std::time::Duration, herdctl::api::duration::BadDuration> {
    DurationText::from(text).parse()
}
