//! The services as the stack wires them. Asks for built binaries: `make test` builds them first.
use std::time::{Duration, Instant};

use authority_api::types::Role;
use testkit::{
    paths,
    process::{Launch, run},
    stack::{Name, Stack},
};

#[tokio::test]
async fn every_service_accepts_the_configuration_made_for_it() {
    let stack = Stack::builder().services(&[]).start().await.unwrap();
    for name in Name::ALL {
        let file = stack.config_file(name).display().to_string();
        let check = Launch::new(paths::binary(name.as_str()).unwrap()).args(["--config", &file, "--check-config"]);
        run(&check, "").await.unwrap();
    }
}

#[tokio::test]
async fn all_services_get_ready_stop_and_come_back() {
    let started = Instant::now();
    let mut stack = Stack::builder().policy_validity(5, 1).start().await.unwrap();
    eprintln!("the whole stack, from nothing: {:?}", started.elapsed());

    let steward = stack.operator("yamada", &[Role::Steward]).await.unwrap();
    stack.signed_in(&steward).await.unwrap();
    for name in Name::ALL {
        assert!(stack.metrics(name).await.unwrap().contains("# TYPE"), "{} has no metrics", name.as_str());
    }

    for name in [Name::History, Name::Intake, Name::Hub, Name::Authority] {
        let service = stack.service(name).unwrap();
        service.kill9();
        assert!(!service.is_ready().await);
        service.restart().await.unwrap();
    }
    // A service that stops on request leaves with status 0.
    for service in stack.services() {
        service.stop().await.unwrap();
        let status = service.process().exit_status().unwrap();
        assert!(status.success(), "{} stopped with {status}", service.name().as_str());
    }
    for service in stack.services() {
        service.start_again().unwrap();
    }
    for service in stack.services() {
        service.until_ready(Duration::from_secs(60)).await.unwrap();
    }
    stack.stop().await.unwrap();
}
