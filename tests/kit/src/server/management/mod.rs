//! The management API, as far as mender-cli, curl and test scripts need it (spec of the management API, section 10).

use super::Server;
use super::error::ApiError;
use super::http::{Request, Response};
use super::time::Time;

impl Server {
    /// Everything below `/api/management/`.
    pub(super) fn handle_management(&mut self, _request: &Request, _now: Time) -> Result<Response, ApiError> {
        Err(ApiError::no_route())
    }
}
