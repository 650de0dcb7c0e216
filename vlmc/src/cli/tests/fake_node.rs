//! A node that is not there, and what was asked of it.

use crate::cli::*;
use crate::config::Config;

/// Answers for `archipelago`.
#[derive(Default)]
pub struct FakeNode {
    pub asked: Vec<String>,
    pub is_broken: bool,
}

impl FakeNode {
    fn roles(&self, config: &Config, state: RoleState) -> Vec<RoleStatus> {
        let role = |role: &crate::config::RoleConfig| RoleStatus {
            role: role.name.clone(),
            kind: role.kind().name().into(),
            host: "main".into(),
            state: if self.is_broken && role.name == "mapperd" {
                RoleState::Failed
            } else {
                state
            },
            pid: (state == RoleState::Running).then_some(4321),
            uptime_seconds: (state == RoleState::Running).then_some(3700),
            restarts: 0,
            inflight: None,
            paused_since: None,
            log_level: (state == RoleState::Running).then_some(role.log_level),
            message: (self.is_broken && role.name == "mapperd").then(|| "died 5 times".into()),
        };
        config.roles.iter().map(role).collect()
    }
}

impl Node for FakeNode {
    fn start(&mut self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport> {
        self.asked.push(format!("start {scope:?}"));
        Ok(self.roles(config, RoleState::Running))
    }
    fn stop(&mut self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport> {
        self.asked.push(format!("stop {scope:?}"));
        Ok(self.roles(config, RoleState::Stopped))
    }
    fn restart(&mut self, config: &Config, scope: &Scope) -> Result<Vec<RoleStatus>, ErrorReport> {
        self.asked.push(format!("restart {scope:?}"));
        Ok(self.roles(config, RoleState::Running))
    }
    fn status(&mut self, config: &Config) -> Result<NodeStatus, ErrorReport> {
        Ok(NodeStatus {
            supervisor_pid: Some(4320),
            segment: "/dev/shm/archipelago".into(),
            roles: self.roles(config, RoleState::Running),
            attached: vec!["vm".into()],
            lease_ms: Some(4321),
            lost: vec!["vm-3 was taken from this node".into()],
        })
    }
    fn quickstart(&mut self, config: &Config) -> Result<Quickstart, ErrorReport> {
        Ok(Quickstart {
            roles: config.roles.iter().map(|role| role.name.clone()).collect(),
            volume: "first".into(),
            size: 1 << 30,
            is_new: true,
            uri: "nbd+unix:///first?socket=/run/nbd.sock".into(),
            next: vec!["vlmc snapshot first monday".into()],
        })
    }
    fn doctor(&mut self, _: &Config) -> Result<Vec<Finding>, ErrorReport> {
        let grade = if self.is_broken {
            Grade::Bad
        } else {
            Grade::Note
        };
        Ok(vec![Finding {
            check: "memlock".into(),
            grade,
            message: "64 KiB".into(),
            remedy: "raise it".into(),
        }])
    }
    fn log_level(&mut self, _: &Config, role: &str, level: u8) -> Result<(), ErrorReport> {
        self.asked.push(format!("log-level {role} {level}"));
        Ok(())
    }
    fn reattach(&mut self, _: &Config, leave_devices: bool) -> Result<usize, ErrorReport> {
        self.asked.push(format!("reattach {leave_devices}"));
        Ok(1)
    }
    fn device_name(&mut self, _: &Config, device: &str) -> Result<String, ErrorReport> {
        Ok(format!("volume of {device}"))
    }
    fn host(&mut self, _: &Config, name: &str) -> Result<(), ErrorReport> {
        self.asked.push(format!("host {name}"));
        Ok(())
    }
    fn supervise(
        &mut self,
        _: &Config,
        host: Option<&str>,
        leave_devices: bool,
    ) -> Result<(), ErrorReport> {
        self.asked
            .push(format!("supervise {host:?} {leave_devices}"));
        Ok(())
    }
}
