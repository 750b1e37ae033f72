pub struct ZephyrImage<F> {
    flash: F,
}
#[automatically_derived]
#[allow(clippy::future_not_send)]
impl<F> ::mender::__private::UpdateModule for ZephyrImage<F> {
    const DESCRIPTOR: ::mender::__private::Descriptor = ::mender::__private::Descriptor {
        artifact_type: "zephyr-image",
        other_types: &[],
        requires_reboot: true,
        supports_rollback: true,
        states: ::mender::__private::States::NONE
            .with(::mender::__private::CallbackState::Install)
            .with(::mender::__private::CallbackState::Reboot)
            .with(::mender::__private::CallbackState::VerifyReboot)
            .with(::mender::__private::CallbackState::Commit)
            .with(::mender::__private::CallbackState::Rollback)
            .with(::mender::__private::CallbackState::RollbackReboot)
            .with(::mender::__private::CallbackState::Failure),
    };
    async fn download(
        &mut self,
        __payload: &mut ::mender::__private::Payload<'_>,
    ) -> ::mender::__private::Result<(), ::mender::__private::Failure> {
        {
            let __method = Self::write_slot;
            ::mender::__private::download(__method, self, __payload)
                .await
                .map_err(|__error| {
                    use ::mender::__private::{Described as _, Displayed as _};
                    (&::mender::__private::Reason(&__error)).__failure()
                })
        }
    }
    async fn call(
        &mut self,
        __state: ::mender::__private::CallbackState,
    ) -> ::mender::__private::Result<(), ::mender::__private::Failure> {
        match __state {
            ::mender::__private::CallbackState::Install => {
                let __method = Self::request_swap;
                ::mender::__private::callback(__method, self, __state)
                    .await
                    .map_err(|__error| {
                        use ::mender::__private::{Described as _, Displayed as _};
                        (&::mender::__private::Reason(&__error)).__failure()
                    })
            }
            ::mender::__private::CallbackState::Reboot
            | ::mender::__private::CallbackState::RollbackReboot => {
                let __method = Self::restart;
                ::mender::__private::callback(__method, self, __state)
                    .await
                    .map_err(|__error| {
                        use ::mender::__private::{Described as _, Displayed as _};
                        (&::mender::__private::Reason(&__error)).__failure()
                    })
            }
            ::mender::__private::CallbackState::VerifyReboot => {
                let __method = Self::check_swapped;
                ::mender::__private::callback(__method, self, __state)
                    .await
                    .map_err(|__error| {
                        use ::mender::__private::{Described as _, Displayed as _};
                        (&::mender::__private::Reason(&__error)).__failure()
                    })
            }
            ::mender::__private::CallbackState::Commit => {
                let __method = Self::confirm;
                ::mender::__private::callback(__method, self, __state)
                    .await
                    .map_err(|__error| {
                        use ::mender::__private::{Described as _, Displayed as _};
                        (&::mender::__private::Reason(&__error)).__failure()
                    })
            }
            ::mender::__private::CallbackState::Rollback => {
                let __method = Self::request_revert;
                ::mender::__private::callback(__method, self, __state)
                    .await
                    .map_err(|__error| {
                        use ::mender::__private::{Described as _, Displayed as _};
                        (&::mender::__private::Reason(&__error)).__failure()
                    })
            }
            ::mender::__private::CallbackState::Failure => {
                let __method = Self::discard;
                ::mender::__private::callback(__method, self, __state)
                    .await
                    .map_err(|__error| {
                        use ::mender::__private::{Described as _, Displayed as _};
                        (&::mender::__private::Reason(&__error)).__failure()
                    })
            }
            ::mender::__private::CallbackState::Cleanup
            | ::mender::__private::CallbackState::RollbackVerifyReboot => {
                ::mender::__private::Ok(())
            }
        }
    }
}
