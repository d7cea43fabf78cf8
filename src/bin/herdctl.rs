//! The command line for people, also as `kubectl herd`: everything is in [`herdctl::cli`].

fn main() -> std::process::ExitCode {
    herdctl::cli::main()
}
