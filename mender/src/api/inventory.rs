//! Inventory: `PUT` or `PATCH /api/devices/v1/inventory/device/attributes` (device API, section 7).
//!
//! The first report after a boot replaces everything the server has (`PUT`), so that stale attributes disappear; later
//! ones only update (`PATCH`). Success is 200 for both: see [`Class`](super::Class).

use core::fmt;

use super::json::Writer;
use super::{EncodeError, Message};

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

impl fmt::Display for InventoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InventoryError::Full { buffer_len } => {
                write!(
                    f,
                    "the inventory does not fit into {buffer_len} bytes: lend a longer buffer"
                )
            }
            InventoryError::TooMany => write!(f, "the server takes at most {MAX_ATTRIBUTES} inventory attributes"),
            InventoryError::Name => write!(f, "the name of an inventory attribute has 1 to {NAME_MAX_LEN} bytes"),
        }
    }
}

impl core::error::Error for InventoryError {}

/// Writes the attributes of a report, one after the other.
pub struct InventoryWriter<'b> {
    json: Writer<'b>,
    count: usize,
}

impl fmt::Debug for InventoryWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InventoryWriter")
            .field("count", &self.count)
            .field("len", &self.json.len())
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
        let mut json = Writer::new(out, Message::Inventory);
        if json.buffer_len() < 2 {
            return Err(json.full());
        }
        json.raw("[")?;
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
        let before = self.json.len();
        // One byte is kept free for the end of the list.
        if self.write(name, value).is_err() || self.json.len() >= self.json.buffer_len() {
            self.json.truncate(before);
            return Err(InventoryError::Full {
                buffer_len: self.json.buffer_len(),
            });
        }
        self.count += 1;
        Ok(())
    }

    fn write(&mut self, name: &str, value: Value<'_>) -> Result<(), EncodeError> {
        let json = &mut self.json;
        json.raw(if self.count == 0 { "{\"name\":" } else { ",{\"name\":" })?;
        json.string(name)?;
        json.raw(",\"value\":")?;
        match value {
            Value::Text(text) => json.string(text)?,
            Value::Number(number) => json.display(number)?,
            Value::Decimal { digits, decimals } => decimal(json, digits, decimals)?,
            Value::Texts(texts) => list(json, texts, |json, text| json.string(text))?,
            Value::Numbers(numbers) => list(json, numbers, |json, number| json.display(number))?,
        }
        json.raw("}")
    }

    /// The report's body.
    pub fn finish(mut self) -> &'b [u8] {
        // The place for it has been kept free.
        let ended = self.json.raw("]");
        debug_assert!(ended.is_ok());
        self.json.finish()
    }
}

fn list<T>(
    json: &mut Writer<'_>,
    items: &[T],
    mut write: impl FnMut(&mut Writer<'_>, &T) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    json.raw("[")?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            json.raw(",")?;
        }
        write(json, item)?;
    }
    json.raw("]")
}

/// The exponent form needs no division and is JSON: 42e-2.
fn decimal(json: &mut Writer<'_>, digits: i64, decimals: u8) -> Result<(), EncodeError> {
    json.display(digits)?;
    if decimals > 0 {
        json.raw("e-")?;
        json.display(decimals)?;
    }
    Ok(())
}
