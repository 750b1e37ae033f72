//! What happens, in order. The story plays the operator of the server; board and server do the rest by themselves.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mender_test_server::{Options, RunningServer, spawn};
use mender_testkit::flash::Counters;
use mender_testkit::server::{DeploymentId, DeviceId, Endpoint, Inventory, Server, Settings, Status, Time};
use tokio::time::{sleep, timeout};

use crate::authority::{self, Authority};
use crate::board::Board;
use crate::chip::Chip;
use crate::device::{MAC, Notes};
use crate::release::{Release, show};
use crate::report::{self, Deployed, Facts};
use crate::terminal::{Terminal, Who};

/// Much longer than it takes: something is stuck.
const LIMIT: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What is to be shown.
#[derive(Debug)]
pub struct Plan {
    pub device_type: String,
    /// What the board runs at first.
    pub first: Release,
    /// The update that stays.
    pub good: Release,
    /// The update whose self-test fails.
    pub faulty: Release,
    pub chip: Rc<Chip>,
    /// Over TLS.
    pub tls: bool,
}

/// What everything has cost up to a point.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub boots: usize,
    pub flash: Counters,
    pub api_connections: usize,
    pub store_connections: usize,
    pub requests: usize,
}

/// Tells the story and gives what did not end as it must: nothing, if all is well.
///
/// # Errors
///
/// It could not be told to its end.
pub async fn tell(plan: &Plan, terminal: &Rc<Terminal>) -> Result<Vec<String>, Box<dyn Error>> {
    terminal.line("One board, one Mender server, two updates: the first stays, the second is rolled back.");
    terminal.line(format_args!(
        "The board's flash is the file {}\n",
        plan.chip.file().display()
    ));
    let server = Arc::new(Mutex::new(Server::new(Settings::default())));
    let authority = plan.tls.then(|| Authority::new("The demo's authority")).transpose()?;
    let options = Options {
        tls: authority.as_ref().map(|authority| authority.server.clone()),
        ..Options::default()
    };
    let running = spawn(server, options)
        .map_err(|error| format!("two free ports of 127.0.0.1, for the server, cannot be had: {error}"))?;
    // The server's records have the date: the same moment on both clocks.
    let (date, elapsed) = (Time::now(), terminal.elapsed());
    terminal.say(
        Who::Server,
        format_args!(
            "listens on {}, its artifact store on {}",
            running.api_address(),
            running.storage_address()
        ),
    );
    let scheme = if plan.tls { "https" } else { "http" };
    if plan.tls {
        terminal.say(
            Who::Server,
            "has a certificate of an authority made on the spot: TLS 1.3",
        );
        let other = Authority::new("Another authority")?;
        let refused = authority::refusal(&other.root, running.api_address()).await?;
        let Some(why) = refused else {
            return Ok(vec![
                "a board with the root of another authority talks to the server".to_owned(),
            ]);
        };
        terminal.say(Who::Board, format_args!("with the root of another authority: {why}"));
    }
    let board = Board {
        server_url: format!("{scheme}://{}", running.api_address()),
        root: authority.map(|authority| authority.root),
        device_type: plan.device_type.clone(),
        artifact_name: plan.first.name.clone(),
        faulty_hash: plan.faulty.image_info.hash,
        chip: Rc::clone(&plan.chip),
        terminal: Rc::clone(terminal),
        notes: Rc::new(Notes::default()),
        boots: RefCell::default(),
    };
    let operator = Operator {
        server: &running,
        board: &board,
        terminal,
    };
    let (device, deployed, spent) = tokio::select! {
        stopped = board.run() => match stopped? {},
        told = timeout(LIMIT, operator.work(plan)) => {
            told.map_err(|_| format!("stuck: not at the end after {} seconds", LIMIT.as_secs()))??
        }
    };
    let facts = Facts {
        plan,
        server: &running.server(),
        device: &device,
        deployed,
        boots: board.boots.take(),
        spent,
        seconds: &|time: Time| (elapsed + (time - date)).as_secs_f64(),
    };
    Ok(report::print(&facts, terminal)?)
}

struct Operator<'a> {
    server: &'a RunningServer,
    board: &'a Board,
    terminal: &'a Terminal,
}

