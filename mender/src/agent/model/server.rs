//! The server: which request it got, and all the answers that it may give.

extern crate std;

use std::vec;
use std::vec::Vec;

use crate::agent::Lost;
use crate::deployment::Verdict;

/// A request of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Request {
    Login,
    Poll,
    Status(Report),
    Log,
}

/// What a status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Report {
    Progress,
    Final(Verdict),
}

impl Request {
    /// From its bytes.
    pub(super) fn of(bytes: &[u8]) -> Request {
        let text = core::str::from_utf8(bytes).expect("a request is text");
        let line = text.lines().next().expect("a request has a line");
        if line.contains("/auth_requests ") {
            Request::Login
        } else if line.contains("/deployments/next ") {
            Request::Poll
        } else if line.contains("/log ") {
            Request::Log
        } else if line.contains("/status ") {
            Request::Status(if text.contains("\"success\"") {
                Report::Final(Verdict::Success)
            } else if text.contains("\"failure\"") {
                Report::Final(Verdict::Failure)
            } else {
                Report::Progress
            })
        } else {
            panic!("not expected: {line}");
        }
    }
}

/// What may be received after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// What the device hopes for: a token, an offer, 204.
    Good,
    /// No deployment.
    Nothing,
    /// 409.
    Aborted,
    /// 404.
    Unknown,
    /// 400.
    Refused,
    /// 500.
    Later,
    /// 429, with `Retry-After`.
    Limited,
    /// 401.
    Unauthorized,
    /// The connection breaks before the server has acted.
    LostBefore,
    /// The connection breaks after the server has acted.
    LostAfter,
    /// No answer in time, and the server has not acted.
    Silent,
}

impl Answer {
    /// The bytes; none if there is no answer.
    pub(super) fn bytes(self, request: Request) -> Option<&'static str> {
        Some(match (self, request) {
            (Answer::Good, Request::Login) => "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nt",
            (Answer::Good, Request::Poll) => concat!(
                "HTTP/1.1 200 OK\r\nContent-Length: 73\r\n\r\n",
                "{\"id\":\"d\",\"artifact\":{\"source\":{\"uri\":\"http://h/a\"},\"artifact_name\":\"n\"}}"
            ),
            (Answer::Good, Request::Status(_) | Request::Log) | (Answer::Nothing, _) => {
                "HTTP/1.1 204 No Content\r\n\r\n"
            }
            (Answer::Aborted, _) => "HTTP/1.1 409 Conflict\r\nContent-Length: 13\r\n\r\n{\"error\":\"x\"}",
            (Answer::Unknown, _) => "HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n{\"error\":\"x\"}",
            (Answer::Refused, _) => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            (Answer::Later, _) => "HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n",
            (Answer::Limited, _) => "HTTP/1.1 429 Slow\r\nRetry-After: 150\r\nContent-Length: 0\r\n\r\n",
            (Answer::Unauthorized, _) => "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            (Answer::LostBefore | Answer::LostAfter | Answer::Silent, _) => return None,
        })
    }

    /// How it shows that there is no answer.
    pub(super) fn lost(self) -> Lost {
        if self == Answer::Silent {
            Lost::Timeout
        } else {
            Lost::Io
        }
    }

    /// The server has done what it was asked for.
    pub(super) fn is_act(self) -> bool {
        match self {
            Answer::Good | Answer::LostAfter => true,
            Answer::Nothing
            | Answer::Aborted
            | Answer::Unknown
            | Answer::Refused
            | Answer::Later
            | Answer::Limited
            | Answer::Unauthorized
            | Answer::LostBefore
            | Answer::Silent => false,
        }
    }
}

/// What the server knows of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Server {
    /// A request that it has not answered yet.
    pub(super) pending: Option<Request>,
    /// The deployment was offered.
    pub(super) offered: bool,
    /// The verdict that it has.
    pub(super) verdict: Option<Verdict>,
}

impl Server {
    /// All answers to the pending request, or those that lead to different ends.
    pub(super) fn answers(&self, all: bool) -> Vec<Answer> {
        use Answer::{
            Aborted, Good, Later, Limited, LostAfter, LostBefore, Nothing, Refused, Silent, Unauthorized, Unknown,
        };
        match self.pending.expect("an answer without a request") {
            Request::Login if all => vec![Good, Unauthorized, Later, Limited, Refused, LostBefore, Silent],
            Request::Login => vec![Good],
            Request::Poll if all => vec![Good, Nothing, Later, Limited, Unauthorized, LostBefore, Silent],
            Request::Poll => vec![Good, Nothing],
            Request::Status(_) if all => vec![
                Good,
                Aborted,
                Unknown,
                Refused,
                Later,
                Limited,
                Unauthorized,
                LostBefore,
                LostAfter,
                Silent,
            ],
            Request::Status(Report::Final(_)) => vec![Good, Aborted, Later, LostAfter],
            Request::Status(Report::Progress) => vec![Good, Aborted, Later],
            Request::Log if all => vec![Good, Refused, Later, Unauthorized, LostBefore, LostAfter, Silent],
            Request::Log => vec![Good],
        }
    }
}
