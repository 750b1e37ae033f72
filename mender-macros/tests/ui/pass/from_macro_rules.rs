use mender::update_module;
use mender::update_module::{Failure, Payload};

macro_rules! module {
    ($(#[$attribute:meta])* $vis:vis $name:ident($field:ty), $type:literal, $reboots:expr, $write:ident, $krate:path) => {
        $(#[$attribute])*
        #[update_module(artifact_type = $type, requires_reboot = $reboots, crate = $krate, on(download = $write, install = apply))]
        $vis struct $name($field);

        impl $name {
            async fn $write(&mut self, _payload: &mut Payload<'_>) -> Result<(), Failure> {
                self.0 = Default::default();
                Ok(())
            }

            async fn apply(&mut self) -> Result<(), Failure> {
                Ok(())
            }
        }
    };
}

module!(
    /// Documented.
    pub First(u8), "first", false, write, ::mender);
module!(Second(Option<String>), "second", u8::MAX == 0, receive, ::mender);

fn main() {
    fn client(_: impl mender::update_module::ModuleSet) {}
    client((First(1), Second(None)));
}
