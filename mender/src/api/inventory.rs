//! Inventory: `PUT` or `PATCH /api/devices/v1/inventory/device/attributes` (device API, section 7).
//!
//! The first report after a boot replaces everything the server has (`PUT`), so that stale attributes disappear; later
//! ones only update (`PATCH`). Success is 200 for both: see [`Class`](super::Class).

use core::fmt;

use super::{EncodeError, Message, full, json};
use crate::codes::Seldom;
use crate::text::{Describe, Text, display, divide};
use crate::window::Window;

/// Path of the report.
pub const PATH: &str = "/api/devices/v1/inventory/device/attributes";
/// The server keeps at most this many attributes of a device, and refuses a report with more.
pub const MAX_ATTRIBUTES: usize = 100;
/// Longest name of an attribute, in bytes.
pub const NAME_MAX_LEN: usize = 1024;

/// How a report is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Method {
    /// The attributes replace all that the server has.
    Put,
    /// The attributes are added to those that the server has, or replace those of the same name.
    Patch,
}

impl Method {
    /// The HTTP method.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Put => "PUT",
            Method::Patch => "PATCH",
        }
    }
}

/// The value of an attribute: what the server's inventory can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number. The server keeps it as a double: beyond 2^53 digits get lost.
    Number(i64),
    /// A number with decimals: `digits` divided by ten to the power of `decimals`, so (42, 2) is 0.42.
    ///
    /// Not a float, because formatting one costs several kilobytes of flash. See [`Value::rounded`].
    Decimal {
        /// All digits, without the point.
        digits: i64,
        /// How many of them are after the point.
        decimals: u8,
    },
    /// Several texts, or none.
    Texts(&'a [&'a str]),
    /// Several whole numbers, or none.
    Numbers(&'a [i64]),
}

impl Value<'_> {
    /// A float, rounded to `decimals` digits after the point.
    ///
    /// `None` if it is not finite, or has too many digits for [`Value::Decimal`] (18).
    pub fn rounded(number: f64, decimals: u8) -> Option<Value<'static>> {
        let mut scaled = number;
        for _ in 0..decimals.min(19) {
            scaled *= 10.0;
        }
        let half = if scaled < 0.0 { -0.5 } else { 0.5 };
        let in_range = scaled > -1e18 && scaled < 1e18 && decimals <= 18;
        in_range.then_some(Value::Decimal {
            // Cannot saturate, by the range.
            digits: (scaled + half) as i64,
            decimals,
        })
    }
}

/// Why an attribute was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InventoryError {
    /// The lent buffer is too short for it.
    Full {
        /// Length of the buffer that did not suffice.
        buffer_len: usize,
    },
    /// There are already as many attributes as the server takes, [`MAX_ATTRIBUTES`].
    TooMany,
    /// Its name is empty or longer than [`NAME_MAX_LEN`].
    Name,
}

impl Describe for InventoryError {
    fn describe(&self, out: &mut Text<'_>) {
        match self {
            InventoryError::Full { buffer_len } => {
                out.seldom(FULL);
                out.push(" (");
                out.number(u32::try_from(*buffer_len).unwrap_or(u32::MAX));
                out.push(" bytes)");
            }
            InventoryError::TooMany => out.seldom(TOO_MANY),
            InventoryError::Name => out.seldom(NAME),
        }
    }
}

const FULL: Seldom = Seldom::new(26);
const TOO_MANY: Seldom = Seldom::new(27);
const NAME: Seldom = Seldom::new(28);

impl fmt::Display for InventoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self, f)
    }
}

impl core::error::Error for InventoryError {}

/// Writes the attributes of a report, one after the other.
pub struct InventoryWriter<'b> {
    json: Window<'b>,
    count: usize,
}

impl fmt::Debug for InventoryWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InventoryWriter")
            .field("count", &self.count)
            .field("len", &self.json.total())
            .finish_non_exhaustive()
    }
}

impl<'b> InventoryWriter<'b> {
    /// Starts a report in a lent buffer. An attribute takes 22 bytes, its name and its value.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Full`] if not even an empty report fits (2 bytes).
    pub fn new(out: &'b mut [u8]) -> Result<InventoryWriter<'b>, EncodeError> {
        if out.len() < 2 {
            return Err(full(out.len(), Message::Inventory));
        }
        let mut json = Window::new(out, 0);
        json.byte(b'[');
        Ok(InventoryWriter { json, count: 0 })
    }

    /// Number of attributes written.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no attribute was written. An empty `PUT` removes all attributes; an empty `PATCH` need not be sent.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds an attribute.
    ///
    /// # Errors
    ///
    /// [`InventoryError`]; the report is then as before, and others can still be added.
    pub fn push(&mut self, name: &str, value: Value<'_>) -> Result<(), InventoryError> {
        if self.count >= MAX_ATTRIBUTES {
            return Err(InventoryError::TooMany);
        }
        if name.is_empty() || name.len() > NAME_MAX_LEN {
            return Err(InventoryError::Name);
        }
        let before = self.json.total();
        write(&mut self.json, self.count == 0, name, value);
        // One byte is kept free for the end of the list.
        if self.json.total() >= self.json.room() {
            self.json.truncate(before);
            return Err(InventoryError::Full {
                buffer_len: self.json.room(),
            });
        }
        self.count += 1;
        Ok(())
    }

    /// The report's body.
    pub fn finish(mut self) -> &'b [u8] {
        // The place for it has been kept free.
        self.json.byte(b']');
        self.json.finish()
    }
}

fn write(json: &mut Window<'_>, first: bool, name: &str, value: Value<'_>) {
    json::pair(json, if first { "{" } else { ",{" }, "name", name);
    json.text(",\"value\":");
    match value {
        Value::Text(text) => json::string(json, text),
        Value::Number(number) => signed(json, number),
        // The exponent form needs no division and is JSON: 42e-2.
        Value::Decimal { digits, decimals } => {
            signed(json, digits);
            if decimals > 0 {
                json.text("e-");
                json.number(u32::from(decimals));
            }
        }
        Value::Texts(texts) => list(json, texts, |json, text| json::string(json, text)),
        Value::Numbers(numbers) => list(json, numbers, |json, number| signed(json, *number)),
    }
    json.byte(b'}');
}

fn list<T>(json: &mut Window<'_>, items: &[T], mut write: impl FnMut(&mut Window<'_>, &T)) {
    json.byte(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            json.byte(b',');
        }
        write(json, item);
    }
    json.byte(b']');
}

fn signed(json: &mut Window<'_>, number: i64) {
    if number < 0 {
        json.byte(b'-');
    }
    unsigned(json, number.unsigned_abs());
}

fn unsigned(json: &mut Window<'_>, number: u64) {
    let (front, last) = divide(number, 10);
    if front > 0 {
        unsigned(json, front);
    }
    // Below ten.
    json.byte(b'0' + last as u8);
}
