//! Settings in files, without a reboot: correct with and without a way back, and with flaws.

use mender::update_module;
use mender::update_module::{Failure, Payload};
use mender_testkit::files::{Files, NotFound};
use mender_testkit::module_test::{Board, ModuleTest};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    RollsBackNothing,
    WritesInPlace,
    DropsOldInCommit,
    TakesOneContentOnly,
}

#[update_module(
    artifact_type = "values",
    supports_rollback,
    on(download = download, install = install, commit = commit, cleanup = cleanup, rollback = rollback)
)]
pub struct Values {
    pub files: Files,
    pub flaw: Flaw,
}

fn ignore_missing(_: Result<(), NotFound>) -> Result<(), Failure> {
    Ok(())
}

async fn receive(payload: &mut Payload<'_>) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut file = payload
        .next_file()
        .await?
        .ok_or_else(|| Failure::new("the artifact has no file"))?;
    while let Some(chunk) = file.next_chunk().await? {
        bytes.extend_from_slice(chunk);
    }
    Ok(bytes)
}

impl Values {
    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        // What an earlier deployment may have left.
        ignore_missing(self.files.remove("old").await)?;
        let bytes = receive(payload).await?;
        if self.flaw == Flaw::TakesOneContentOnly && bytes.first() != Some(&1) {
            return Err(Failure::new("not that"));
        }
        self.files.write("new", &bytes).await;
        Ok(())
    }

    async fn install(&mut self) -> Result<(), Failure> {
        if self.flaw == Flaw::WritesInPlace {
            let (now, new) = (self.files.read("now"), self.files.read("new"));
            self.files.write("old", &now.unwrap_or_default()).await;
            self.files.write("now", &new.unwrap_or_default()).await;
            return Ok(());
        }
        self.files.rename("now", "old").await.map_err(Failure::new)?;
        self.files.rename("new", "now").await.map_err(Failure::new)
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        match self.flaw {
            Flaw::DropsOldInCommit => self.files.remove("old").await.map_err(Failure::new),
            Flaw::None | Flaw::RollsBackNothing | Flaw::WritesInPlace | Flaw::TakesOneContentOnly => Ok(()),
        }
    }

    async fn cleanup(&mut self) -> Result<(), Failure> {
        ignore_missing(self.files.remove("new").await)?;
        ignore_missing(self.files.remove("old").await)
    }

    async fn rollback(&mut self) -> Result<(), Failure> {
        match self.flaw {
            Flaw::RollsBackNothing => Ok(()),
            Flaw::None | Flaw::WritesInPlace | Flaw::DropsOldInCommit | Flaw::TakesOneContentOnly => {
                ignore_missing(self.files.rename("old", "now").await)
            }
        }
    }
}

/// The same without a way back.
#[update_module(artifact_type = "values", on(download = download, install = install))]
pub struct OneWay {
    pub files: Files,
}

impl OneWay {
    async fn download(&mut self, payload: &mut Payload<'_>) -> Result<(), Failure> {
        let bytes = receive(payload).await?;
        self.files.write("new", &bytes).await;
        Ok(())
    }

    async fn install(&mut self) -> Result<(), Failure> {
        self.files.rename("new", "now").await.map_err(Failure::new)
    }
}

fn factory(board: &Board) {
    let files = board.files();
    pollster::block_on(files.write("now", b"old values"));
}

pub fn test(flaw: Flaw) -> ModuleTest<Values> {
    ModuleTest::new(move |board| Values {
        files: board.files(),
        flaw,
    })
    .factory(factory)
    .observe(|board| board.files().read("now"))
}

pub fn one_way() -> ModuleTest<OneWay> {
    ModuleTest::new(|board| OneWay { files: board.files() })
        .factory(factory)
        .observe(|board| board.files().read("now"))
}
