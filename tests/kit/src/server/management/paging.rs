//! `page` and `per_page`, and the `Link` headers of lists (spec of the management API, section 8).

use crate::server::error::ApiError;
use crate::server::http::{Request, Response};
use serde_json::Value;

pub(super) const PER_PAGE_DEFAULT: usize = 20;

/// A page of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    number: usize,
    per_page: usize,
}

/// What happens to a `per_page` above the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooMany {
    Refuse,
    UseDefault,
}

impl Page {
    pub(super) fn of(request: &Request, max: usize, too_many: TooMany) -> Result<Self, ApiError> {
        let number = |name: &str, default: usize| match request.query_value(name) {
            None => Ok(default),
            Some(text) => match text.parse::<usize>() {
                Err(_) => Err(ApiError::new(400, format!("invalid {name} query: \"{text}\""))),
                Ok(0) => Err(ApiError::new(
                    400,
                    format!("invalid {name} query: value must be a non-zero positive integer"),
                )),
                Ok(number) => Ok(number),
            },
        };
        let mut page = Self {
            number: number("page", 1)?,
            per_page: number("per_page", PER_PAGE_DEFAULT)?,
        };
        if page.per_page > max {
            match too_many {
                TooMany::Refuse => {
                    return Err(ApiError::new(
                        400,
                        format!("parameter \"per_page\" above limit (max: {max})"),
                    ));
                }
                TooMany::UseDefault => page.per_page = PER_PAGE_DEFAULT,
            }
        }
        Ok(page)
    }

    /// The answer with this page of a list. `with_total`: tell the length of the whole list.
    pub(super) fn answer(self, request: &Request, list: Vec<Value>, with_total: bool) -> Response {
        let total = list.len();
        let from = (self.number - 1).saturating_mul(self.per_page);
        let items: Vec<_> = list.into_iter().skip(from).take(self.per_page).collect();
        let has_next = from.saturating_add(self.per_page) < total;
        let mut response = Response::json(200, &Value::Array(items));
        let mut link = |number: usize, relation: &str| {
            let mut pairs: Vec<(String, String)> = form_urlencoded::parse(request.query().as_bytes())
                .filter(|(key, _)| key != "page" && key != "per_page")
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect();
            pairs.push(("page".to_owned(), number.to_string()));
            pairs.push(("per_page".to_owned(), self.per_page.to_string()));
            pairs.sort();
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .finish();
            response.headers.push((
                "Link".to_owned(),
                format!("<{}?{query}>; rel=\"{relation}\"", request.path()),
            ));
        };
        link(1, "first");
        if self.number > 1 {
            link(self.number - 1, "prev");
        }
        if has_next {
            link(self.number + 1, "next");
        }
        if with_total {
            if total > 0 {
                link(total.div_ceil(self.per_page), "last");
            }
            response = response.header("X-Total-Count", total.to_string());
        }
        response
    }
}
