//! Answers that say no.

use serde_json::{Value, json};

use super::http::Response;

/// An error answer of an API handler.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    status: u16,
    text: String,
    headers: Vec<(String, String)>,
    /// One more member of the body. Boxed so that results stay small.
    member: Option<Box<(&'static str, Value)>>,
    body: ErrorBody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorBody {
    /// `{"error":..,"request_id":..}`.
    WithRequestId,
    /// `{"error":..}`: fallback routes of the deployments service.
    WithoutRequestId,
    /// No body at all.
    Nothing,
}

impl ApiError {
    pub(crate) fn new(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            headers: Vec::new(),
            member: None,
            body: ErrorBody::WithRequestId,
        }
    }

    /// An error without body.
    pub(crate) fn bare(status: u16) -> Self {
        Self {
            body: ErrorBody::Nothing,
            ..Self::new(status, "")
        }
    }

    /// The answer of an unknown path.
    pub(crate) fn no_route() -> Self {
        Self::new(404, "not found")
    }

    /// The answer of a known path with another method.
    pub(crate) fn wrong_method() -> Self {
        Self::new(405, "method not allowed")
    }

    #[must_use]
    pub(crate) fn without_request_id(mut self) -> Self {
        self.body = ErrorBody::WithoutRequestId;
        self
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    #[must_use]
    pub(crate) fn member(mut self, name: &'static str, value: Value) -> Self {
        self.member = Some(Box::new((name, value)));
        self
    }

    pub(crate) fn into_response(self, request_id: &str) -> Response {
        // Texts of internal errors are masked.
        let text = match self.status {
            500 => "internal error".to_owned(),
            503 => "service unavailable".to_owned(),
            _ => self.text,
        };
        let mut object = json!({"error": text});
        if let Some((name, value)) = self.member.map(|member| *member) {
            object[name] = value;
        }
        let mut response = match self.body {
            ErrorBody::Nothing => Response::empty(self.status),
            ErrorBody::WithoutRequestId => Response::json(self.status, &object),
            ErrorBody::WithRequestId => {
                object["request_id"] = json!(request_id);
                Response::json(self.status, &object)
            }
        };
        response.headers.extend(self.headers);
        response
    }
}
