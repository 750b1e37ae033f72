pub struct ZephyrImage<F> {
    flash: F,
}
#[automatically_derived]
impl<F> ::mender::__private::UpdateModule for ZephyrImage<F> {
    const DESCRIPTOR: ::mender::__private::Descriptor = ::mender::__private::Descriptor {
        artifact_type: "zephyr-image",
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
        ::mender::__private::download(Self::write_slot, self, __payload)
            .await
            .map_err(|__error| {
                use ::mender::__private::{Described as _, Displayed as _};
                (&::mender::__private::Reason(&__error)).__failure()
            })
    }
    async fn call(
        &mut self,
        __state: ::mender::__private::CallbackState,
    ) -> ::mender::__private::Result<(), ::mender::__private::Failure> {
        match __state {
            ::mender::__private::CallbackState::Install => {
                ::mender::__private::callback(Self::request_swap, self)
                    .await
                    .map_err(|__error| {
                        use ::mender::__private::{Described as _, Displayed as _};
                        (&::mender::__private::Reason(&__error)).__failure()
                    })
            }
            ::mender::__private::CallbackState::Reboot
            | ::mender::__private::CallbackState::RollbackReboot => {
                ::mender::__private::callback(Self::restart, self)
                    .await
                    .map_err(|__error| {
                        use ::mender::__private::{Described as _, Displayed as _};
                        (&::mender::__private::Reason(&__error)).__failure()
                    })
            }
            ::mender::__private::CallbackState::VerifyReboot => {
                ::mender::__private::callback(Self::check_swapped, self)
                    .await
                    .map_err(|__error| {
                        use ::mender::__private::{Described as _, Displayed as _};
                        (&::mender::__private::Reason(&__error)).__failure()
                    })
            }
            ::mender::__private::CallbackState::Commit => {
                ::mender::__private::callback(Self::confirm, self)
                    .await
                    .map_err(|__error| {
                        use ::mender::__private::{Described as _, Displayed as _};
                        (&::mender::__private::Reason(&__error)).__failure()
                    })
            }
            ::mender::__private::CallbackState::Rollback => {
                ::mender::__private::callback(Self::request_revert, self)
                    .await
                    .map_err(|__error| {
                        use ::mender::__private::{Described as _, Displayed as _};
                        (&::mender::__private::Reason(&__error)).__failure()
                    })
            }
            ::mender::__private::CallbackState::Failure => {
                ::mender::__private::callback(Self::discard, self)
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
