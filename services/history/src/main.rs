//! The history service: unified histories by person and by organisation.

fn main() -> std::process::ExitCode {
    runtime::main(history::SERVICE, history::service::start)
}