impl Operator<'_> {
    fn say(&self, what: impl std::fmt::Display) {
        self.terminal.say(Who::Operator, what);
    }

    /// Waits until there is something to see on the server.
    async fn until<T>(&self, look: impl Fn(&Server) -> Option<T>) -> T {
        loop {
            let found = look(&self.server.server());
            match found {
                Some(found) => return found,
                None => sleep(LOOK_AGAIN).await,
            }
        }
    }

    fn spent(&self) -> Spent {
        Spent {
            boots: self.board.boots.borrow().len(),
            flash: self.board.chip.counters(),
            api_connections: self.server.connection_count(Endpoint::Api),
            store_connections: self.server.connection_count(Endpoint::Storage),
            requests: self.server.server().requests().len(),
        }
    }

    /// The whole story.
    async fn work(&self, plan: &Plan) -> Result<(DeviceId, [Deployed; 2], [Spent; 3]), Box<dyn Error>> {
        let device = self.accept(&plan.first.name).await?;
        let accepted = self.spent();
        let good = self.deploy(&plan.good, &device).await?;
        let updated = self.spent();
        let faulty = self.deploy(&plan.faulty, &device).await?;
        Ok((device, [good, faulty], [accepted, updated, self.spent()]))
    }

    /// Waits for the unknown device, lets it wait for a moment, and lets it in.
    async fn accept(&self, artifact_name: &str) -> Result<DeviceId, Box<dyn Error>> {
        let device = self.until(|server| server.pending_devices().first().cloned()).await;
        while !self.board.notes.waits.get() {
            sleep(LOOK_AGAIN).await;
        }
        self.terminal
            .say(Who::Server, format_args!("has a new device, mac {MAC}: pending"));
        sleep(Duration::from_millis(300)).await;
        if !self.server.server().accept_device(&device, Time::now()) {
            return Err("the device cannot be accepted".into());
        }
        self.say("accepts the device");
        self.settled(&device, artifact_name, 1).await;
        Ok(device)
    }

    /// Deploys a release to the board, and waits until all that follows is over.
    async fn deploy(&self, release: &Release, device: &DeviceId) -> Result<Deployed, Box<dyn Error>> {
        self.terminal.line("");
        self.say(format_args!(
            "uploads {}: firmware {}, an artifact of {} KiB",
            release.name,
            show(release.version()),
            release.artifact.len().div_ceil(1024)
        ));
        if let Some(whole_len) = release.whole_len {
            let len = release.artifact.len();
            self.say(format_args!(
                "has made a patch of it: {len} bytes, {}.{} % of the {whole_len} that the artifact with the whole image has",
                len * 100 / whole_len,
                len * 1000 / whole_len % 10
            ));
        }
        let boots_before = self.board.boots.borrow().len();
        let (id, name_before, reports_before) = {
            let mut server = self.server.server();
            server.add_artifact(release.artifact.clone(), Time::now())?;
            let id = server.deploy(&release.name, std::slice::from_ref(device), Time::now())?;
            let name = artifact_name(&server, device).unwrap_or_default();
            let reports = server.inventory(device).map_or(0, Inventory::report_count);
            (id, name, reports)
        };
        self.say(format_args!("deploys {} to the board", release.name));
        let status = self
            .until(|server| {
                let status = server.device_deployment(&id, device)?.status;
                status.is_final().then_some(status)
            })
            .await;
        let name = match status {
            Status::Success => &release.name,
            _ => &name_before,
        };
        // Each boot reports the inventory anew.
        let restarted = self.board.boots.borrow().len() > boots_before;
        self.settled(device, name, reports_before + usize::from(restarted))
            .await;
        self.terminal
            .say(Who::Server, format_args!("has recorded for {}: {status}", release.name));
        self.print_log(&id, device);
        Ok(Deployed { id })
    }

    /// Waits until the board has nothing to do and has told the server, with so many inventory reports, that this artifact
    /// runs. If that does not come, the report at the end says what is missing.
    async fn settled(&self, device: &DeviceId, name: &str, reports: usize) {
        let quiet = self.until(|server| {
            let heard = artifact_name(server, device)? == name
                && server.inventory(device)?.report_count() >= reports
                && self.board.notes.idle.get();
            heard.then_some(())
        });
        let _ = timeout(Duration::from_secs(20), quiet).await;
    }

    fn print_log(&self, deployment: &DeploymentId, device: &DeviceId) {
        let server = self.server.server();
        let log = server
            .device_deployment(deployment, device)
            .and_then(|deployment| deployment.log.as_deref());
        let Some(log) = log else { return };
        self.terminal.say(Who::Server, "has this deployment log of the board:");
        for line in log {
            self.terminal
                .line(format_args!("{:23}{}: {}", "", line.level, line.message));
        }
    }
}

/// The artifact that the board runs, as far as the server was told.
fn artifact_name(server: &Server, device: &DeviceId) -> Option<String> {
    let value = server.inventory(device)?.value("artifact_name")?;
    value.as_str().map(str::to_owned)
}
