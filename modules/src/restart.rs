//! How a module restarts the device.

use core::future::Future;

/// Restarts the device, for modules whose update becomes active with a restart.
///
/// Any closure will do where the restart is one call:
///
/// ```
/// # use mender_modules::Restart;
/// # fn sys_reset() {}
/// # fn takes(_: impl Restart) {}
/// takes(|| {
///     sys_reset(); // for example cortex_m::peripheral::SCB::sys_reset()
/// });
/// ```
///
/// Implement the trait where there is something to wait for, such as other tasks that have to come to an end.
pub trait Restart {
    /// Restarts the device, or sees to it that it will be restarted soon.
    ///
    /// May return: the client then waits for the restart and does nothing more. When this is called everything
    /// that must survive is in flash. Called again, after a start that was none, when a deployment asks for it.
    fn restart(&mut self) -> impl Future<Output = ()>;
}

impl<F: FnMut()> Restart for F {
    async fn restart(&mut self) {
        self();
    }
}
