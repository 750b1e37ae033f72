#[update_module(
    artifact_type = "zephyr-image",
    requires_reboot,
    supports_rollback,
    on(
        download = write_slot,
        install = request_swap,
        reboot | rollback_reboot = restart,
        verify_reboot = check_swapped,
        commit = confirm,
        rollback = request_revert,
        failure = discard,
    )
)]
pub struct ZephyrImage<F> {
    flash: F,
}
